#!/usr/bin/env bats
# What every script has in common, whichever shell runs it.

setup() {
  load house
  make_fake_checkout
}

@test "every script answers help from its header, in both shells, and does nothing else" {
  rm -r "$fake/.venv"
  for script in "$fake"/scripts/*.sh; do
    for shell in $shells; do
      for word in help --help -h; do
        run -0 "$shell" "$script" "$word"
        expect "$script" "Usage:" "${lines[0]%% *}"
        expect_in "$script" "Summary:" "$output"
        expect "$script has no header sign left" "" "$(printf '%s\n' "$output" | grep '^#' || true)"
      done
    done
  done
  [ ! -e "$fake/.venv" ]
}

@test "every script is executable and is strict in its first lines" {
  for script in "$checkout"/scripts/*.sh "$checkout/.ci/run"; do
    [ -x "$script" ]
    expect "$script" "#!/usr/bin/env bash" "$(head -n 1 "$script")"
    grep -qx 'set -euo pipefail' "$script"
    grep -q '^export PAGER=cat LESS=-RFX' "$script"
    expect_in "$script" "# Usage: " "$(sed -n 2p "$script")"
  done
}

@test "every script runs when it is called by a path with a space from another folder" {
  mkdir -p "$BATS_TEST_TMPDIR/else where"
  cd "$BATS_TEST_TMPDIR/else where"
  for shell in $shells; do
    for script in "../a folder/scripts"/*.sh; do
      run -0 "$shell" "$script" help
    done
  done
}

@test "a folder list in CDPATH does not lead a script astray" {
  cd "$fake"
  for shell in $shells; do
    CDPATH="$fake:/" run -0 "$shell" scripts/monitor_embedding.sh --once
    expect_record "in $fake" "<monitor>" "<--once>"
  done
}

@test "words that a script does not know end with 2 and a hint" {
  for shell in $shells; do
    run -2 "$shell" "$fake/scripts/fmt.sh" everything
    expect_in hint "scripts/fmt.sh help" "$output"
    run -2 "$shell" "$fake/scripts/bootstrap.sh" everything
    expect_in hint "scripts/bootstrap.sh help" "$output"
  done
}

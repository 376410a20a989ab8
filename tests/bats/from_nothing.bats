#!/usr/bin/env bats
# bats file_tags=proof
# From nothing to vectors with the real programs, in a folder with a space: what `make dispatch` does after the bootstrap.

setup_file() {
  load house
  export here="$BATS_FILE_TMPDIR/a new machine"
  make_new_machine "$here" "$checkout/.venv/bin/python"
  unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS
  cd "$here"
  make dispatch >"$here/first.out" 2>"$here/first.err" 3>&- && code=0 || code=$?
  printf '%s' "$code" >"$here/first.code"
}

teardown_file() {
  cd "$here" && .venv/bin/trailblazer db stop >/dev/null 2>&1 3>&- || true
}

setup() {
  load house
  unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS
  cd "$here"
  PATH="$here/.venv/bin:$checkout/.venv/bin:$PATH"
}

newest() { find "$here/var/logs/dispatch" -mindepth 1 -maxdepth 1 -type d | sort | tail -n 1; }

@test "make dispatch on a fresh machine ends well and says what to try next" {
  expect "exit code, after $(tail -n 20 first.err)" 0 "$(cat first.code)"
  expect_in plan "Using plan: " "$(cat first.err)"
  expect_in counts "Skipped (preflight): 0, Skipped (unchanged): 0, Errors: 0/" "$(cat first.err)"
  expect_in manifest "dispatch_manifest.json" "$(cat first.err)"
  expect_in next 'trailblazer ask "' "$(tail -n 3 first.err)"
}

@test "what it says to try next answers with document and score" {
  question="$(sed -n 's/.*trailblazer ask "\(.*\)"$/\1/p' first.err)"
  run -0 --separate-stderr trailblazer ask "$question"
  [ "${#lines[@]}" -gt 3 ]
  expect_in "an answer about exceptions" "except" "$output"
}

@test "its record proves itself" {
  run -0 trailblazer verify "$(basename "$(newest)")"
  expect_in proof "proved" "$output"
  run -0 --separate-stderr just status
  printf '%s' "$output" | "$checkout/.venv/bin/python" -m json.tool >/dev/null
}

@test "make dispatch a second time finds all unchanged" {
  run -0 make dispatch
  expect_in counts "Queued: 0, " "$output"
  expect_in unchanged "Errors: 0/" "$output"
  expect_in chunks "(unchanged)" "$output"
}

@test "just dispatch takes a bundle, its ready.txt, a list and latest, from a sub-folder too" {
  bundle="$(find var/plan_preflight -mindepth 1 -maxdepth 1 -type d | sort | tail -n 1)"
  head -n 1 "$bundle/ready.txt" >"a list.txt"
  mkdir -p deep
  cd deep
  for plan in latest "../$bundle" "../$bundle/ready.txt" "../a list.txt"; do
    run -0 just dispatch plan="$plan" workers=1 notes="it's a \"second\" \$try" skip-unchanged
    expect_in counts "Errors: 0/" "$output"
  done
  run -0 grep -c 'it.s a \\"second\\" $try' "$(newest)/dispatch_manifest.json"
}

@test "embed_dispatch and monitor_embedding do the same under both shells" {
  for shell in $shells; do
    run -0 "$shell" scripts/embed_dispatch.sh --plan-file "a list.txt" --skip-unchanged
    expect_in counts "Errors: 0/1" "$output"
    run -0 "$shell" scripts/monitor_embedding.sh --once
    [ "${#lines[@]}" -ge 1 ]
    expect "colour without a terminal" "" "$(printf '%s' "$output" | grep $'\033' || true)"
  done
}

@test "a dry run says what would be done and leaves no record" {
  before="$(newest)"
  run -0 just dispatch plan=latest dry-run
  expect "newest record" "$before" "$(newest)"
}

@test "a plan that is not there ends with 4, a wrong word with 2, each with a hint" {
  for shell in $shells; do
    run -4 "$shell" scripts/embed_dispatch.sh plan=nowhere.txt
    expect_in hint "  " "${lines[1]}"
    run -2 "$shell" scripts/embed_dispatch.sh skip-unchangd
    expect_in hint "--skip-unchanged" "$output"
  done
}

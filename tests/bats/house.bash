# shellcheck shell=bash
# Loaded by every .bats file: the shells, checkouts to play with, and the two ways to state what is expected.

bats_require_minimum_version 1.5.0
checkout="$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)"
shells="bash"
! command -v zsh >/dev/null || shells="bash zsh"

# make_fake_checkout: set `fake` to a folder with a space that holds the scripts, and a trailblazer that only records
# where it was called and its words, one <word> a line, in `record`, and ends with the code in $fake/code.VERB.
make_fake_checkout() {
  fake="$(cd "$BATS_TEST_TMPDIR" && pwd -P)/a folder"
  record="$fake/record"
  mkdir -p "$fake/config" "$fake/.venv/bin" "$fake/bin"
  cp -R "$checkout/scripts" "$checkout/Makefile" "$checkout/justfile" "$fake/"
  cp "$checkout/config/.trailblazer.yaml" "$fake/config/"
  write_program "$fake/.venv/bin/trailblazer" <<'PROGRAM'
#!/bin/bash
fake="${0%/.venv/bin/trailblazer}"
printf 'in %s\n' "$PWD" >>"$fake/record"
printf '<%s>\n' "$@" >>"$fake/record"
env | grep '^TRAILBLAZER_' | sort >>"$fake/record"
if [ -e "$fake/code.$1" ]; then
  code="$(cat "$fake/code.$1")"
  rm "$fake/code.$1"
  exit "$code"
fi
PROGRAM
}

# make_new_machine FOLDER PYTHON: the checkout as a clone has it, and instead of what a bootstrap makes a trailblazer
# that runs this code with the packages of PYTHON.
make_new_machine() {
  mkdir -p "$1/.venv/bin"
  for folder in config helpers schemas scripts; do cp -R "$checkout/$folder" "$1/"; done
  cp "$checkout/Makefile" "$checkout/justfile" "$1/"
  write_program "$1/.venv/bin/trailblazer" <<PROGRAM
#!/bin/bash
PYTHONPATH="$1/helpers" exec "$2" -m trailblazer "\$@"
PROGRAM
  write_program "$1/scripts/bootstrap.sh" <<<'[ "${1:-}" != path ] || echo "the line for the PATH"'
}

# write_program FILE: an executable from stdin.
write_program() {
  cat >"$1"
  chmod +x "$1"
}

# expect WHAT EXPECTED ACTUAL: both are shown when they differ.
expect() {
  [ "$2" = "$3" ] || {
    printf '%s\nexpected: %s\nactual:   %s\n' "$1" "$2" "$3"
    return 1
  }
}

# expect_in WHAT PART WHOLE: the part is found in the whole.
expect_in() {
  case "$3" in
    *"$2"*) ;;
    *)
      printf '%s\nexpected in it: %s\nactual: %s\n' "$1" "$2" "$3"
      return 1
      ;;
  esac
}

# expect_record LINES…: what the fake trailblazer recorded since the last look.
expect_record() {
  expect record "$(printf '%s\n' "$@")" "$(cat "$record")" && rm "$record"
}

#!/usr/bin/env bats
# The Makefile: what it lists, and how words pass through it.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS
  write_program scripts/bootstrap.sh <<<'[ "${1:-}" != path ] || echo "the line for the PATH"'
}

# expect_dispatch WORDS…: the words of the dispatch after those that first_dispatch.sh adds.
expect_dispatch() {
  expect dispatch "$([ "$#" = 0 ] || printf '<%s>\n' "$@")" "$(sed -n '/^<--skip-unchanged>$/,$p' "$record" | tail -n +2)" && rm "$record"
}

@test "make lists each target with its line, and the line for the PATH" {
  run -0 make
  for target in $(sed -n 's/^\([a-z]*\):.*/\1/p' Makefile); do
    expect_in "$target" "  make $target " "$output"
  done
  expect_in PATH "the line for the PATH" "$output"
}

@test "make dispatch without words is a dispatch without words" {
  run -0 make dispatch
  expect_dispatch
}

@test "variables and bare goals become the words of a dispatch" {
  run -0 make dispatch workers=4 notes="second try" batch-size=64 skip-unchanged dry-run
  expect_dispatch batch-size=64 "notes=second try" workers=4 skip-unchanged dry-run
}

@test "plan=… makes the dispatch the only stage" {
  run -0 make dispatch plan="a list.txt" workers=4 notes="second try"
  expect_record "in $fake" "<dispatch>" "<notes=second try>" "<plan=a list.txt>" "<workers=4>"
}

@test "quotes, dollars, backticks, commas, hashes and percent signs arrive as they were typed" {
  for notes in 'say "it"' "it's" '$5 $HOME $(shell touch made)' '`touch made`' 'a, b; c & d | e' '# 1' '100 %s' '\n \\' '' '*'; do
    run -0 make dispatch notes="$notes"
    expect_dispatch "notes=$notes"
  done
  [ ! -e made ]
}

@test "a line break in a word arrives as a space" {
  run -0 make dispatch notes=$'two\nlines'
  expect_dispatch "notes=two lines"
}

@test "what is in the environment is not a word" {
  notes=no plan=no run -0 make dispatch
  expect_dispatch
}

@test "a setting in capitals goes into the environment" {
  run -0 make dispatch plan=latest TRAILBLAZER_DISPATCH_WORKERS=3
  expect_record "in $fake" "<dispatch>" "<plan=latest>" "TRAILBLAZER_DISPATCH_WORKERS=3"
}

@test "make works with each shell as its own" {
  for shell in sh bash dash $shells; do
    command -v "$shell" >/dev/null || continue
    run -0 make SHELL="$(command -v "$shell")" dispatch notes="it's \$5"
    expect_dispatch "notes=it's \$5"
  done
}

@test "a target that is not there is refused" {
  run -2 make dispach
  expect_in what "dispach" "$output"
}

@test "the exit code of a dispatch fails make" {
  printf 6 >code.dispatch
  run -2 make dispatch
  expect_in code "Error 6" "$output"
}

@test "make dispatch help prints the words and does nothing" {
  run -0 make dispatch help
  expect "first line" "Usage:" "${lines[0]%% *}"
  [ ! -e "$record" ]
}

@test "make clean removes .venv, keeps var/ and says so" {
  mkdir -p var/runs helpers tests benchmarks
  run -0 make clean
  [ ! -e .venv ]
  [ -e var/runs ]
  expect_in words "var/ is still there" "$output"
}

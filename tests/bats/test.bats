#!/usr/bin/env bats
# scripts/test.sh, which is what `make test` and `just test` run: all tests in four processes, or some in one.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS
  write_program scripts/bootstrap.sh <<<'exit 0'
  write_program .venv/bin/python <<<'#!/bin/bash
printf "<%s>" "$@" >>record
echo >>record
[ ! -e broken ]'
}

@test "without words all tests but the proofs run, in four processes" {
  for shell in $shells; do
    run -0 "$shell" scripts/test.sh
    expect_record "<-m><pytest><-n><4><-m><not proof>"
  done
  run -0 make test
  expect_record "<-m><pytest><-n><4><-m><not proof>"
  run -0 "$checkout/.venv/bin/just" test
  expect_record "<-m><pytest><-n><4><-m><not proof>"
  run -0 make proofs
  expect_record "<-m><pytest><-n><4><-m><proof>"
}

@test "a name chooses the tests that have it in their name, and words after it go to pytest" {
  for shell in $shells; do
    run -0 "$shell" scripts/test.sh "not slow" -x
    expect_record "<-m><pytest><-k><not slow><-x>"
  done
  run -0 make test k="it's \$5 or not"
  expect_record "<-m><pytest><-k><it's \$5 or not>"
  run -0 "$checkout/.venv/bin/just" test "not slow" -x
  expect_record "<-m><pytest><-k><not slow><-x>"
}

@test "flags and paths go to pytest as they were typed" {
  for shell in $shells; do
    run -0 "$shell" scripts/test.sh -n 4 "a word"
    expect_record "<-m><pytest><-n><4><a word>"
    run -0 "$shell" scripts/test.sh tests/record/test_proof.py
    expect_record "<-m><pytest><tests/record/test_proof.py>"
  done
  run -0 make test args="-x tests/repo"
  expect_record "<-m><pytest><-x><tests/repo>"
}

@test "a test that fails is the exit code" {
  touch broken
  for shell in $shells; do
    run -1 "$shell" scripts/test.sh
  done
}

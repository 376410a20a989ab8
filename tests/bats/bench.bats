#!/usr/bin/env bats
# scripts/bench.sh: all benchmarks or one.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  mkdir benchmarks
  touch benchmarks/claims.py benchmarks/embedding.py benchmarks/_corpus.py
  write_program .venv/bin/python <<<'#!/bin/bash
printf "<%s>\n" "$@" >>record
[ ! -e broken ]'
}

@test "without a name every benchmark runs, in order" {
  for shell in $shells; do
    run -0 "$shell" scripts/bench.sh
    expect_record "<benchmarks/claims.py>" "<benchmarks/embedding.py>"
  done
}

@test "a name chooses one benchmark, which gets the other words" {
  for shell in $shells; do
    run -0 "$shell" scripts/bench.sh claims --rows "a b"
    expect_record "<benchmarks/claims.py>" "<--rows>" "<a b>"
  done
}

@test "an unknown name is refused, and the hint lists the benchmarks" {
  for shell in $shells; do
    run -2 "$shell" scripts/bench.sh nothing
    expect_in hint "claims.py embedding.py" "$output"
    [ ! -e "$record" ]
  done
}

@test "a benchmark that fails ends the script with its exit code" {
  touch broken
  for shell in $shells; do
    run -1 "$shell" scripts/bench.sh
    expect_record "<benchmarks/claims.py>"
  done
}

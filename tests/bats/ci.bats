#!/usr/bin/env bats
# .ci/run: what a clean checkout needs, then make test and make proofs, then the line that sums up.

setup() {
  load house
  make_fake_checkout
  cp -R "$checkout/.ci" "$fake/"
  write_program "$fake/scripts/bootstrap.sh" <<<'echo "bootstrap $*" >>record'
  write_program "$fake/bin/make" <<<'#!/bin/bash
echo "make $* CI=$CI" >>record
[ ! -e words ] || read -r word </dev/stdin || true
echo "a test"
cat sum
grep -q " 0 failed" sum || { echo "make: Error 1" >&2; exit 2; }'
  write_program "$fake/bin/npm" <<<'#!/bin/bash
echo "npm $*" >>record'
  write_program "$fake/bin/node" <<<'#!/bin/bash'
  export XDG_CACHE_HOME="$fake/cache"
  PATH="$fake/bin:$PATH"
  echo "12 passed, 0 failed" >"$fake/sum"
}

@test "the last line sums both up, and a test that fails in one of them fails all" {
  for shell in $shells; do
    run -0 --separate-stderr "$shell" "$fake/.ci/run"
    expect "last line" "24 passed, 0 failed" "${lines[-1]}"
    echo "11 passed, 1 failed" >"$fake/sum"
    run -2 "$shell" "$fake/.ci/run"
    expect "last line" "22 passed, 2 failed" "${lines[-1]}"
    echo "12 passed, 0 failed" >"$fake/sum"
  done
}

@test "the extras are installed as well, so that each is tested for real" {
  run -0 "$fake/.ci/run"
  expect_in first "bootstrap minilm apprise browser" "$(head -n 1 "$record")"
  expect_in last "make test CI=true
make proofs CI=true" "$(tail -n 2 "$record")"
}

@test "the agents are installed by version, once, and without their install scripts" {
  run -0 "$fake/.ci/run"
  run -0 "$fake/.ci/run"
  expect_in installed "--ignore-scripts" "$(cat "$record")"
  expect_in version "@openai/codex@" "$(cat "$record")"
  expect times 1 "$(grep -c "^npm install" "$record")"
}

@test "programs that are missing are asked of apt-get, and without them the tests that need them fail" {
  for tool in bash dirname tee tail cat grep python3 env; do ln -sf "$(command -v "$tool")" "$fake/bin/$tool"; done
  write_program "$fake/bin/apt-get" <<<'#!/bin/bash
echo "apt-get $*" >>record
[ "$1" = update ]'
  hide="$fake/bin"
  PATH="$hide" run -0 bash "$fake/.ci/run"
  expect_in asked "install -y -qq --no-install-recommends git zsh faketime strace tmux" "$(cat "$record")"
  expect_in words "the tests that need these fail" "$output"
  expect "last line" "24 passed, 0 failed" "${lines[-1]}"
}

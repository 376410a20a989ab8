#!/usr/bin/env bats
# scripts/lock.sh: the locks from pyproject.toml, with hashes and without the name of a registry.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  PATH="$fake/bin:/usr/bin:/bin"
}

@test "every lock is written with hashes, those of the extras with the versions of the first" {
  write_program bin/uv <<<'#!/bin/bash
echo "$*" >>record'
  hashed="pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header"
  for shell in $shells; do
    run -0 "$shell" scripts/lock.sh --upgrade
    expect_record "$hashed --upgrade --extra dev pyproject.toml -o requirements.lock" \
      "$hashed --upgrade --extra minilm -c requirements.lock pyproject.toml -o requirements-minilm.lock" \
      "$hashed --upgrade --extra apprise -c requirements.lock pyproject.toml -o requirements-apprise.lock" \
      "$hashed --upgrade --extra browser -c requirements.lock pyproject.toml -o requirements-browser.lock"
  done
}

@test "without uv nothing is written, and the hint says what to install" {
  for tool in dirname $shells; do ln -s "$(command -v "$tool")" "bin/$tool"; done
  for shell in $shells; do
    PATH="$fake/bin" run -8 "$shell" scripts/lock.sh
    expect_in hint "Install uv" "$output"
  done
}

#!/usr/bin/env bats
# scripts/embed_dispatch.sh and scripts/monitor_embedding.sh: trailblazer gets the words as they were typed.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
}

@test "embed_dispatch passes each word on as it was typed" {
  for shell in $shells; do
    run -0 "$shell" scripts/embed_dispatch.sh --plan-file 'a list.txt' notes='a "b" $HOME `id` \ * it'\''s' '' plan=~/x skip-unchanged
    expect_record "in $fake" "<dispatch>" "<--plan-file>" "<a list.txt>" "<notes=a \"b\" \$HOME \`id\` \\ * it's>" "<>" \
      "<plan=$HOME/x>" "<skip-unchanged>"
  done
}

@test "embed_dispatch without words is a dispatch without words" {
  for shell in $shells; do
    run -0 "$shell" scripts/embed_dispatch.sh
    expect_record "in $fake" "<dispatch>"
  done
}

@test "the exit code of trailblazer is the script's" {
  for shell in $shells; do
    for code in 2 4 6 130; do
      printf '%s' "$code" >code.dispatch
      run "-$code" "$shell" scripts/embed_dispatch.sh
      printf '%s' "$code" >code.monitor
      run "-$code" "$shell" scripts/monitor_embedding.sh
    done
  done
}

@test "a script stays in a folder of the project, so that a path there means what it says" {
  mkdir -p deep/down
  cd deep/down
  for shell in $shells; do
    run -0 "$shell" ../../scripts/embed_dispatch.sh plan=list.txt
    expect_record "in $fake/deep/down" "<dispatch>" "<plan=list.txt>"
  done
}

@test "a script that is called from outside of any project works on its own checkout" {
  cd /
  for shell in $shells; do
    run -0 "$shell" "$fake/scripts/embed_dispatch.sh"
    expect_record "in $fake" "<dispatch>"
  done
}

@test "a script that is called in another project works there" {
  mkdir -p "$BATS_TEST_TMPDIR/other/config"
  : >"$BATS_TEST_TMPDIR/other/config/.trailblazer.yaml"
  cd "$BATS_TEST_TMPDIR/other"
  for shell in $shells; do
    run -0 "$shell" "$fake/scripts/embed_dispatch.sh"
    expect_record "in $(pwd -P)" "<dispatch>"
  done
}

@test "a checkout without .venv is bootstrapped before the dispatch" {
  mv .venv kept
  write_program scripts/bootstrap.sh <<<'mv "${0%/scripts/*}/kept" "${0%/scripts/*}/.venv"'
  for shell in $shells; do
    run -0 "$shell" scripts/embed_dispatch.sh
    expect_record "in $fake" "<dispatch>"
    mv .venv kept
  done
}

@test "a bootstrap that fails ends the script with its exit code, and nothing is dispatched" {
  rm -r .venv
  write_program scripts/bootstrap.sh <<<'exit 8'
  for shell in $shells; do
    run -8 "$shell" scripts/embed_dispatch.sh
    [ ! -e "$record" ]
  done
}

@test "monitor_embedding passes each word on" {
  for shell in $shells; do
    run -0 "$shell" scripts/monitor_embedding.sh 20261120T223000Z --once --interval 0.5
    expect_record "in $fake" "<monitor>" "<20261120T223000Z>" "<--once>" "<--interval>" "<0.5>"
  done
}

@test "a script called from zsh and from bash on a terminal's command line works by its shebang" {
  for shell in $shells; do
    run -0 "$shell" -c 'scripts/monitor_embedding.sh latest'
    expect_record "in $fake" "<monitor>" "<latest>"
  done
}

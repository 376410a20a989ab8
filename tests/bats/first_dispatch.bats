#!/usr/bin/env bats
# scripts/first_dispatch.sh, which is what `make dispatch` runs: the stages and their order.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  # Without a trailblazer on it, as on a fresh machine.
  PATH="$(tr : '\n' <<<"$PATH" | grep -v '/\.venv/bin$' | paste -sd:)"
}

stages=("<chunk>" "<embed>" "<plan-preflight>" "<dispatch>" "<--plan>" "<latest>" "<--skip-unchanged>")

# expect_stages LINES…: the words recorded, without the folders.
expect_stages() {
  expect stages "$(printf '%s\n' "$@")" "$(grep -v '^in ' "$record")" && rm "$record"
}

@test "chunk, plan-preflight and dispatch follow each other, and the end says what to try next" {
  for shell in $shells; do
    run -0 "$shell" scripts/first_dispatch.sh
    expect_stages "${stages[@]}"
    expect_in "next" 'trailblazer ask "how do I' "$output"
    expect_in "PATH" 'export PATH=' "$output"
  done
}

@test "a project without runs gets the sample first" {
  for shell in $shells; do
    printf 4 >code.chunk
    run -0 "$shell" scripts/first_dispatch.sh
    expect_stages "<chunk>" "<normalize>" "<--sample>" "${stages[@]}"
  done
}

@test "the dispatch gets the words as they were typed" {
  for shell in $shells; do
    run -0 "$shell" scripts/first_dispatch.sh workers=4 'notes=a "b" $c' dry-run
    expect_stages "${stages[@]}" "<workers=4>" '<notes=a "b" $c>' "<dry-run>"
  done
}

@test "a provider named for the dispatch is the one that is planned for" {
  for shell in $shells; do
    run -0 "$shell" scripts/first_dispatch.sh provider=minilm dimension=384
    settings=("TRAILBLAZER_EMBED_DIMENSION=384" "TRAILBLAZER_EMBED_PROVIDER=minilm")
    expect_stages "<chunk>" "${settings[@]}" "<embed>" "<plan-preflight>" "${settings[@]}" \
      "${stages[@]:3}" "<provider=minilm>" "<dimension=384>" "${settings[@]}"
  done
}

@test "a word that names a plan starts the dispatch alone" {
  for shell in $shells; do
    for word in plan=latest plan-file=list.txt --plan=x resume=latest status=latest; do
      run -0 "$shell" scripts/first_dispatch.sh workers=1 "$word"
      expect_stages "<dispatch>" "<workers=1>" "<$word>"
    done
  done
}

@test "a stage that fails ends the script with its exit code" {
  for shell in $shells; do
    printf 3 >code.chunk
    run -3 "$shell" scripts/first_dispatch.sh
    expect_stages "<chunk>"
    printf 8 >code.embed
    run -8 "$shell" scripts/first_dispatch.sh
    expect_stages "<chunk>" "<embed>" "<plan-preflight>"
    printf 6 >code.dispatch
    run -6 "$shell" scripts/first_dispatch.sh
    expect_stages "${stages[@]}"
  done
}

@test "runs that cannot be chunked do not stop the others, and the exit code tells" {
  for shell in $shells; do
    printf 6 >code.chunk
    run -6 "$shell" scripts/first_dispatch.sh
    expect_stages "${stages[@]}"
  done
}

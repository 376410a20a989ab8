#!/usr/bin/env bats
# The justfile: recipes in groups, words as they were typed, from any folder.

setup() {
  load house
  make_fake_checkout
  just="$checkout/.venv/bin/just"
  cd "$fake"
}

@test "just alone lists every recipe with a line, in groups" {
  run -0 "$just"
  for recipe in $("$just" --summary); do
    printf '%s\n' "$output" | grep -Eq "^    $recipe( .*)? # .+"
  done
  for group in $("$just" --groups | tail -n +2); do
    expect_in group "[$group]" "$output"
  done
}

@test "just dispatch takes bare words, flags and both, as they were typed" {
  run -0 "$just" dispatch plan=latest workers=4 notes="second try" skip-unchanged --dry-run --plan-file 'a "b" $c'
  expect_record "in $fake" "<dispatch>" "<plan=latest>" "<workers=4>" "<notes=second try>" "<skip-unchanged>" "<--dry-run>" \
    "<--plan-file>" '<a "b" $c>'
}

@test "quotes, dollars, braces and a tilde arrive as they were typed, from every shell" {
  export just
  for shell in $shells; do
    run -0 "$shell" -c '"$just" dispatch "plan=~/x" '\''notes=it'\''"'\''"'\''s {{ words }} `id` $HOME \ "'\'' "" "a  b"'
    expect_record "in $fake" "<dispatch>" "<plan=~/x>" "<notes=it's {{ words }} \`id\` \$HOME \\ \">" "<>" "<a  b>"
  done
}

@test "from a sub-folder the recipe runs there, so that a relative path means what it says" {
  mkdir -p "var/plan preflight"
  cd "var/plan preflight"
  for recipe in dispatch monitor; do
    run -0 "$just" "$recipe" plan=x
    expect_record "in $PWD" "<$recipe>" "<plan=x>"
  done
  run -0 "$just" ask "how do I …"
  expect_record "in $PWD" "<ask>" "<how do I …>"
}

@test "from outside, named by its file, the dispatch works on the checkout" {
  cd /
  run -0 "$just" --justfile "$fake/justfile" dispatch plan=latest
  expect_record "in $fake" "<dispatch>" "<plan=latest>"
}

@test "each recipe is one verb with its words" {
  run -0 "$just" preflight --plan-file x && expect_record "in $fake" "<embed>" "<plan-preflight>" "<--plan-file>" "<x>"
  run -0 "$just" status && expect_record "in $fake" "<dispatch>" "<--status>" "<latest>"
  run -0 "$just" status 20261120T223000Z && expect_record "in $fake" "<dispatch>" "<--status>" "<20261120T223000Z>"
  for action in show install remove; do
    run -0 "$just" "cron-$action" dry-run && expect_record "in $fake" "<cron>" "<$action>" "<dry-run>"
  done
  for recipe in normalize chunk monitor verify providers db; do
    run -0 "$just" "$recipe" "a word" --flag
    expect_record "in $fake" "<$recipe>" "<a word>" "<--flag>"
  done
}

@test "the exit code of a dispatch is the exit code of just" {
  printf 6 >code.dispatch
  run -6 "$just" dispatch
}

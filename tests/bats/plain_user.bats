#!/usr/bin/env bats
# bats file_tags=proof
# From nothing to vectors as a user without rights: another user in a home of mode 0700 when root runs the tests.
#
# A .venv in the home of root cannot be read by anybody else, so the packages are copied beside a Python of the system.

setup_file() {
  load house
  home="$(mktemp -d "${TMPDIR:-/tmp}/trailblazer plain é XXXXXX")"
  here="$home/a new machine"
  user="$(id -un)"
  if [ "$(id -u)" = 0 ]; then
    user="trailblazer-plain-$$"
    useradd --no-create-home --home-dir "$home" --shell /bin/sh "$user"
  fi
  export home here user
  chown "$user" "$home"
  find_python || skip "no Python of the version of .venv can be run by a plain user"
  "$python" -m venv --without-pip "$home/venv"
  packages="$("$checkout/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  cp -R "$packages/." "$("$home/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  rm "$home"/venv/lib/python*/site-packages/_editable_impl_trailblazer.pth
  make_new_machine "$here" "$home/venv/bin/python"
  chmod -R go= "$home"
  chown -R "$user" "$home"
  as_plain_user make dispatch >"$BATS_FILE_TMPDIR/out" 2>"$BATS_FILE_TMPDIR/err" 3>&- && code=0 || code=$?
  printf '%s' "$code" >"$BATS_FILE_TMPDIR/code"
}

teardown_file() {
  load house
  as_plain_user .venv/bin/trailblazer db stop >/dev/null 2>&1 3>&- || true
  [ "$(id -u)" != 0 ] || userdel "$user"
  rm -rf "$home"
}

setup() {
  load house
}

# as_plain_user WORDS…: run a command in the new machine, with an environment of its own.
as_plain_user() {
  cd "$here"
  set -- env -i HOME="$home" PATH="/usr/local/bin:/usr/bin:/bin" "$@"
  [ "$(id -u)" != 0 ] || set -- runuser -u "$user" -- "$@"
  "$@"
}

# find_python: set `python` to one that the user can run, of the version that the packages were installed for.
find_python() {
  version="$("$checkout/.venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  for python in "$(readlink -f "$checkout/.venv/bin/python")" "/usr/bin/python$version" "/usr/local/bin/python$version"; do
    ! (here=/ as_plain_user "$python" -c '' 2>/dev/null) || return 0
  done
  return 1
}

@test "make dispatch ends well for a plain user" {
  expect "exit code, after $(tail -n 20 "$BATS_FILE_TMPDIR/err")" 0 "$(cat "$BATS_FILE_TMPDIR/code")"
  expect_in counts "Skipped (preflight): 0, Skipped (unchanged): 0, Errors: 0/" "$(cat "$BATS_FILE_TMPDIR/err")"
}

@test "the plain user owns everything that was written" {
  expect "files of others" "" "$(find "$here/var" ! -user "$user")"
}

@test "the plain user asks a question and verifies the record" {
  run -0 as_plain_user .venv/bin/trailblazer ask "how do I catch an exception"
  expect_in "an answer about exceptions" "except" "$output"
  run -0 as_plain_user .venv/bin/trailblazer verify
  expect_in proof "proved" "$output"
}

@test "the second make dispatch of a plain user finds all unchanged" {
  run -0 as_plain_user make dispatch
  expect_in counts "Queued: 0, " "$output"
}

@test "cron starts the plain user's line of 03:17, and the files are the user's own" {
  [ "$(id -u)" = 0 ] || skip "only root can start a cron"
  own_cron="$checkout/tests/fixtures/own_cron.sh"
  spool="$BATS_TEST_TMPDIR/spool"
  as_plain_user sed -i 's/^17 2 .*/17 3 * * * scripts\/cron.sh config show/' config/crontab
  run -0 "$own_cron" "$spool" runuser -u "$user" -- env -i HOME="$home" PATH=/usr/bin:/bin .venv/bin/trailblazer cron install
  setsid "$own_cron" "$spool" faketime -f "@2026-11-21 03:13:00 x30" cron -f 3>&- >/dev/null 2>&1 &
  cron=$!
  for _ in $(seq 600); do
    ! grep -q '"state": "good"' var/logs/cron/config.json 2>/dev/null || break
    sleep 0.1
  done
  kill -- -"$cron"
  expect_in "job file" '"state": "good"' "$(cat var/logs/cron/config.json)"
  expect_in log "cron.limit_minutes" "$(cat var/logs/cron/config.log)"
  expect "files of others" "" "$(find var/logs/cron ! -user "$user")"
}

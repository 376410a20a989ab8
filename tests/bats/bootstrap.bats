#!/usr/bin/env bats
# bats file_tags=proof
# scripts/bootstrap.sh, with programs that stand in for uv, pip and older Pythons.

setup() {
  load house
  make_fake_checkout
  cd "$fake"
  rm -r .venv
  printf 'nothing-of-that-name @ file:///nowhere/nothing.whl\n' >requirements.lock
  printf 'two==2\n' >requirements-minilm.lock
  printf 'three==3\n' >requirements-apprise.lock
  printf '[project]\n' >pyproject.toml
  real="$(command -v python3)"
  PATH="$fake/bin:/usr/bin:/bin"
  make_uv
}

# make_uv: a uv that makes the two programs a bootstrap looks for, and records its words.
make_uv() {
  write_program bin/uv <<PROGRAM
#!/bin/bash
printf '%s\n' "\$*" >>"$record"
[ ! -e "$fake/broken" ] || exit 1
[ ! -e "$fake/slow" ] || sleep 0.2
[ ! -e "$fake/stuck" ] || { echo "\$\$" >"$fake/pid" && exec sleep 60; }
mkdir -p .venv/bin
[ "\$1" != venv ] || { ln -sf "\$5" .venv/bin/python && echo "home = \$(dirname "\$5")" >.venv/pyvenv.cfg; }
case "\$*" in *" -e .") touch .venv/bin/trailblazer && chmod +x .venv/bin/trailblazer ;; esac
PROGRAM
}

made() { grep -c '^venv' "$record"; }

@test "bootstrap installs the hashed lock without anything beyond it, then the checkout" {
  for shell in $shells; do
    run -0 "$shell" scripts/bootstrap.sh
    expect_in ready "bootstrap: ready after" "$output"
    expect "words of uv" "pip install --python .venv/bin/python --no-deps --require-hashes --only-binary :all: -r requirements.lock
pip install --python .venv/bin/python --no-deps --no-build-isolation -e ." "$(grep -v '^venv' "$record")"
    rm -r .venv "$record"
  done
}

@test "a second bootstrap does nothing and says nothing" {
  for shell in $shells; do
    run -0 "$shell" scripts/bootstrap.sh
    rm "$record"
    run -0 "$shell" scripts/bootstrap.sh
    expect output "" "$output"
    [ ! -e "$record" ]
    rm -r .venv
  done
}

@test "a changed lock or pyproject updates .venv in place" {
  scripts/bootstrap.sh
  touch .venv/kept
  for file in requirements.lock pyproject.toml; do
    echo '# more' >>"$file"
    run -0 scripts/bootstrap.sh
    expect_in what "bootstrap: updating .venv" "$output"
    [ -e .venv/kept ]
    run -0 scripts/bootstrap.sh
    expect "second time" "" "$output"
  done
}

@test "a checkout that was moved gets a new .venv" {
  scripts/bootstrap.sh
  touch .venv/kept
  mv "$fake" "$fake moved"
  cd "$fake moved"
  mkdir "$fake"
  PATH="$fake moved/bin:$PATH" run -0 scripts/bootstrap.sh
  expect_in what "bootstrap: making .venv" "$output"
  [ ! -e .venv/kept ]
}

# kill_half_way SIGNAL: start a bootstrap and kill it while its uv is at work; the uv lives on, its process id in `pid`.
kill_half_way() {
  touch stuck
  scripts/bootstrap.sh 3>&- &
  until [ -s pid ]; do sleep 0.05; done
  kill "-$1" $!
  wait $! || true
  rm stuck
}

@test "the next bootstrap removes what a killed one left unfinished" {
  for signal in KILL TERM; do
    kill_half_way "$signal"
    kill "$(cat pid)"
    rm pid
    expect_in stamp unfinished "$(cat .venv/.stamp)"
    touch .venv/kept
    run -0 scripts/bootstrap.sh
    expect_in what "bootstrap: making .venv" "$output"
    [ ! -e .venv/kept ]
    rm -r .venv
  done
}

@test "a bootstrap waits for what a killed one left running" {
  kill_half_way KILL
  scripts/bootstrap.sh 3>&- &
  sleep 0.5
  expect "times made so far" 1 "$(made)"
  kill "$(cat pid)"
  wait $!
  expect "times made" 2 "$(made)"
  [ -x .venv/bin/trailblazer ]
}

@test "of four bootstraps at once one makes .venv and the others wait for it" {
  touch slow
  for number in 1 2 3 4; do
    scripts/bootstrap.sh 3>&- &
  done
  wait
  expect "times made" 1 "$(made)"
  [ -x .venv/bin/trailblazer ]
}

@test "packages that cannot be installed end with 8 and a hint, and the next time starts again" {
  for shell in $shells; do
    touch broken
    run -8 "$shell" scripts/bootstrap.sh
    expect_in hint "Run the same command again" "$output"
    rm broken
    run -0 "$shell" scripts/bootstrap.sh
    [ -x .venv/bin/trailblazer ]
    rm -r .venv
  done
}

@test "without uv real pip makes a .venv that works, and shows how far it is" {
  rm bin/uv
  python3 "$checkout/tests/bats/tiny_project.py" "$fake"
  run -0 scripts/bootstrap.sh
  expect_in progress "  Installing collected" "$output"
  expect "program" "it runs" "$(.venv/bin/trailblazer)"
  run -0 scripts/bootstrap.sh
  expect output "" "$output"
}

@test "pip is tried when uv fails" {
  touch broken
  python3 "$checkout/tests/bats/tiny_project.py" "$fake"
  run -0 scripts/bootstrap.sh
  expect_in words "uv failed; trying pip" "$output"
  expect "program" "it runs" "$(.venv/bin/trailblazer)"
}

@test "a package that is not what the lock says is not installed" {
  rm bin/uv
  python3 "$checkout/tests/bats/tiny_project.py" "$fake"
  echo more >>one-1-py3-none-any.whl
  run -8 scripts/bootstrap.sh
  expect_in words "DO NOT MATCH THE HASHES" "$output"
  [ ! -e .venv/bin/trailblazer ]
}

@test "minilm installs a second lock, and stays when bootstrap is called without it" {
  run -0 scripts/bootstrap.sh minilm
  grep -q -- '-r requirements-minilm.lock' "$record"
  rm "$record"
  run -0 scripts/bootstrap.sh
  [ ! -e "$record" ]
  echo '# more' >>requirements.lock
  run -0 scripts/bootstrap.sh
  grep -q -- '-r requirements-minilm.lock' "$record"
  run -1 grep -q apprise "$record"
}

@test "several extras are installed at once or one after the other, and a word that is none is refused" {
  run -0 scripts/bootstrap.sh apprise
  grep -q -- '-r requirements-apprise.lock' "$record"
  rm "$record"
  run -0 scripts/bootstrap.sh minilm
  grep -q -- '-r requirements-apprise.lock' "$record" && grep -q -- '-r requirements-minilm.lock' "$record"
  rm "$record"
  run -0 scripts/bootstrap.sh apprise minilm
  [ ! -e "$record" ]
  run -2 scripts/bootstrap.sh apprise path
}

@test "path prints a line that a shell can read back, and makes nothing" {
  for shell in $shells; do
    run -0 "$shell" scripts/bootstrap.sh path
    [ ! -e .venv ]
    line="${output#*:  }"
    expect PATH "$fake/.venv/bin:$PATH" "$("$shell" -c "$line; printf '%s' \"\$PATH\"")"
  done
}

# hide_pythons VERSION: every python3 on the PATH is of that version; it can start nothing and has no ensurepip.
hide_pythons() {
  for name in python3 python3.11 python3.12 python3.13 python3.14; do
    write_program "bin/$name" <<PROGRAM
#!/bin/bash
case "\$*" in
  -V) echo "Python $1" ;;
  *ensurepip*) exit 1 ;;
  *version_info*) [ "$1" != 3.9.2 ] ;;
esac
PROGRAM
  done
}

@test "a Python that is too old is named, with a hint" {
  hide_pythons 3.9.2
  for shell in $shells; do
    run -8 "$shell" scripts/bootstrap.sh
    expect "first line" "bootstrap: Python 3.11 or newer is needed; python3 is Python 3.9.2" "${lines[0]}"
    expect_in hint "PYTHON=/path/to/python3" "${lines[1]}"
  done
}

@test "a Python without ensurepip is named, with a hint" {
  hide_pythons 3.13.1
  rm bin/uv
  for shell in $shells; do
    run -8 "$shell" scripts/bootstrap.sh
    expect "first line" "bootstrap: Python 3.13.1 cannot make a virtual environment without ensurepip" "${lines[0]}"
    expect_in hint "apt-get install python3-venv" "${lines[1]}"
  done
}

@test "a missing Python is named" {
  write_program bin/uname <<<'exit 0'
  for tool in bash dirname sed env zsh; do ln -s "$(command -v "$tool" || command -v true)" "bin/$tool"; done
  for shell in $shells; do
    PATH="$fake/bin" run -8 "$shell" scripts/bootstrap.sh
    expect "first line" "bootstrap: Python 3.11 or newer is needed; python3 is missing" "${lines[0]}"
  done
}

@test "the newest Python that fits is taken, and PYTHON goes before it" {
  for name in python3.13 python3.12; do
    write_program "bin/$name" <<PROGRAM
#!/bin/bash
echo "$name" >>"$fake/started"
exec "$real" "\$@"
PROGRAM
  done
  write_program bin/python3.14 <<<'exit 127'
  run -0 scripts/bootstrap.sh
  expect "taken" python3.13 "$(sort -u started)"
  rm started
  PYTHON=python3.12 run -0 scripts/bootstrap.sh
  expect "taken" python3.12 "$(sort -u started)"
}

@test "a .venv whose Python is gone is made again" {
  run -0 scripts/bootstrap.sh
  ln -sf /nowhere/python3 .venv/bin/python
  rm "$record"
  run -0 scripts/bootstrap.sh
  expect "times made" 1 "$(made)"
}

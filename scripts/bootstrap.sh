#!/usr/bin/env bash
# Usage: scripts/bootstrap.sh [minilm | path]
# Summary: Make or mend .venv from requirements.lock, every download checked by its hash.
#
# Does nothing when .venv is up to date; may be interrupted, repeated and run twice at once. `minilm` adds the embedder
# of that name (84 MB); `path` prints the line that puts just and trailblazer on the PATH, and does nothing else.
# PYTHON=python3.12 chooses an interpreter, else the newest on the PATH that fits is taken. uv is used where it is.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"

# is_new PYTHON: it runs (a pyenv shim may lead nowhere) and is 3.11 or newer.
is_new() { "$1" -Ic 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# is_fit PYTHON: it is new, and it or uv can make a virtual environment.
is_fit() { is_new "$1" && { command -v uv >/dev/null || "$1" -Ic 'import ensurepip, venv' 2>/dev/null; }; }

# choose_python NAMES…: set `python` to the first that fits, or say why there is none.
choose_python() {
  for python in "$@"; do
    ! is_fit "$python" || return 0
  done
  for python in "$@"; do
    ! is_new "$python" || refuse 8 "bootstrap: $("$python" -V) cannot make a virtual environment without ensurepip" \
      "Debian and Ubuntu: apt-get install python3-venv. Or install uv, which needs no ensurepip."
  done
  refuse 8 "bootstrap: Python 3.11 or newer is needed; $python is $("$python" -V 2>/dev/null || echo 'not there')" \
    "Install one, or name one: PYTHON=/path/to/python3 scripts/bootstrap.sh"
}

python="$checkout/.venv/bin/python"
if [ -n "${PYTHON:-}" ]; then
  choose_python "$PYTHON"
elif ! is_fit "$python"; then
  choose_python python3.14 python3.13 python3.12 python3.11 python3
fi
exec "$python" -I "$checkout/scripts/lib/make_venv.py" "$checkout" "$@"

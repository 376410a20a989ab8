#!/usr/bin/env bash
# Usage: scripts/bootstrap.sh [minilm] [apprise] [browser] | path
# Summary: Make or repair .venv from requirements.lock. The hash of every download is checked.
#
# It does nothing when .venv is up to date. It may be interrupted, repeated, and started twice at the same time.
# `minilm` adds the embedder of that name (84 MB), `apprise` the notifier for jobs that cron starts, `browser` what
# drives Chromium in the tests of the report (54 MB). `path` only prints the line that puts just and trailblazer on the
# PATH. PYTHON=python3.12 chooses an interpreter; the default is the newest suitable one on the PATH. uv is used when it
# is installed.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"

# is_new PYTHON: it runs (a pyenv shim may lead nowhere) and is 3.11 or newer.
is_new() { "$1" -Ic 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# is_fit PYTHON: it is new, and it can make a virtual environment or uv can.
is_fit() { is_new "$1" && { command -v uv >/dev/null || "$1" -Ic 'import ensurepip, venv' 2>/dev/null; }; }

# choose_python NAMES…: set `python` to the first that fits. When none fits, say why and exit.
choose_python() {
  for python in "$@"; do
    ! is_fit "$python" || return 0
  done
  for python in "$@"; do
    ! is_new "$python" || refuse 8 "bootstrap: $("$python" -V) cannot make a virtual environment without ensurepip" \
      "Debian and Ubuntu: apt-get install python3-venv. Or install uv, which needs no ensurepip."
  done
  refuse 8 "bootstrap: Python 3.11 or newer is needed; $python is $("$python" -V 2>/dev/null || echo 'missing')" \
    "Install it, or name another Python: PYTHON=/path/to/python3 scripts/bootstrap.sh"
}

python="$checkout/.venv/bin/python"
if [ -n "${PYTHON:-}" ]; then
  choose_python "$PYTHON"
elif ! is_fit "$python"; then
  choose_python python3.14 python3.13 python3.12 python3.11 python3
fi
exec "$python" -I "$checkout/scripts/lib/make_venv.py" "$checkout" "$@"

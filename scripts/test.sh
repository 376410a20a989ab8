#!/usr/bin/env bash
# Usage: scripts/test.sh [NAME] [words of pytest]
# Summary: Run the tests in four processes, all but the proofs, or only those that have NAME in their name, in one.
#
# A first word with a dash or a slash goes to pytest as it is: `-n 4`, `-x`, `tests/record`, `-m proof`. The last line
# is always `N passed, N failed`.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"

cd "$checkout"
case "${1:-}" in
  "") set -- -n 4 -m "not proof" ;;
  -* | */*) ;;
  *) set -- -k "$@" ;;
esac
unset PYTHONDONTWRITEBYTECODE # the tests start our program thousands of times: each start would compile it again
export OPENBLAS_NUM_THREADS=1 # or numpy's threads, of which each start makes some, spin beside the tests
PATH="$PATH:/usr/sbin:/sbin" exec .venv/bin/python -m pytest "$@"

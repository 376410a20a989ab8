#!/usr/bin/env bash
# Usage: scripts/lock.sh [words of `uv pip compile`, such as --upgrade]
# Summary: Write requirements.lock and a lock for each extra (minilm, apprise, browser) from pyproject.toml. It needs uv.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
command -v uv >/dev/null || refuse 8 "lock: uv is not installed" "Install uv. Only this script needs it."
cd "$checkout"
set -- --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header "$@"
uv pip compile "$@" --extra dev pyproject.toml -o requirements.lock
for extra in minilm apprise browser; do
  uv pip compile "$@" --extra "$extra" -c requirements.lock pyproject.toml -o "requirements-$extra.lock"
done

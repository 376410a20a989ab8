#!/usr/bin/env bash
# Usage: scripts/fmt.sh
# Summary: Format Python, shell scripts and the justfile.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
[ "$#" = 0 ] || refuse 2 "fmt: unknown words: $*" "Try: scripts/fmt.sh help"
cd "$checkout"
.venv/bin/ruff check --quiet --fix --exit-zero .
.venv/bin/ruff format .
.venv/bin/shfmt -w scripts/*.sh scripts/lib/*.sh .ci/run tests/bats/*.bash tests/bats/*.bats
.venv/bin/just --fmt

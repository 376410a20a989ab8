#!/usr/bin/env bash
# Usage: scripts/monitor_embedding.sh [TS | latest] [--once] [--interval SECONDS]
# Summary: Show a dispatch while it runs: a live screen on a terminal, single plain lines elsewhere.
#
# It only reads, so several may run at the same time, in tmux or over ssh. `trailblazer monitor --help` lists every word.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
become_trailblazer monitor "$@"

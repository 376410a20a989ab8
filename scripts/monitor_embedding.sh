#!/usr/bin/env bash
# Usage: scripts/monitor_embedding.sh [TS | latest] [--once] [--interval SECONDS]
# Summary: Show how a dispatch is getting on: a live screen on a terminal, plain single lines elsewhere.
#
# It only reads, so any number may run beside a dispatch, in tmux or over ssh. `trailblazer monitor --help` tells more.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
become_trailblazer monitor "$@"

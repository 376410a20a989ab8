#!/usr/bin/env bash
# Usage: scripts/nightly_dispatch.sh [ISSUE…] [--max-dispatch N] [--dry-run] [--provider NAMES] [words of nightly…]
# Summary: Take issues from the tracker and give each to an agent: gate, claim, run, prove.
#
# Words may be bare: max-dispatch=3 dry-run. A crontab line may call this script as it is: it finds its own folder, and
# programs in ~/.local/bin and among mise's shims. `scripts/cron.sh nightly` adds a lock, a dated log, a time limit and
# alerts. `trailblazer nightly --help` lists every word and every exit code.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

export PATH="${HOME:-/nonexistent}/.local/share/mise/shims:${HOME:-/nonexistent}/.local/bin:/usr/local/bin:$PATH"
answer_help "$0" "$@"
become_trailblazer nightly "$@"

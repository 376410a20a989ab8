#!/usr/bin/env bash
# Usage: scripts/cron.sh [--name NAME] VERB [words…]
# Summary: Start a verb of trailblazer as cron should: with an environment, a lock, a log, a time limit and alerts.
#
# It prints nothing when all went well, and one line when not. The exit code is that of the verb; 7 means that the job
# runs already, 124 that it reached its time limit. The log is var/logs/cron/NAME.log, the job
# file beside it says how the job ended last. The settings are in config/.trailblazer.yaml under cron. docs/cron.md says more.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
become_trailblazer cron run "$@"

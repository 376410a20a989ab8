#!/usr/bin/env bash
# Usage: scripts/embed_dispatch.sh [--plan-preflight-dir DIR | --plan-file FILE] [--qa-dir DIR]
#                                  [--skip-unchanged] [--notes TEXT] [--workers N] [--dry-run] [--resume TS]
# Summary: Dispatch embedding runs from a plan: gate, claim, run, prove.
#
# Words may be bare: plan=latest workers=4 notes="second try" skip-unchanged. Without a plan, the newest bundle in
# var/plan_preflight is used; without a bundle, var/temp_runs_to_embed.txt. A relative path starts in the current
# folder. `trailblazer dispatch --help` lists every word and every exit code.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
become_trailblazer dispatch "$@"

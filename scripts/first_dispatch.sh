#!/usr/bin/env bash
# Usage: make dispatch [words of `trailblazer dispatch`]
# Summary: Make vectors from nothing: sample runs when there are none, chunk, plan-preflight, dispatch.
#
# Unchanged runs are skipped, so the second time takes seconds; `force` embeds them again. A word that names a plan
# (plan=… plan-file=… resume=…) starts the dispatch alone: nothing is chunked or planned.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
for word in "$@"; do
  case "$word" in
    plan=* | plan-* | --plan* | resume=* | --resume* | status=* | --status*) become_trailblazer dispatch "$@" ;;
    provider=*) export TRAILBLAZER_EMBED_PROVIDER="${word#*=}" ;;
    model=*) export TRAILBLAZER_EMBED_MODEL="${word#*=}" ;;
    dimension=*) export TRAILBLAZER_EMBED_DIMENSION="${word#*=}" ;;
  esac
done

find_trailblazer
chunked=0
"$trailblazer" chunk || chunked=$?
if [ "$chunked" = 4 ]; then
  printf 'There are no runs yet. The documentation that comes with Python becomes sample runs.\n' >&2
  "$trailblazer" normalize --sample
  "$trailblazer" chunk
elif [ "$chunked" != 0 ] && [ "$chunked" != 6 ]; then
  exit "$chunked"
fi
"$trailblazer" embed plan-preflight
"$trailblazer" dispatch --plan latest --skip-unchanged "$@"

printf '\nTry next:  trailblazer ask "how do I catch an exception"\n' >&2
command -v trailblazer >/dev/null || "$checkout/scripts/bootstrap.sh" path >&2
[ "$chunked" != 6 ] || exit 6

#!/usr/bin/env bash
# Usage: make dispatch [words of `trailblazer dispatch`]
# Summary: From nothing to vectors: the sample when there are no runs, chunk, plan-preflight, dispatch.
#
# What is unchanged is skipped, so that a second time takes seconds; `force` embeds it all the same. Words that name a
# plan (plan=… plan-file=… resume=…) go straight to the dispatch: nothing is chunked or planned then.

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
  printf 'No runs yet: the text that is on every machine with Python becomes some.\n' >&2
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

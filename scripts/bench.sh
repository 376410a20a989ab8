#!/usr/bin/env bash
# Usage: scripts/bench.sh [NAME [words]]
# Summary: Measure what docs/numbers.md promises: every benchmark in benchmarks/ but growth, or the one called NAME.
#
# growth takes a quarter of an hour: `scripts/bench.sh growth docs/pictures/growth.svg` also draws its picture anew.

set -euo pipefail
export PAGER=cat LESS=-RFX
. "$(dirname -- "${BASH_SOURCE[0]:-$0}")/lib/common.sh"

answer_help "$0" "$@"
cd "$checkout"
if [ "$#" != 0 ]; then
  name="$1"
  shift
  [ -f "benchmarks/$name.py" ] || refuse 2 "bench: $name is not a benchmark" "There are: $(cd benchmarks && echo [a-z]*.py)"
  exec .venv/bin/python "benchmarks/$name.py" "$@"
fi
for file in benchmarks/[a-z]*.py; do
  [ "$file" != benchmarks/growth.py ] || continue
  printf '\n## %s\n\n' "$file"
  .venv/bin/python "$file"
done

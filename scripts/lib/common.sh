# shellcheck shell=bash
# Sourced by every script: where the checkout is, the help in a script's header, and the way to trailblazer.

checkout="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/../.." && pwd -P)"

# answer_help SCRIPT WORDS…: print the script's header and leave, when the first word asks for it.
answer_help() {
  case "${2:-}" in
    -h | --help | help)
      sed -n '2,/^$/s/^# \{0,1\}//p' "$1"
      exit 0
      ;;
  esac
}

# refuse CODE WHAT HINT: say what is wrong and what to do, and leave.
refuse() {
  printf '%s\n  %s\n' "$2" "$3" >&2
  exit "$1"
}

# enter_project: stay in a project (a folder at or under one with config/.trailblazer.yaml), else go to the checkout.
enter_project() {
  local folder="$PWD"
  while [ -n "$folder" ] && [ ! -f "$folder/config/.trailblazer.yaml" ]; do folder="${folder%/*}"; done
  [ -n "$folder" ] || cd "$checkout" || exit
}

# find_trailblazer: set `trailblazer` to the checkout's, which is made first where there is none yet.
find_trailblazer() {
  trailblazer="$checkout/.venv/bin/trailblazer"
  [ -x "$trailblazer" ] || "$checkout/scripts/bootstrap.sh" || exit
  enter_project
}

# become_trailblazer VERB WORDS…: end as the checkout's trailblazer.
become_trailblazer() {
  find_trailblazer
  exec "$trailblazer" "$@"
}

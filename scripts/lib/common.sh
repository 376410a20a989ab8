# shellcheck shell=bash
# Sourced by every script: it finds the checkout, prints the help of a script, and starts trailblazer.

checkout="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/../.." && pwd -P)"

# answer_help SCRIPT WORDS…: print the script's header and exit when the first word asks for help.
answer_help() {
  case "${2:-}" in
    -h | --help | help)
      sed -n '2,/^$/s/^# \{0,1\}//p' "$1"
      exit 0
      ;;
  esac
}

# refuse CODE WHAT HINT: print what is wrong and what to do, and exit with CODE.
refuse() {
  printf '%s\n  %s\n' "$2" "$3" >&2
  exit "$1"
}

# enter_project: stay in a project (a folder with config/.trailblazer.yaml, or below one), else go to the checkout.
enter_project() {
  local folder="$PWD"
  while [ -n "$folder" ] && [ ! -f "$folder/config/.trailblazer.yaml" ]; do folder="${folder%/*}"; done
  [ -n "$folder" ] || cd "$checkout" || exit
}

# find_trailblazer: set `trailblazer` to the program of the checkout, and make .venv first when it is missing.
find_trailblazer() {
  trailblazer="$checkout/.venv/bin/trailblazer"
  [ -x "$trailblazer" ] || "$checkout/scripts/bootstrap.sh" || exit
  enter_project
}

# become_trailblazer VERB WORDS…: run the checkout's trailblazer in place of the script.
become_trailblazer() {
  find_trailblazer
  exec "$trailblazer" "$@"
}

"""Install what Tab completes in bash and zsh, and the manual page.

  trailblazer completions install
  trailblazer completions script       the script that both shells take
  trailblazer completions man          the manual page as roff

`install` writes below ~/.local/share, or XDG_DATA_HOME. At each Tab the shell asks trailblazer: verbs, actions, words
(--name and name=), choices, dispatches, runs, scenarios and providers are those of that moment."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the three actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="write the completions and the manual page, and say where")
    install.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    install.add_argument("--json", action="store_true", help="the paths as one JSON object")
    actions.add_parser("script", help="print the script that bash and zsh take")
    actions.add_parser("man", help="print the manual page as roff")


def run(words: argparse.Namespace) -> int:
    """Carry out one action: paths, script and page go to stdout, what is left to do to stderr."""
    from importlib.metadata import version

    from trailblazer.events import Console
    from trailblazer.paths import timestamp
    from trailblazer.reports.answers import print_answer
    from trailblazer.words.shells import install, pieces, share

    found = pieces(version("trailblazer"), timestamp()[:10])
    if words.action != "install":
        print(found[0 if words.action == "script" else -1].content, end="")
        return 0
    folder = share()
    written = [folder / piece.place for piece in found] if words.dry_run else install(found, folder)
    if words.json:
        print_answer("completions install", "would change" if words.dry_run else "done", written)
    else:
        print(*written, sep="\n")
    say = Console().say
    if words.dry_run:
        say("Nothing was written.")
        return 0
    say(f"bash: a new shell completes where bash-completion is installed; else put into ~/.bashrc:  . '{written[0]}'")
    say(f"zsh: put into ~/.zshrc:  fpath=('{written[1].parent}' $fpath); autoload -Uz compinit; compinit")
    say("man trailblazer works in a new shell.")
    return 0

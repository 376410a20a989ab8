"""Keep prompts/ in order: each prompt is NNN_slug.md, and prompts/README.md is the index.

  trailblazer prompts index       write the index
  trailblazer prompts archive     move files with other names away

They go to var/archive/prompts/<TS>/. Nothing is deleted."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    index = actions.add_parser("index", help="write prompts/README.md")
    archive = actions.add_parser("archive", help="move files with other names to var/archive/prompts/<TS>/")
    archive.add_argument("--dry-run", action="store_true", help="say what would be moved, and move nothing")
    for action in (index, archive):
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Do the action. The path of the index or of the archive goes to stdout, messages for people go to stderr."""
    from trailblazer.config import load_config
    from trailblazer.events import Console
    from trailblazer.providers import prompt_files
    from trailblazer.reports.answers import print_answer

    places, say = load_config().places, Console().say
    if words.action == "index":
        index = prompt_files.write_index(places)
        if words.json:
            print_answer("prompts index", "done", [index])
        else:
            print(index)
        return 0
    paths = prompt_files.find_nonconforming(places)
    target = prompt_files.archive(places, paths) if paths and not words.dry_run else None
    for path in paths:
        say(f"prompts: {path.name} is not named NNN_slug.md: {'would be archived' if words.dry_run else 'archived'}")
    if not paths:
        say("prompts: every file conforms")
    if words.json:
        state = "unchanged" if not paths else "would change" if words.dry_run else "done"
        print_answer("prompts archive", state, [target] if target else [], {"files": len(paths)})
    elif target is not None:
        print(target)
    return 0

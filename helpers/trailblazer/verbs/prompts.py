"""Keep the prompts in their one form: prompts/NNN_slug.md, and prompts/README.md as their index.

trailblazer prompts index       write the index
trailblazer prompts archive     move what has another form to var/archive/prompts/<TS>/; nothing is deleted"""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("index", help="write prompts/README.md")
    archive = actions.add_parser("archive", help="move what is no prompt to var/archive/prompts/<TS>/")
    archive.add_argument("--dry-run", action="store_true", help="say what would be moved, and move nothing")


def run(words: argparse.Namespace) -> int:
    """Carry out one action: the file or the folder it made to stdout, words for people to stderr."""
    from trailblazer.config import load_config
    from trailblazer.events import Words
    from trailblazer.providers import prompt_files

    places, say = load_config().places, Words().say
    if words.action == "index":
        print(prompt_files.write_index(places))
        return 0
    strangers = prompt_files.find_strangers(places)
    for stranger in strangers:
        say(f"prompts: {stranger.name} is not NNN_slug.md" + ("" if words.dry_run else "; archived"))
    if strangers and not words.dry_run:
        print(prompt_files.archive(places, strangers))
    return 0

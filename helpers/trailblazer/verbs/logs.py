"""Prune what is old in var/logs: dispatch folders, what workers ran with, and events that were put aside.

  trailblazer logs prune            say what would go
  trailblazer logs prune --yes      delete it

A dispatch that is running is never touched, however old."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the one action and its flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prune = actions.add_parser("prune", help="delete what is older than so many days; without --yes only say it")
    prune.add_argument("--days", type=float, default=14, metavar="D", help="how old is too old (14)")
    prune.add_argument("--yes", action="store_true", help="delete; without it nothing is")


def run(words: argparse.Namespace) -> int:
    """Print what is old, one path a line, and delete it when that was asked for."""
    from trailblazer.config import load_config
    from trailblazer.errors import WordsWrong
    from trailblazer.events import Words
    from trailblazer.record.pruning import find_old, remove

    if words.days < 0:
        raise WordsWrong("--days is at least 0", "trailblazer logs prune --days 14")
    places = load_config().places
    old = find_old(places, words.days)
    for path in old:
        print(path)
    if not words.yes:
        hint = ": --yes deletes them" if old else ""
        Words().say(f"{len(old)} are older than {words.days:g} days; nothing was deleted{hint}")
        return 0
    gone = sum(remove(places, path) for path in old)
    Words().say(f"{gone} of {len(old)} deleted", "green")
    return 0

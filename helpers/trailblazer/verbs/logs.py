"""Delete what is old in var/logs: dispatch folders, the settings of workers, and rotated events.

  trailblazer logs prune            list what would be deleted
  trailblazer logs prune --yes      delete it

A running dispatch is never deleted, however old it is."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the one action and its flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prune = actions.add_parser("prune", help="delete what is older than --days; without --yes only list it")
    prune.add_argument(
        "--days", type=float, default=14, metavar="D", help="delete what is older than D days (default: 14)"
    )
    prune.add_argument("--dry-run", action="store_true", help="only list it, whatever else is said")
    prune.add_argument("--yes", action="store_true", help="delete; without it nothing is deleted")
    prune.add_argument("--json", action="store_true", help="the answer as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Print what is old, one path a line. Delete it with --yes."""
    from trailblazer.config import load_config
    from trailblazer.events import Console
    from trailblazer.plain import counted
    from trailblazer.record.pruning import clean_leftovers, find_old, remove
    from trailblazer.reports.answers import print_answer

    places = load_config().places
    old = find_old(places, words.days)
    only_looks = words.dry_run or not words.yes
    if not words.json:
        for path in old:
            print(path)
    elif only_looks:
        print_answer("logs prune", "would change" if old else "unchanged", old, {"old": len(old)})
    if only_looks:
        hint = ": add --yes to delete" if old and not words.dry_run else ""
        Console().say(f"Older than {words.days:g} days: {len(old)}; nothing was deleted{hint}")
        return 0
    gone = sum(remove(places, path) for path in old)
    if words.json:
        counts = {"old": len(old), "deleted": gone}
        print_answer("logs prune", "done" if gone else "unchanged", old, counts)
    if left := clean_leftovers(places):
        Console().say(f"Deleted: {counted(left, 'file')} of processes that are gone", "green")
    Console().say(f"Deleted: {gone} of {len(old)}", "green")
    return 0

"""Show what all dispatches came to: one line each, the oldest first, and what fails again and again.

  trailblazer history
  trailblazer history --json

`trailblazer report --index` is the same as a page."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument("--json", action="store_true", help="print the history as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Print the history."""
    from trailblazer.config import load_config
    from trailblazer.reports.answers import print_document
    from trailblazer.reports.history.document import document_of_history
    from trailblazer.reports.history.page import lines_of_history
    from trailblazer.reports.history.reading import read_history

    config = load_config()
    history = read_history(config.places, config["gates.park_after"])
    if words.json:
        print_document("history", document_of_history(history))
        return 0
    for line in lines_of_history(history):
        print(line)
    return 0

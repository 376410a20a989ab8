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
    import json

    from trailblazer.config import load_config
    from trailblazer.reports.history.document import document_of_history
    from trailblazer.reports.history.page import lines_of_history
    from trailblazer.reports.history.reading import read_history

    history = read_history(load_config().places)
    if words.json:
        print(json.dumps(document_of_history(history), indent=2))
        return 0
    for line in lines_of_history(history):
        print(line)
    return 0

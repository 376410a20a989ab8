"""Show a dispatch until it ends: a live screen on a terminal, single lines elsewhere."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch and its flags."""
    parser.add_argument(
        "dispatch", nargs="?", default="latest", help="a DISPATCH_TS, its folder, or latest (the default)"
    )
    parser.add_argument("--once", action="store_true", help="show the state once, then end")
    parser.add_argument(
        "--interval",
        type=float,
        default=0,
        metavar="S",
        help="seconds between two states (default: 1 on a live screen, else 10)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a state, as `dispatch --status` does")
    parser.add_argument("--plain", action="store_true", help="print single lines on a terminal too")


def run(words: argparse.Namespace) -> int:
    """Show the dispatch again and again until it has ended."""
    import sys

    from trailblazer.config import load_config
    from trailblazer.events import can_draw
    from trailblazer.record.folder import find_folder
    from trailblazer.reports import monitoring

    folder = find_folder(load_config().places, words.dispatch)
    if words.once or words.plain or words.json or not can_draw(sys.stdout):
        monitoring.print_lines(folder, interval=words.interval or 10, once=words.once, as_json=words.json)
    else:
        monitoring.draw(folder, interval=words.interval or 1)
    return 0

"""Show a dispatch until it ends: a live screen on a terminal, single lines elsewhere.

  trailblazer monitor                          the one that runs, else the newest
  trailblazer monitor --wait                   the next one that starts
  trailblazer monitor --json --interval 60     a JSON object a minute

Without any dispatch it waits for the first one, for half a minute at most."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from trailblazer.paths import Places

LOOK_SECONDS = 0.2
FIRST_SECONDS = 30.0


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch and its flags."""
    parser.add_argument("dispatch", nargs="?", help="a DISPATCH_TS, its folder, or latest (default: the one that runs)")
    parser.add_argument("--once", action="store_true", help="show the state once, then end")
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=3600,
        metavar="S",
        help="wait until it runs, S seconds at most (an hour), also when it has ended and is resumed",
    )
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
    from trailblazer.reports import monitoring

    folder = _choose(load_config().places, words.dispatch, words.wait, is_patient=not words.once)
    if words.once or words.plain or words.json or not can_draw(sys.stdout):
        monitoring.print_lines(folder, interval=words.interval or 10, once=words.once, as_json=words.json)
    else:
        monitoring.draw(folder, interval=words.interval or 1)
    return 0


def _choose(places: Places, name: str | None, wait: float | None, *, is_patient: bool) -> Path:
    """Return the dispatch to show: the named one, else one that runs, else the newest. Wait for it where asked to.

    One that is patient waits a little for the first dispatch of all.
    """
    import time

    from trailblazer.dispatch.control import running_dispatches
    from trailblazer.errors import PlanUnusable
    from trailblazer.record.folder import find_folder
    from trailblazer.streams import tell

    limit = wait if wait is not None else FIRST_SECONDS if is_patient else 0.0
    deadline, has_said = time.monotonic() + limit, False
    while True:
        running = running_dispatches(places)
        try:
            named = find_folder(places, name) if name is not None else None
            if wait is None or named in running:
                return named or (running[-1] if running else find_folder(places, "latest"))
            if named is None and running:
                return running[-1]
        except PlanUnusable:
            if name not in {None, "latest"} or time.monotonic() >= deadline:
                raise
        if time.monotonic() >= deadline:
            raise PlanUnusable(f"no dispatch started within {limit:g} s", "To start one: trailblazer dispatch.")
        if not has_said:
            has_said = True
            tell("monitor: waiting for a dispatch to start\n")
        time.sleep(LOOK_SECONDS)

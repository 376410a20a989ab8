"""Which suite is meant where none is named."""

from __future__ import annotations

from pathlib import Path

from trailblazer.errors import PlanUnusable
from trailblazer.paths import Places
from trailblazer.signals.agents import signals_of
from trailblazer.signals.documents import ENDED
from trailblazer.signals.suite import Suite, find_suites

MOST_LOOKED_AT = 20  # suites, the newest ones


def choose_suite(places: Places, name: str | None) -> Suite:
    """Return the suite that an id or a folder names; without a name the newest one in which a signal is open.

    Where none is open, it is the newest one. An unknown suite is PlanUnusable (exit 4).
    """
    if name and (Path(name) / "signals").is_dir():
        return Suite(Path(name))
    suites = sorted(find_suites(places), key=lambda suite: suite.folder.stat().st_mtime_ns, reverse=True)
    found = [suite for suite in suites if name in {None, suite.folder.name}]
    if not found:
        what = f"there is no suite {name}" if name else "there is no suite"
        known = ", ".join(suite.folder.name for suite in suites[:5])
        raise PlanUnusable(what, f"The newest ones: {known}." if known else "To start one: trailblazer calibrate.")
    return next(filter(_has_open_signal, found[:MOST_LOOKED_AT]), found[0])


def _has_open_signal(suite: Suite) -> bool:
    return any(found.signal.status not in ENDED for found in signals_of(suite))

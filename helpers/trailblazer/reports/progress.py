"""How a dispatch is getting on: a live view on a terminal, and a single line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from trailblazer.events import Console, can_draw
from trailblazer.record.outcomes import Status
from trailblazer.record.standing import Standing
from trailblazer.streams import is_hushed, tell

STALL_SECONDS = 300.0


def in_words(seconds: float) -> str:
    """Return a duration for people: 32s, 5m 32s, 2h 05m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def percent(part: int, whole: int) -> int:
    """Return a share in whole percent, rounded half up; nothing of nothing is 0, and 100 is all of it."""
    rounded = (200 * part + whole) // (2 * whole) if whole else 0
    return min(rounded, 99) if part < whole else rounded


def progress_line(standing: Standing, seconds: float) -> str:
    """Return the line of P3: `[Progress] 15/50 completed (30%) | Success: 13/15 (87%) | Errors: 2 | …`.

    Cancelled items are not completed. Success is a share of what ran; skipped items are counted by themselves.
    """
    completed, good = standing.completed, standing.good
    skipped, ran = standing.counts[Status.SKIPPED], completed - standing.counts[Status.SKIPPED]
    return (
        f"[Progress] {completed}/{standing.planned} completed ({percent(completed, standing.planned)}%)"
        f" | Success: {good}/{ran} ({percent(good, ran)}%)"
        f" | Errors: {standing.counts[Status.ERROR]}"
        f" | Timeouts: {standing.counts[Status.TIMEOUT]}"
        + (f" | Skipped: {skipped}" if skipped else "")
        + f" | Runtime: {in_words(seconds)}"
    )


def work_line(work: Mapping[str, Any]) -> str:
    """Return what progress.json adds to a line: ` | Chunks: 3,456/10,000 (35%) | 1,200/min | ETA 5m 27s`."""
    rate, left, done, planned = work["ratePerMinute"], work["etaSeconds"], work["done"], work["planned"]
    return (
        f" | {work['unit'].capitalize()}: {done:,}/{planned:,} ({percent(done, planned)}%)"
        + (f" | {rate:,.0f}/min" if rate else "")
        + (f" | ETA {in_words(left)}" if left is not None else "")
    )


def has_view(interval: float) -> bool:
    """Say whether a live view is drawn: on a terminal that can, unless words or progress are not wanted."""
    return can_draw(sys.stderr) and not is_hushed() and interval > 0


class View(Protocol):
    """A live view that is drawn."""

    def say(self, text: str) -> None:
        """Print text above the view."""

    def hidden(self) -> AbstractContextManager[None]:
        """Take the view away while it is entered."""


class Progress:
    """Shows how a plan stands: every `interval` seconds (0 is never), and always once at the end.

    On a terminal a live view is drawn between the words while `live` is entered. A stall is said once, and again when
    it recurs. `more` is what a lane adds to the line, `waiting` says for whom everything waits. When `asked` counts
    more than before, the lines of `state` are said.
    """

    def __init__(
        self,
        console: Console,
        *,
        interval: float,
        asked: Callable[[], int] = lambda: 0,
        state: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._console, self._interval, self._asked, self._state = console, interval, asked, state
        self._view: View | None = None
        self._started = self._shown = self._moved = time.monotonic()
        self._settled = -1
        self._answered = 0
        self._has_stalled = False
        self.more = self.waiting = ""

    @contextlib.contextmanager
    def live(self, make_view: Callable[[], AbstractContextManager[View]]) -> Iterator[None]:
        """Draw the live view while it is entered, where there is a terminal."""
        if not has_view(self._interval):
            yield
            return
        with make_view() as view:
            self._view, self._console.out = view, view.say
            try:
                yield
            finally:
                self._view, self._console.out = None, tell

    def show(self, standing: Standing) -> None:
        """Show what is due."""
        now = time.monotonic()
        if standing.settled != self._settled:
            self._settled, self._moved, self._has_stalled = standing.settled, now, False
        elif now - self._moved >= STALL_SECONDS and not self._has_stalled and not self.waiting:
            self._has_stalled = True
            self.say(f"Warning: nothing has completed for {in_words(now - self._moved)}", "yellow")
        if self._asked() > self._answered:
            self._answered = self._asked()
            for line in self._state():
                self.say(line)
        if self._view is None and self._interval and now - self._shown >= self._interval:
            self._shown = now
            self.sum_up(progress_line(standing, now - self._started) + self.more + self.waiting)

    def say(self, line: str, colour: str = "") -> None:
        """Say what has just happened; it stands above the live view, and elsewhere begins with the date."""
        self._console.say(line, colour)

    def sum_up(self, line: str) -> None:
        """Say what the whole came to, in a line whose form is fixed (P3), or in a table: without the date."""
        self._console.say(line, is_form=True)

    def log(self, line: str) -> None:
        """Write a line into the log of words alone."""
        self._console.log(line)

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """While it is entered the live view is away, so that something else can be printed, or asked."""
        with self._view.hidden() if self._view is not None else contextlib.nullcontext():
            yield

    def end(self, standing: Standing) -> None:
        """Show the last line."""
        self.sum_up(progress_line(standing, time.monotonic() - self._started))

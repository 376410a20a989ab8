"""In which slot each attempt ran, and what the slots did over time."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from trailblazer.reports.course.columns import Columns
from trailblazer.reports.course.model import Bar

MOST_BARS = 300
MOST_SLOTS = 40  # of which each has a line of its own
_LETTERS = {"success": "g", "unchanged": "g", "error": "f", "timeout": "f"}
LEAST_SHARE = 0.02  # a slot that was busy for less of a column was idle


class Open(NamedTuple):
    """An attempt that runs: its slot, its start in seconds, and what the journal calls it."""

    slot: int
    start: float
    item: str
    attempt: int
    at: str


class Slots:
    """Puts each attempt into the lowest slot that is free: the journal does not say where it ran."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._free: list[int] = []
        self.most = 0
        self.open: dict[int, Open] = {}
        self._bars: list[Bar] = []
        self._is_crowded = False

    def begin(self, index: int, item: str, attempt: int, moment: float, at: str) -> None:
        """Take in that an attempt begins. An earlier one of the same item is over."""
        if index in self.open:
            self.end(index, moment, "cancelled")
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot, self.most = self.most, self.most + 1
        self.open[index] = Open(slot, moment, item, attempt, at)

    def end(self, index: int, moment: float, status: str) -> float | None:
        """Take in that an attempt ends, and return how many seconds it took; None if none ran."""
        one = self.open.pop(index, None)
        if one is None:
            return None
        heapq.heappush(self._free, one.slot)
        if one.slot < MOST_SLOTS:
            self._columns.spread(one.start, moment, "busy", (one.slot, _LETTERS.get(status, "o")))
        else:
            self._columns.spread(one.start, moment, "busy")
        if not self._is_crowded:
            self._bars.append(Bar(one.slot, one.start, moment, one.item, one.attempt, status))
            self._is_crowded = len(self._bars) > MOST_BARS
        return moment - one.start

    def end_all(self, moment: float, status: str) -> None:
        """Take in that every attempt has ended: the process that made them is gone."""
        for index in list(self.open):
            self.end(index, moment, status)

    def bars(self, now: float) -> tuple[Bar, ...]:
        """Return every attempt, those that run among them; none where they are too many to be seen."""
        running = [Bar(one.slot, one.start, now, one.item, one.attempt, "running") for one in self.open.values()]
        return () if self._is_crowded else tuple(self._bars + running)

    def letters(self, used: int) -> tuple[str, ...]:
        """Return for each slot a letter a column: the worst that ran there, `.` where nothing did."""
        shown = min(self.most, MOST_SLOTS)
        return tuple(self._letters_of(slot, used) for slot in range(shown))

    def _letters_of(self, slot: int, used: int) -> str:
        least = LEAST_SHARE * self._columns.width
        rows = [(letter, self._columns.of((slot, letter), used)) for letter in "fog"]
        return "".join(
            next((letter for letter, row in rows if row[column] > (0 if letter == "f" else least)), ".")
            for column in range(used)
        )

"""What a dispatch is doing at this moment, by the lines of its journal: for the live view and for monitors."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from trailblazer.record.admission import To
from trailblazer.record.lines import (
    Closed,
    LeftRunning,
    Line,
    Postponed,
    Resumed,
    Retried,
    Settled,
    Started,
    Steered,
    Switched,
)
from trailblazer.record.outcomes import FAILED, Status
from trailblazer.record.standing import Standing

RECENT = 12
ITEMS = "items"  # the unit of a dispatch whose lane knows of no smaller work
WINDOW = 100  # the rate is that of so many items


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that has begun and not been settled. `since` is in epoch seconds."""

    item: str
    index: int
    attempt: int
    since: float


class Board:
    """Follows the lines of a journal, after its standing did; moments are in epoch seconds."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.running: dict[int, Running] = {}
        self.failures: deque[tuple[str, str]] = deque(maxlen=RECENT)
        self.recent: deque[float] = deque(maxlen=WINDOW)
        self.is_ending = False
        self.slots: int | None = None
        self.closed: dict[str, Switched] = {}
        self.waiting: Switched | None = None

    def follow(self, line: Line, moment: float) -> None:
        """Take in one line."""
        match line:
            case Started():
                self.running[line.index] = Running(line.item, line.index, line.attempt, moment)
            case Settled():
                self.running.pop(line.index, None)
                if line.status != Status.CANCELLED:
                    self.recent.append(moment)
                if line.status in FAILED:
                    self.failures.append((f"{line.item} (task_{line.index})", line.reason))
            case Retried() | Postponed() | LeftRunning():
                self.running.pop(line.index, None)
            case Switched():
                self._switch(line)
            case Steered():
                self._steer(line)
            case Resumed() | Closed():
                self.running.clear()
                self.closed.clear()
                self.waiting, self.is_ending, self.slots = None, False, None
            case _:
                pass

    def _switch(self, line: Switched) -> None:
        if line.to == To.CLOSED:
            self.closed[line.provider] = line
        elif line.to == To.OPENED:
            self.closed.pop(line.provider, None)
        elif line.to in {To.WAITING, To.WAITED}:
            self.waiting = line if line.to == To.WAITING else None

    def _steer(self, line: Steered) -> None:
        match line.action:
            case "drain" | "stop":
                self.is_ending = True
            case "workers":
                self.slots = int(line.word)
            case _:
                pass

    def rate(self, now: float) -> float | None:
        """Return items completed a second, over the last hundred; cancelled items do not count."""
        if not self.recent:
            return None
        seconds = now - self.recent[0]
        return len(self.recent) / seconds if seconds > 0 else None

    def oldest(self, most: int) -> list[Running]:
        """Return the attempts that run longest."""
        running = list(self.running.values())  # at once: the slots go on changing it
        running.sort(key=lambda one: one.since)
        return running[:most]


@dataclass(frozen=True, slots=True)
class Progressing:
    """How much of a dispatch is done. `unit` is what the work is counted in; `rate` is units a second."""

    unit: str
    done: int
    planned: int
    rate: float | None
    left: float | None


def progress_of(board: Board, work: dict[str, Any] | None, now: float) -> Progressing:
    """Return how much is done, by progress.json where a lane counts smaller work, else by the items."""
    standing = board.standing
    if work is None:
        rate = board.rate(now)
        left = standing.unrun / rate if rate else None
        return Progressing(ITEMS, standing.completed, standing.planned, rate, left)
    return Progressing(
        work["unit"], work["done"], work["planned"], (work["ratePerMinute"] or 0) / 60, work["etaSeconds"]
    )

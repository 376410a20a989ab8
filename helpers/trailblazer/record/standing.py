"""How each item of a plan stands, by the lines of the journal."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from trailblazer.processes.identity import holder_name
from trailblazer.record.journal import read_journal, read_written
from trailblazer.record.lines import (
    Begun,
    Closed,
    Grown,
    Line,
    Opened,
    Postponed,
    Resumed,
    Retried,
    Settled,
    Started,
    Steered,
    Switched,
)
from trailblazer.record.outcomes import Refusal, Status
from trailblazer.record.tallies import Tallies


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Attempts that began together and have no outcome, as pairs of index and number. `handle` finds their work."""

    attempts: tuple[tuple[int, int], ...]
    handle: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A standing at one moment.

    `places` holds for each item the byte of the journal where its outcome begins (-1: none), and `earlier` the bytes
    where its earlier tries ended. `head` is the SHA-256 of the journal's last line.
    """

    counts: Mapping[str, int]
    usage: Mapping[str, float]
    places: array[int]
    earlier: Mapping[int, list[int]]
    head: str
    providers: Sequence[Mapping[str, Any]] = ()


class Standing:
    """How each item stands: 14 bytes an item, and a count per status.

    Only `follow` changes it, both when a journal is written and when it is read. A line about an item that is not in
    the plan is an IndexError.
    """

    _CODES: tuple[Status | None, ...] = (None, *Status)
    _REFUSALS: tuple[Refusal, ...] = tuple(Refusal)
    _CODE_OF: ClassVar[dict[str, int]] = {status: code for code, status in enumerate(Status, start=1)}
    _REFUSAL_OF: ClassVar[dict[str, int]] = {refusal: code for code, refusal in enumerate(Refusal)}

    def __init__(self, planned: int = 0) -> None:
        self._plan(planned)
        self.counts = dict.fromkeys(Status, 0)
        self.refused = dict.fromkeys(Refusal, 0)
        self.usage: dict[str, float] = {}
        self.earlier: dict[int, list[int]] = {}
        self.resumes = self.growths = 0
        self.is_paused = False
        self.tallies = Tallies()
        self._started: dict[int, int] = {}
        self._begun: dict[int, Unfinished] = {}

    def _plan(self, planned: int) -> None:
        self.planned = 0
        self._codes, self._refused = bytearray(), bytearray()
        self._attempts, self._places = array("I"), array("q")
        self._grow(planned)

    def _grow(self, more: int) -> None:
        self._codes.extend(bytes(more))
        self._refused.extend(bytes(more))
        self._attempts.extend(array("I", [0]) * more)
        self._places.extend(array("q", [-1]) * more)
        self.planned += more

    def follow(self, line: Line, place: int = -1) -> None:
        """Take in one line of the journal, which begins at the byte `place`."""
        match line:
            case Settled():
                self._settle(line, place)
            case Started():
                self._attempts[line.index] = max(line.attempt, self._attempts[line.index])
                self._started[line.index] = line.attempt
                if line.handle:
                    self._begun[line.index] = Unfinished(((line.index, line.attempt),), line.handle)
            case Begun():
                group = Unfinished(tuple([(index, number) for index, number in line.attempts]), line.handle)
                for index, _ in group.attempts:
                    self._begun[index] = group
            case Retried() | Postponed():
                self._forget(line.index)
                self._spend(line.usage)
                self.tallies.follow(line)
                self.earlier.setdefault(line.index, []).append(place)
            case Opened():
                self._plan(line.planned)
            case Grown():
                self._grow(line.planned - self.planned)
                self.growths += 1
            case Steered(action="pause" | "resume"):
                self.is_paused = line.action == "pause"
            case Resumed():
                self.resumes += 1
                self.is_paused = False
                self.tallies.follow(line)
            case Switched() | Closed():
                self.tallies.follow(line)
            case _:
                pass

    def _settle(self, line: Settled, place: int) -> None:
        index, code, refusal_code = line.index, self._CODE_OF[line.status], self._REFUSAL_OF[line.refusal]
        status, refusal = Status(line.status), self._REFUSALS[refusal_code]
        earlier = self.of(index)
        if earlier is not None:
            self.counts[earlier] -= 1
            self.refused[self._REFUSALS[self._refused[index]]] -= 1
        self._codes[index] = code
        self._refused[index] = refusal_code
        self._attempts[index] = max(line.attempt, self._attempts[index])
        self._places[index] = place
        self.counts[status] += 1
        self.refused[refusal] += 1
        self._forget(index)
        self._spend(line.usage)
        if "provider" in line.details:
            self.tallies.follow(line)

    def _forget(self, index: int) -> None:
        self._started.pop(index, None)
        self._begun.pop(index, None)

    def _spend(self, usage: Mapping[str, float]) -> None:
        for name, amount in usage.items():
            self.usage[name] = self.usage.get(name, 0) + amount

    def of(self, index: int) -> Status | None:
        """Return the status of an item, or None while it has no outcome."""
        return self._CODES[self._codes[index]]

    def refusal_of(self, index: int) -> Refusal:
        """Return who refused an item, if anybody did."""
        return self._REFUSALS[self._refused[index]]

    def place_of(self, index: int) -> int:
        """Return the byte of the journal where the newest outcome of an item begins, -1 without one."""
        return self._places[index]

    def attempt_of(self, index: int) -> int:
        """Return the number of an item's newest attempt, 0 before the first."""
        return self._attempts[index]

    def snapshot(self, head: str) -> Snapshot:
        """Return the standing as it is now."""
        usage = dict(sorted(self.usage.items()))
        return Snapshot(self.counted(), usage, self._places[:], dict(self.earlier), head, self.tallies.rows())

    def unfinished(self) -> list[Unfinished]:
        """Return the attempts that began and have no outcome, in the groups in which they began."""
        groups: dict[tuple[tuple[int, int], ...], Unfinished] = {}
        for index, number in self._started.items():
            begun = self._begun.get(index)
            handle = begun.handle if begun else {}
            together = begun.attempts if begun else ((index, number),)
            left = tuple((i, n) for i, n in together if self._started.get(i) == n)
            groups.setdefault(together, Unfinished(left, handle))
        return list(groups.values())

    def runs(self, index: int) -> bool:
        """Say whether an attempt at an item has begun and has no outcome."""
        return index in self._started

    @property
    def waiting(self) -> int:
        """How many items have no outcome and do not run."""
        return self.unrun - sum(1 for index in list(self._started) if self.of(index) is None)

    @property
    def running(self) -> int:
        """How many attempts have begun and have no outcome."""
        return len(self._started)

    @property
    def has_begun(self) -> bool:
        """Whether any attempt has ever begun."""
        return any(self._attempts)

    @property
    def settled(self) -> int:
        """How many items have an outcome."""
        return sum(self.counts.values())

    @property
    def completed(self) -> int:
        """How many items have an outcome and were not cancelled."""
        return self.settled - self.counts[Status.CANCELLED]

    @property
    def good(self) -> int:
        """How many items have a good result."""
        return self.counts[Status.SUCCESS] + self.counts[Status.UNCHANGED]

    @property
    def failed(self) -> int:
        """How many items failed: errors and time-outs."""
        return self.counts[Status.ERROR] + self.counts[Status.TIMEOUT]

    @property
    def unrun(self) -> int:
        """How many items have no outcome."""
        return self.planned - self.settled

    def counted(self) -> dict[str, int]:
        """Return how many items are planned, have each status, and have none, by the names of the documents."""
        by_status = {status.value: self.counts[status] for status in Status}
        return {"planned": self.planned, **by_status, "unrun": self.unrun}


def earlier_holders(journal: Path) -> list[str]:
    """Return the processes that held a dispatch before the present one, as host/pid.

    All of them have ended: a holder keeps the folder's lock as long as it lives.
    """
    lines = [line for line in read_journal(journal) if isinstance(line, Opened | Resumed) and line.host]
    return [holder_name(line.host, line.pid) for line in lines[:-1]]


def read_standing(journal: Path) -> tuple[Standing, str]:
    """Return the standing by a journal, and the SHA-256 of the journal's last line."""
    standing, head = Standing(), ""
    for written in read_written(journal):
        standing.follow(written.line, written.place)
        head = written.sha256
    return standing, head

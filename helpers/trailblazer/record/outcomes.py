"""Items, what an attempt at one came to, and how a whole plan stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trailblazer.errors import Trouble


class Status(StrEnum):
    """What an item came to; the first two are good, and a resumed dispatch does not run them again."""

    SUCCESS = "success"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


GOOD = frozenset({Status.SUCCESS, Status.UNCHANGED})
FAILED = frozenset({Status.ERROR, Status.TIMEOUT})


class Refusal(StrEnum):
    """The three kinds of no, and whose they are."""

    NONE = ""
    GATE = "gate"  # a free check refused the item
    HELD = "held"  # somebody else works on the item
    TRANSIENT = "transient"  # asking again later may help
    FINAL = "final"  # asking again changes nothing, for no item


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of work: its place in the plan (from 0), its id, and what a lane needs to know of it."""

    index: int
    id: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to. `reason` is one line; `details` goes into the journal as it is."""

    status: Status
    reason: str = ""
    refusal: Refusal = Refusal.NONE
    details: Mapping[str, Any] = field(default_factory=dict)


class Standing:
    """How the items of a plan stand: two bytes an item, and a count per status."""

    _CODES: tuple[Status | None, ...] = (None, *Status)
    _REFUSALS: tuple[Refusal, ...] = tuple(Refusal)

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self._codes = bytearray(planned)
        self._refused = bytearray(planned)
        self.counts = dict.fromkeys(Status, 0)
        self.refused = dict.fromkeys(Refusal, 0)
        self.usage: dict[str, float] = {}

    def settle(self, index: int, outcome: Outcome) -> None:
        """Write down the newest outcome of an item; an earlier one no longer counts."""
        earlier = self.of(index)
        if earlier is not None:
            self.counts[earlier] -= 1
            self.refused[self._REFUSALS[self._refused[index]]] -= 1
        self._codes[index] = self._CODES.index(outcome.status)
        self._refused[index] = self._REFUSALS.index(outcome.refusal)
        self.counts[outcome.status] += 1
        self.refused[outcome.refusal] += 1
        for name, amount in outcome.details.get("usage", {}).items():
            self.usage[name] = self.usage.get(name, 0) + amount

    def of(self, index: int) -> Status | None:
        """Return the status of an item, None while it has none."""
        return self._CODES[self._codes[index]]

    @property
    def settled(self) -> int:
        """How many items have an outcome."""
        return sum(self.counts.values())

    @property
    def completed(self) -> int:
        """How many items have an outcome of their own: all but those that were cancelled."""
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


class AttemptEnded(Trouble):
    """An attempt was ended before it came to anything: its time was up, or the dispatch was interrupted."""

    def __init__(self, what: str, status: Status) -> None:
        super().__init__(what)
        self.status = status

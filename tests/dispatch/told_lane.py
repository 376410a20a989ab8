"""A lane that does what a test tells it, and a record for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from trailblazer.dispatch.engine import Closing, Limits, carry_out
from trailblazer.paths import Places
from trailblazer.processes.children import Children
from trailblazer.record import folder as record
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item, Outcome, Refusal, Standing, Status

SEED = {
    "planPreflightDir": None,
    "planFileUsed": "list.txt",
    "runsPlanned": 1,
    "provider": "test",
    "model": None,
    "dimension": None,
    "workers": 2,
    "batchSize": None,
    "gitCommit": None,
    "qaDir": None,
    "notes": "",
    "mode": "batch",
}
DONE = Outcome(Status.SUCCESS)


class Silent:
    """An audience that hears nothing."""

    def started(self, item: Item, number: int) -> None:
        """Hear that an attempt begins."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Hear an outcome."""

    def look(self, standing: Standing) -> None:
        """Look."""


class ToldLane:
    """A lane whose attempts are a function of the item and the attempt's number; it remembers what was asked."""

    def __init__(self, opened: Record, do: Callable[[Item, int], Outcome]) -> None:
        self.opened, self.do = opened, do
        self.attempts: list[tuple[int, int]] = []
        self.given_back: list[int] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def gate(self, item: Item) -> Outcome | None:
        """Refuse items that are told to be refused."""
        return Outcome(Status.SKIPPED, "closed", Refusal.GATE) if item.body == "closed" else None

    def claim(self, item: Item) -> int | Outcome:
        """Hold every item."""
        return self.opened.attempts[item.index] + 1

    def attempt(self, item: Item, number: int) -> Outcome:
        """Do what was told."""
        with self.lock:
            self.attempts.append((item.index, number))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.opened.start(item, number, None)
        try:
            return self.do(item, number)
        finally:
            with self.lock:
                self.at_once -= 1

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:  # noqa: ARG002 - the protocol's words
        """Remember who was let go."""
        self.given_back.append(item.index)

    def look(self) -> None:
        """Keep nothing alive."""


def opened_for(places: Places, planned: int) -> Record:
    """Return a new record for so many items."""
    return record.open_record(places, SEED, planned=planned, parameters={})


def carry(lane: ToldLane, planned: int, limits: Limits, bodies: dict[int, str] | None = None) -> Closing:
    """Carry out so many items."""
    items = (Item(index, f"item-{index}", (bodies or {}).get(index)) for index in range(planned))
    return carry_out(items, lane, lane.opened, Children(), limits, Silent())

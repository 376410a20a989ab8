"""Items of a list: the dispatch owns them, and each attempt runs one order in a folder of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from trailblazer.dispatch.lane import Dispatch, Handle, Held, OwnedLane, Running
from trailblazer.lanes.orders import ANSWER, Orders, TimeLimit, Try, values_of
from trailblazer.plain import one_line
from trailblazer.providers.command import Command
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.outputs import Unreadable, read_log
from trailblazer.record.admission import Room


class ItemsLane(OwnedLane):
    """Runs an order of a lineup for each item."""

    def __init__(self, lineup: Lineup, limit: TimeLimit) -> None:
        self._lineup, self._orders = lineup, Orders(lineup, limit)

    def check(self) -> None:
        """Refuse a batch that no provider can do."""
        self._orders.check()

    def open(self, dispatch: Dispatch) -> None:
        """Make the places where the orders run."""
        self._orders.open(dispatch)

    def room(self) -> Room:
        """Return how many attempts the provider stands."""
        return self._orders.room()

    def widen(self, slots: int) -> None:
        """Allow so many attempts at once."""
        self._lineup.widen(slots)

    def begin(self, held: Sequence[Held]) -> Running:
        """Start the order of one item."""
        (one,) = held
        return self._orders.begin(one, Try({"item": one.item.body}))

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return the good result that an attempt left on the disk before its dispatcher was killed."""
        (one,) = held
        return self._orders.find(one, handle)

    def close(self) -> None:
        """End whatever still runs."""
        self._orders.close()


def order_for(provider: Command, one: Held) -> tuple[str, ...]:
    """Return the command that an attempt would run; nothing is written."""
    values = values_of(one, {"item": one.item.body})
    return provider.argv(values, {"prompt": "…", "prompt_file": values["prompt_file"]})


def first_words(folder: Path, index: int, number: int, most: int, *, is_agent: bool) -> str:
    """Return the beginning of what an attempt made, for a person to judge: of an agent what it answered."""
    attempt = folder / f"task_{index}" / f"attempt_{number}"
    for name in ("output", ANSWER) if is_agent else ("output", "worker.stdout", "worker.stderr"):
        with contextlib.suppress(Unreadable):
            if said := read_log(f"{attempt}/{name}", 1, 8 * most):
                return one_line(said.decode("utf-8", "replace"), most)
    return "(no output)"

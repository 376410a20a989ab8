"""Items of a list: the dispatch owns them, and each attempt runs one order in a folder of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from trailblazer.dispatch.lane import Dispatch, Handle, Held, OwnedLane, Running
from trailblazer.errors import GateClosed
from trailblazer.lanes.orders import Orders, TimeLimit, Try, values_of
from trailblazer.plain import one_line
from trailblazer.providers.command import Command
from trailblazer.providers.outputs import Unreadable, read_log


class ItemsLane(OwnedLane):
    """Runs an order of a provider for each item."""

    def __init__(self, provider: Command, limit: TimeLimit) -> None:
        self._provider, self._orders = provider, Orders(provider, limit)

    def check(self) -> None:
        """Refuse a batch whose agent is not installed."""
        agent = self._provider.agent
        if agent is None:
            return
        import shutil

        if shutil.which(agent.command[0]) is None:
            raise GateClosed(f"there is no {agent.command[0]} on the PATH", "Install it, or choose another --provider.")

    def open(self, dispatch: Dispatch) -> None:
        """Make the place where the orders run."""
        self._orders.open(dispatch)

    def begin(self, held: Sequence[Held]) -> Running:
        """Start the order of one item."""
        (one,) = held
        return self._orders.begin(one, Try({"item": one.item.body}))

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:  # noqa: ARG002 - its process has been ended
        """Return the good result that an attempt left on the disk before its dispatcher was killed."""
        (one,) = held
        return self._orders.find(one)

    def close(self) -> None:
        """End whatever still runs."""
        self._orders.close()


def order_for(provider: Command, one: Held) -> tuple[str, ...]:
    """Return the command that an attempt would run; nothing is written."""
    values = values_of(one, {"item": one.item.body})
    return provider.argv(values, {"prompt": "…", "prompt_file": values["prompt_file"]})


def first_words(folder: Path, index: int, number: int, most: int) -> str:
    """Return the beginning of what an attempt made, for a person to judge."""
    attempt = folder / f"task_{index}" / f"attempt_{number}"
    for name in ("output", "worker.stdout", "worker.stderr"):
        with contextlib.suppress(Unreadable):
            if said := read_log(f"{attempt}/{name}", 1, 8 * most):
                return one_line(said.decode("utf-8", "replace"), most)
    return "(no output)"

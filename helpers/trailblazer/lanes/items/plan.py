"""The plan of a batch: it streams the items from the folder, and the first one runs alone before the others."""

from __future__ import annotations

import itertools
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trailblazer.atomic import digest_of
from trailblazer.dispatch.queue import Growth
from trailblazer.errors import PlanUnusable
from trailblazer.lanes.items.source import read_spooled, spool_items
from trailblazer.lanes.items.trial import Trial
from trailblazer.plain import one_line
from trailblazer.record.folder import Record
from trailblazer.record.manifest import Resource
from trailblazer.record.outcomes import Item, Status
from trailblazer.record.standing import Standing

ITEMS = "items.ndjson"
ADDED = "added_{}.ndjson"


class ItemsPlan:
    """The items of a batch. With a trial the first one runs alone."""

    def __init__(
        self,
        record: Record,
        *,
        shuffle: bool,
        trial: Trial | None,
    ) -> None:
        self._record, self._shuffle = record, shuffle
        self._trial = trial if not record.standing.settled else None
        self._begins_with = record.standing.planned  # what is added later gets its turn by `grow`

    def items(self) -> Iterator[Item]:
        """Yield the items in the order of the list."""
        for index, value in enumerate(read_items(self._record.folder, self._record.standing)):
            yield Item(index, name_of(value, index), value)

    def may_start(self, item: Item) -> bool:  # noqa: ARG002 - the contract's words
        """Let every item start, once the first one has been tried."""
        return self._trial is None

    def grow(self, file: Path, source: str) -> Growth:
        """Copy the items of a file into the folder, and take them in after all others."""
        number, first = self._record.standing.growths + 1, self._record.standing.planned
        copy = self._record.folder / ADDED.format(number)
        try:
            with file.open("rb") as opened:
                count = spool_items(opened, str(file), "ndjson", copy)
        except OSError as error:
            raise PlanUnusable(f"cannot read {file}: {error.strerror}", "Look at that path.") from error
        items = (Item(index, name_of(value, index), value) for index, value in enumerate(read_spooled(copy), first))
        return Growth(count, Resource(copy.name, source, digest_of(copy)), items)

    def turns(self) -> Iterator[Item | None]:
        """Yield the items in the order in which they start."""
        tried = -1
        if self._trial is not None:
            first = next(self.items())
            self._trial.begin(first)
            yield first
            while (status := self._record.standing.of(first.index)) is None:
                yield None
            tried = first.index
            halted = self._trial.decide(first, status is Status.SUCCESS, self._record.standing.planned - 1)
            if halted is not None:
                raise halted
            self._trial = None
        for item in self._shuffled() if self._shuffle else self.items():
            if item.index != tried and item.index < self._begins_with:
                yield item

    def _shuffled(self) -> Iterator[Item]:
        """Yield the items in random order. Only their places in the file are in memory, one number for each item."""
        places = array("q")
        with (self._record.folder / ITEMS).open("rb") as file:
            position = 0
            for line in file:
                places.append(position)
                position += len(line)
            import random

            order = array("q", range(len(places)))
            random.shuffle(order)
            for index in order:
                if self._record.is_due(index):
                    file.seek(places[index])
                    value = json.loads(file.readline())
                    yield Item(index, name_of(value, index), value)
        yield from (item for item in self.items() if item.index >= len(places))


def read_items(folder: Path, standing: Standing) -> Iterator[Any]:
    """Yield the values of all items of a batch in order, also of those that were added while it ran.

    What was copied and never added, because its dispatcher was killed between, is beyond the plan.
    """
    files = [folder / ITEMS, *(folder / ADDED.format(number + 1) for number in range(standing.growths))]
    return itertools.islice(itertools.chain.from_iterable(map(read_spooled, files)), standing.planned)


def name_of(value: Any, index: int) -> str:
    """Return the name of an item on the screen and in events: its id, its text, or its number."""
    named = value.get("id") if isinstance(value, dict) else value
    return one_line(str(named), 80).encode("utf-8", "replace").decode() if named is not None else f"task_{index}"

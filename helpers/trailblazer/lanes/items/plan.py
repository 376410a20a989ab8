"""The plan of a batch: it streams the items from the folder, and the first one runs alone before the others."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from typing import Any

from trailblazer.lanes.items.source import read_spooled
from trailblazer.lanes.items.trial import Trial
from trailblazer.plain import one_line
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import FAILED, Item, Status

ITEMS = "items.ndjson"


class ItemsPlan:
    """The items of a batch, or with `only_failed` those that failed. With a trial the first one runs alone."""

    def __init__(
        self,
        record: Record,
        *,
        shuffle: bool,
        only_failed: bool,
        trial: Trial | None,
    ) -> None:
        self._record, self._shuffle, self._only_failed = record, shuffle, only_failed
        self._trial = trial if not record.standing.settled else None

    def items(self) -> Iterator[Item]:
        """Yield the items in the order of the list."""
        for index, value in enumerate(read_spooled(self._record.folder / ITEMS)):
            if not self._only_failed or self._record.standing.of(index) in FAILED:
                yield Item(index, name_of(value, index), value)

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
        for item in self._shuffled() if self._shuffle else self.items():
            if item.index != tried:
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
                if not self._only_failed or self._record.standing.of(index) in FAILED:
                    file.seek(places[index])
                    value = json.loads(file.readline())
                    yield Item(index, name_of(value, index), value)


def name_of(value: Any, index: int) -> str:
    """Return the name of an item on the screen and in events: its id, its text, or its number."""
    named = value.get("id") if isinstance(value, dict) else value
    return one_line(str(named), 80).encode("utf-8", "replace").decode() if named is not None else f"task_{index}"

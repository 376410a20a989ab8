"""The runs of a dispatch as its plan: each run in its phases, in order; those that others hold once more later."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import orjson

from trailblazer.atomic import write_lines, write_whole
from trailblazer.config import Config
from trailblazer.dispatch.queue import GivenPlan
from trailblazer.errors import PlanUnusable, ServiceDown
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import GOOD, Item, Outcome, Refusal

PLAN = "plan.txt"
PHASES_FILE = "items.ndjson"
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 5.0


class Step(NamedTuple):  # a frozen dataclass takes three times as long to make, and a plan may hold a million
    """One phase of one run."""

    run: str
    phase: str


def steps_of(runs: Iterable[str]) -> list[Step]:
    """Return the steps of a plan that embeds runs."""
    return list(map(Step, runs, itertools.repeat("embed")))  # half the time of a comprehension


def write_steps(folder: Path, steps: Sequence[Step]) -> None:
    """Write the plan: plan.txt holds a run a line; items.ndjson holds the phases where runs are chunked too."""
    runs, phases = dict.fromkeys(map(itemgetter(0), steps)), set(map(itemgetter(1), steps))
    write_whole(folder / PLAN, "\n".join(runs) + "\n")
    if phases - {"embed"}:
        write_lines(folder / PHASES_FILE, ({"id": step.run, "phase": step.phase} for step in steps))


def read_steps(folder: Path, phases: Sequence[str] = ("embed",)) -> list[Step]:
    """Return the plan of a dispatch, in order. Without items.ndjson each run of plan.txt is embedded.

    `phases` are those of the dispatch: version 0.1.0 wrote no items.ndjson and chunked inside a gate.
    """
    try:
        if (folder / PHASES_FILE).is_file():
            lines = (folder / PHASES_FILE).read_bytes().splitlines()
            return [Step(record["id"], record["phase"]) for record in map(orjson.loads, lines)]
        return [Step(run, phases[-1]) for run in (folder / PLAN).read_text("utf-8").split("\n") if run]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanUnusable(f"cannot read the plan in {folder}: {error}", "That dispatch cannot be resumed.") from None


class RunsPlan(GivenPlan):
    """The steps of a dispatch. A run is embedded after its chunks are made; with `waits` a held run comes again."""

    def __init__(
        self, config: Config, record: Record, steps: Sequence[Step], *, waits: bool, say: Callable[[str], None]
    ) -> None:
        from trailblazer.database.connection import Link, connect  # a plan is read and written without a database

        self._record, self._waits, self._say = record, waits, say
        self._items = [Item(index, step.run, phase=step.phase) for index, step in enumerate(steps)]
        self._chunk_of = {item.id: item.index for item in self._items if item.phase == "chunk"}
        self._held: dict[int, Item] = {}
        self._failed: set[int] = set()  # in this process: what an earlier one has cancelled is run now
        self._link = Link(lambda: connect(config))
        self._asked, self._pause, self._has_said = 0.0, SHORTEST_PAUSE, False
        if record.retried is not None:  # a run whose chunks could not be made was not embedded either
            again = {self._items[index].id for index in record.retried}
            record.retried |= {item.index for item in self._items if item.id in again}

    def items(self) -> Iterator[Item]:
        """Yield every step in order."""
        return iter(self._items)

    def turns(self) -> Iterator[Item | None]:
        """Yield the steps; one that another step must come before waits, and lets those behind it go first."""
        waiting: deque[Item] = deque()
        for item in self._items:
            while waiting and self._is_ready(waiting[0]):
                yield waiting.popleft()
            if not self._record.is_due(item.index):
                continue
            if self._is_ready(item):
                yield item
            else:
                waiting.append(item)
        while waiting or self._held or self._record.standing.running:
            if waiting and self._is_ready(waiting[0]):
                yield waiting.popleft()
                continue
            free = self._ask_who_is_free()
            for item in free:
                if self._held.pop(item.index, None):
                    self._failed.discard(item.index)
                    yield item
            if not free:
                waiting.rotate(-1)
                self._say_once()
                yield None
        self._link.close()

    def may_start(self, item: Item) -> bool:
        """Let a step start that no other must come before; what failed before it is tried anew counts as failed."""
        if not self._is_ready(item):
            return False
        self._failed.discard(item.index)
        return True

    def _is_ready(self, item: Item) -> bool:
        before = self._chunk_of.get(item.id) if item.phase == "embed" else None
        if before is None or self._record.has_good_result(before):
            return True
        return before in self._failed and before not in self._held

    def settled(self, item: Item, outcome: Outcome) -> None:
        """Remember a step that has no good result, and one that somebody else holds."""
        if outcome.status not in GOOD:
            self._failed.add(item.index)
        if outcome.refusal is Refusal.HELD and self._waits:
            self._held[item.index] = item
        else:
            self._held.pop(item.index, None)

    def _ask_who_is_free(self) -> list[Item]:
        from trailblazer.database.backlog import unheld_runs

        now = time.monotonic()
        if not self._held or now < self._asked + self._pause:
            return []
        self._asked = now
        try:
            free = set(
                self._link.ask(lambda connection: unheld_runs(connection, sorted({i.id for i in self._held.values()})))
            )
        except ServiceDown:
            free = set()
        self._pause = SHORTEST_PAUSE if free else min(2 * self._pause, LONGEST_PAUSE)
        return sorted((item for item in self._held.values() if item.id in free), key=lambda item: item.index)

    def _say_once(self) -> None:
        if self._held and not self._record.standing.running and not self._has_said:
            self._has_said = True
            count = len({item.id for item in self._held.values()})
            runs = "1 run that another process holds" if count == 1 else f"{count} runs that other processes hold"
            self._say(f"Waiting for {runs}: until it is done there, or the claim expires")

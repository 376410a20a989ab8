"""The items that wait for a slot: those of the plan in its order, and those that were put back for a while."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from trailblazer.record.outcomes import Item

PAUSE_SECONDS = 0.05  # before a plan that has no item now is asked again
_END = Item(-1, "")


class Plan(Protocol):
    """The items of a dispatch."""

    def items(self) -> Iterator[Item]:
        """Yield every item in the order of the plan, as often as it is asked."""

    def turns(self) -> Iterator[Item | None]:
        """Yield the items in the order in which they start. None means: there is none now, but one may come."""


@dataclass(frozen=True, slots=True)
class Task:
    """An item, and how many of its tries failed so far."""

    item: Item
    tries: int = 0


class Queue:
    """Hands tasks out, one caller at a time; any number of callers give them back."""

    def __init__(self, plan: Plan, is_done: Callable[[int], bool]) -> None:
        self._turns = plan.turns()
        self._is_done = is_done
        self._change = threading.Condition()
        self._delayed: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._away: set[int] = set()
        self._in_flight = 0
        self._is_over = False

    def take_away(self, tasks: Collection[Task]) -> None:
        """Count tasks as taken that the queue did not hand out; it will not hand them out later."""
        self._away |= {task.item.index for task in tasks}
        self._in_flight += len(tasks)

    def take(self, most: int, stopping: threading.Event) -> list[Task]:
        """Wait until there is a task and return up to `most`. Return none at the end of the plan, or when stopping.

        A task that was put back comes first when its pause is over.
        """
        while not stopping.is_set():
            tasks = self._due(most)
            tasks += self._planned(most - len(tasks))
            with self._change:
                self._in_flight += len(tasks)
                if tasks or (self._is_over and not self._delayed and not self._in_flight):
                    return tasks
                self._change.wait(PAUSE_SECONDS)
        return []

    def _due(self, most: int) -> list[Task]:
        tasks: list[Task] = []
        if not self._delayed:
            return tasks
        with self._change:
            while self._delayed and len(tasks) < most and self._delayed[0][0] <= time.monotonic():
                tasks.append(heapq.heappop(self._delayed)[2])
        return tasks

    def _planned(self, most: int) -> list[Task]:
        tasks: list[Task] = []
        while len(tasks) < most and not self._is_over:
            item = next(self._turns, _END)
            if item is _END:
                self._is_over = True
            elif item is None:
                break
            elif item.index not in self._away and not self._is_done(item.index):
                tasks.append(Task(item))
        return tasks

    def put_back(self, task: Task, after: float) -> None:
        """Take a task back. It is handed out again after `after` seconds at the earliest."""
        with self._change:
            self._away.discard(task.item.index)
            heapq.heappush(self._delayed, (time.monotonic() + max(0.0, after), next(self._order), task))
            self._change.notify_all()

    def done(self, count: int) -> None:
        """Count tasks as no longer taken."""
        with self._change:
            self._in_flight -= count
            self._change.notify_all()

    def wake(self) -> None:
        """Make the waiting slots look again."""
        with self._change:
            self._change.notify_all()

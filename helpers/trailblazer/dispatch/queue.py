"""The items that wait for a slot: those of the plan in its order, those that were put back, and those that go first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from trailblazer.dispatch.steering import Refusal
from trailblazer.record.manifest import Resource
from trailblazer.record.outcomes import Item

PAUSE_SECONDS = 0.05  # before a plan that has no item now is asked again
_END = Item(-1, "")


@dataclass(frozen=True, slots=True)
class Growth:
    """Items that were added to a plan: how many, the file in the folder that holds them, and the items themselves."""

    count: int
    file: Resource
    items: Iterator[Item]


class Plan(Protocol):
    """The items of a dispatch."""

    def items(self) -> Iterator[Item]:
        """Yield every item in the order of the plan, as often as it is asked."""

    def turns(self) -> Iterator[Item | None]:
        """Yield the items in the order in which they start. None means: there is none now, but one may come.

        An item that got an outcome meanwhile may be left out; when it is yielded all the same, it does not start.
        """

    def may_start(self, item: Item) -> bool:
        """Say whether an item may start now out of its turn. When it may, it does: the plan counts it as started."""

    def grow(self, file: Path, source: str) -> Growth:
        """Take the items of a file in, one JSON value a line. A plan that cannot grow raises Refusal.

        `source` is where the items come from.
        """


class GivenPlan:
    """A plan that does not grow, and whose items may start in any order."""

    def may_start(self, item: Item) -> bool:  # noqa: ARG002 - the contract's words
        """Let every item start."""
        return True

    def grow(self, file: Path, source: str) -> Growth:  # noqa: ARG002 - the contract's words
        """Refuse."""
        raise Refusal("the plan of this dispatch cannot grow", "Only a batch takes more items. Start another dispatch.")


@dataclass(frozen=True, slots=True)
class Task:
    """An item, and how many of its tries failed so far. One that `is_early` was moved to the head out of its turn."""

    item: Item
    tries: int = 0
    is_early: bool = False


class Queue:
    """Hands tasks out, one caller at a time; any number of callers give them back.

    While it `is_paused` it hands nothing out, and still notices the end of the plan.
    """

    def __init__(self, plan: Plan, is_due: Callable[[int], bool]) -> None:
        self._plan, self._turns, self._is_due = plan, plan.turns(), is_due
        self._change = threading.Condition()
        self._head: deque[Task] = deque()
        self._delayed: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._skipped: set[int] = set()  # when the plan hands one of these out, it does not start
        self._out: Counter[int] = Counter()
        self._is_over = False
        self.is_paused = False

    def take_away(self, items: Iterable[Item]) -> None:
        """Count items as taken that the queue did not hand out; it will not hand them out later."""
        for item in items:
            self._skipped.add(item.index)
            self._out[item.index] += 1

    def take(self, most: int, stopping: threading.Event) -> list[Task]:
        """Wait until there is a task and return up to `most`. Return none at the end of the plan, or when stopping.

        A task at the head comes first, then one that was put back when its pause is over.
        """
        while not stopping.is_set():
            with self._change:
                tasks = [] if self.is_paused else self._handed_out(self._from_head(most))
                tasks += [] if self.is_paused else self._handed_out(self._due(most - len(tasks)))
                is_held = self.is_paused and bool(self._head)
            planned = [] if is_held else self._planned(most - len(tasks))
            with self._change:
                planned = [task for task in planned if not self._is_skipped(task.item.index)]
                if self.is_paused:
                    self._head.extend(planned)
                else:
                    tasks += self._handed_out(planned)
                if tasks or (self._is_over and not self._delayed and not self._head and not self._out):
                    return tasks
                self._change.wait(PAUSE_SECONDS)
        return []

    def _handed_out(self, tasks: list[Task]) -> list[Task]:
        self._out.update([task.item.index for task in tasks])
        return tasks

    def _from_head(self, most: int) -> list[Task]:
        tasks: list[Task] = []
        if self._head:
            waiting, self._head = self._head, deque()
            for task in waiting:
                is_due = len(tasks) < most and (not task.is_early or self._plan.may_start(task.item))
                (tasks if is_due else self._head).append(task)
        return tasks

    def _due(self, most: int) -> list[Task]:
        tasks: list[Task] = []
        while self._delayed and len(tasks) < most and self._delayed[0][0] <= time.monotonic():
            tasks.append(heapq.heappop(self._delayed)[2])
        return tasks

    def _planned(self, most: int) -> list[Task]:
        tasks: list[Task] = []
        while len(tasks) < most and not self._is_over:
            item = next(self._turns, _END)
            if item is _END:
                item = self._end()
            if item is _END or item is None:
                break
            if self._is_due(item.index) and not (self._skipped and self._is_skipped(item.index)):
                tasks.append(Task(item))
        return tasks

    def _end(self) -> Item | None:
        """Return the next item of a plan that has grown meanwhile; else the plan is over."""
        with self._change:
            item = next(self._turns, _END)
            self._is_over = item is _END
            return item

    def _is_skipped(self, index: int) -> bool:
        if index not in self._skipped:
            return False
        self._skipped.discard(index)
        return True

    def put_back(self, task: Task, after: float) -> None:
        """Take a task back. It is handed out again after `after` seconds at the earliest."""
        with self._change:
            heapq.heappush(self._delayed, (time.monotonic() + max(0.0, after), next(self._order), task))
            self._change.notify_all()

    def give_back(self, tasks: Sequence[Task]) -> None:
        """Take back at the head what was handed out and did not start."""
        with self._change:
            self._head.extendleft(replace(task, is_early=False) for task in reversed(tasks))
        self.done([task.item.index for task in tasks])

    def done(self, indices: Sequence[int]) -> None:
        """Count items as no longer taken."""
        with self._change:
            self._out.subtract(indices)
            for index in indices:
                if self._out[index] <= 0:
                    del self._out[index]
            self._change.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether nothing waits, nothing is handed out, and the plan has no more items."""
        with self._change:
            return self._is_over and not self._delayed and not self._head and not self._out

    def wake(self) -> None:
        """Make the waiting slots look again."""
        with self._change:
            self._change.notify_all()

    # -- steering ---------------------------------------------------------------------------------------------

    def withdraw(self, item: Item) -> Task | None:
        """Take a waiting item out, so that it does not start; None when the queue has handed it out already."""
        with self._change:
            return None if self._out[item.index] > 0 else self._removed(item)

    def has(self, index: int) -> bool:
        """Say whether the queue holds an item that the plan has handed out, or has just handed it on."""
        with self._change:
            waiting = itertools.chain(self._head, (task for _, _, task in self._delayed))
            return self._out[index] > 0 or any(task.item.index == index for task in waiting)

    def move_to_head(self, item: Item) -> bool:
        """Make a waiting item the next that starts; False when the queue has handed it out already."""
        with self._change:
            if self._out[item.index] > 0:
                return False
            task = self._removed(item)
            self._head.appendleft(replace(task, is_early=True))
            self._change.notify_all()
            return True

    def try_again(self, items: Sequence[Item]) -> None:
        """Put items that have an outcome at the head, in their order; each is tried anew."""
        with self._change:
            self._head.extendleft(Task(item, is_early=True) for item in reversed(items))
            self._change.notify_all()

    def _removed(self, item: Item) -> Task:
        waiting = [*self._head, *(task for _, _, task in self._delayed)]
        task = next((task for task in waiting if task.item.index == item.index), None)
        if task is None:
            self._skipped.add(item.index)
            return Task(item)
        self._head = deque(one for one in self._head if one is not task)
        self._delayed = [entry for entry in self._delayed if entry[2] is not task]
        heapq.heapify(self._delayed)
        return task

    def extend(self, items: Iterator[Item]) -> None:
        """Hand these items out after all others."""
        with self._change:
            self._turns = itertools.chain(self._turns, items)
            self._is_over = False
            self._change.notify_all()

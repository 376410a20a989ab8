"""What each steering does to a dispatch that runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from trailblazer.dispatch.admission import Admission
from trailblazer.dispatch.attempts import Attempts
from trailblazer.dispatch.lane import Lane
from trailblazer.dispatch.queue import Growth, Plan, Queue
from trailblazer.dispatch.settling import Settling
from trailblazer.dispatch.steering import (
    Add,
    Cancel,
    Drain,
    First,
    Pause,
    Refusal,
    Resume,
    Retry,
    Steering,
    Stop,
    Workers,
)
from trailblazer.errors import PlanUnusable
from trailblazer.plain import counted, one_line
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import GOOD, Item, Outcome, Status

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Ends:
    """How a dispatch is made to end: `drain` lets what runs finish, `stop` ends it as an interrupt does."""

    drain: Callable[[str], None]
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Obeyed:
    """What a steering does: the answer, and what is changed once the journal has the steering."""

    answer: str
    act: Callable[[], object]


def _nothing() -> None:
    """Change nothing."""


class Obeying:
    """Decides what a steering does to the parts of an engine; one thread at a time asks. A Refusal changes nothing."""

    def __init__(
        self,
        plan: Plan,
        lane: Lane,
        record: Record,
        queue: Queue,
        admission: Admission,
        attempts: Attempts,
        settling: Settling,
        ends: Ends,
    ) -> None:
        self._plan, self._lane, self._record, self._queue = plan, lane, record, queue
        self._admission, self._attempts, self._settling, self._ends = admission, attempts, settling, ends

    def decide(self, steering: Steering, by: str) -> Obeyed:
        """Return what a steering does. `by` is the user's name."""
        match steering:
            case Pause():
                return self._pause()
            case Resume():
                return self._resume()
            case Drain():
                answer = f"what runs finishes ({self._running()}), nothing more starts; --resume runs the rest"
                return Obeyed(answer, lambda: self._ends.drain(by))
            case Stop():
                return Obeyed(f"what runs is ended ({self._running()}), nothing more starts", self._ends.stop)
            case Workers(count):
                return self._set_workers(count)
            case Cancel(name):
                return self._cancel(self._find(name), by)
            case Retry(name):
                return self._retry(self._find(name))
            case First(name):
                return self._first(self._find(name))
            case Add(file, source):
                growth = self._plan.grow(file, source)
                planned = self._record.standing.planned + growth.count
                answer = f"{counted(growth.count, 'item')} added; the plan has {planned:,} now"
                return Obeyed(answer, lambda: self._grow(growth, planned))

    def _running(self) -> str:
        return counted(self._record.standing.running, "item")

    def _pause(self) -> Obeyed:
        if self._queue.is_paused:
            return Obeyed("it was paused already", _nothing)
        answer = f"paused: nothing new starts; what runs goes on ({self._running()})"
        return Obeyed(answer, lambda: setattr(self._queue, "is_paused", True))

    def _resume(self) -> Obeyed:
        if not self._queue.is_paused:
            return Obeyed("it was not paused", _nothing)
        return Obeyed("resumed", lambda: setattr(self._queue, "is_paused", False))

    def _set_workers(self, count: int) -> Obeyed:
        before = self._admission.slots

        def widen() -> None:
            self._admission.slots = count
            self._lane.widen(count)

        more = "" if count >= before else "; what runs above that finishes first"
        return Obeyed(f"{count} at once instead of {before}{more}", widen)

    def _grow(self, growth: Growth, planned: int) -> None:
        self._record.grow(planned)
        self._record.publish(inputs=(*self._record.manifest.inputs, growth.file))
        self._queue.extend(growth.items)

    # -- items ------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> list[Item]:
        """Return the items of an id; else the one with that number, or of that `task_N`."""
        number = name.removeprefix("task_")
        index = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else -1
        by_id, by_number = list[Item](), list[Item]()
        for item in self._plan.items():
            if item.id == name:
                by_id.append(item)
            elif item.index == index:
                by_number.append(item)
        found = by_id or by_number
        if not found:
            hint = "An item is named by its id, its number or task_N."
            raise PlanUnusable(f"the plan has no item {one_line(name, 80)}", hint)
        return found

    def _status(self, item: Item) -> Status | None:
        """Return what an item came to; None while it waits or runs, also again."""
        standing = self._record.standing
        return None if standing.runs(item.index) or self._queue.has(item.index) else standing.of(item.index)

    def _cancel(self, items: list[Item], by: str) -> Obeyed:
        wanted = [item for item in items if self._status(item) is None]
        if not wanted:
            raise Refusal(f"{self._settled(items)}: there is nothing to cancel")
        outcome = Outcome(Status.CANCELLED, f"cancelled by {by}")
        said, acts = list[str](), list[Callable[[], object]]()
        for item in wanted:
            task = self._queue.withdraw(item)
            if task is not None:
                said.append(f"{_named(item)} is taken from the queue")
                acts.append(functools.partial(self._settling.settle, task, 0, outcome))
            else:
                said.append(f"{_named(item)} is ended")
                acts.append(functools.partial(self._attempts.cancel, item.index, outcome.reason))
        return Obeyed("; ".join(said[:MOST_NAMED]), lambda: [act() for act in acts])

    def _retry(self, items: list[Item]) -> Obeyed:
        standing = self._record.standing
        wanted = [item for item in items if self._status(item) not in {None, *GOOD}]
        if wanted:
            numbers = ", ".join(f"{_named(item)}: attempt {standing.attempt_of(item.index) + 1}" for item in wanted)

            def again() -> None:
                self._attempts.forget([item.index for item in wanted])
                self._queue.try_again(wanted)

            return Obeyed(f"tried again: {numbers}", again)
        delayed = [item for item in items if standing.attempt_of(item.index) and self._queue.has(item.index)]
        if delayed and all(self._queue.move_to_head(item) for item in delayed):
            return Obeyed(f"tried again without a pause: {', '.join(map(_named, delayed))}", _nothing)
        raise Refusal(f"{self._settled(items)}: there is nothing to retry")

    def _first(self, items: list[Item]) -> Obeyed:
        waiting = [item for item in items if self._status(item) is None]
        moved = [item for item in reversed(waiting) if self._queue.move_to_head(item)]
        if not moved:
            raise Refusal(f"{self._settled(items)}: it does not wait")
        return Obeyed(f"next: {', '.join(map(_named, reversed(moved)))}", _nothing)

    def _settled(self, items: list[Item]) -> str:
        """Say how items stand that are not as they should be."""
        stands = []
        for item in items[:MOST_NAMED]:
            status, standing = self._status(item), self._record.standing
            state = status.value if status else "running" if standing.runs(item.index) else "waiting"
            stands.append(f"{_named(item)} is {'done: ' if status else ''}{state}")
        return ", ".join(stands)


def _named(item: Item) -> str:
    return one_line(item.id, 80) + (f" ({item.phase})" if item.phase else "")

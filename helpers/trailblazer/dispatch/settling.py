"""What becomes of an answer: an outcome for good, another try, or a place in the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from trailblazer.dispatch.halting import Halts, Streak, Verdict
from trailblazer.dispatch.lane import Held, Lane
from trailblazer.dispatch.queue import Queue, Task
from trailblazer.dispatch.throttle import Throttle
from trailblazer.errors import Trouble
from trailblazer.record.admission import Switch
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import FAILED, Again, Item, Left, Outcome, Refusal, Status
from trailblazer.record.standing import Standing


class Audience(Protocol):
    """Shows people and machines what happens, once the journal has it."""

    def started(self, item: Item, attempt: int) -> None:
        """An attempt begins."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """An item has an outcome."""

    def switched(self, switch: Switch) -> None:
        """A provider was closed, opened, took over, or is waited for."""

    def show(self, standing: Standing) -> None:
        """Now and then: show what is due."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many slots there are, how often an item is retried, when to stop early, and when the next item may start.

    An item is retried after a transient refusal, and with `retry_failures` after any failure. After `probe_after`
    items in a row that fail alike the lane's provider is probed, and the dispatch stops when it does not answer.
    """

    slots: int
    retries: int = 0
    retry_failures: bool = False
    back_off_seconds: float = 1.0
    probe_after: int = 0
    halts: Halts = field(default_factory=Halts)
    throttle: Throttle = field(default_factory=Throttle)


class Settling:
    """Settles items by the answers of the lane.

    `is_stopping` says whether the dispatch stops: then nothing is retried. `halt` stops it for the reason it is given.
    """

    def __init__(
        self,
        lane: Lane,
        record: Record,
        limits: Limits,
        audience: Audience,
        queue: Queue,
        is_stopping: Callable[[], bool],
        halt: Callable[[Verdict], None],
    ) -> None:
        self._lane, self._record, self._limits, self._audience, self._queue = lane, record, limits, audience, queue
        self._is_stopping, self._halt = is_stopping, halt
        self._lock = threading.Lock()
        self._open: dict[int, tuple[Task, Held]] = {}
        self._streak = Streak(limits.probe_after)
        self._is_abandoned = False

    def open(self, task: Task, held: Held) -> None:
        """Remember that an attempt has begun."""
        with self._lock:
            self._open[task.item.index] = task, held

    def answer(self, task: Task, held: Held | None, answer: Outcome | Again | Left) -> None:
        """Settle an item, put it back into the queue, or leave it unsettled. Release an item that did not succeed."""
        attempt = held.attempt if held else 0
        if isinstance(answer, Left):
            if self._close(task):
                self._record.leave(task.item, attempt, answer)
            return
        outcome = _ended(answer) if isinstance(answer, Again) else answer
        if held is not None and outcome.status is not Status.SUCCESS:
            self.let_go(held, outcome)
        if self._is_stopping():
            self.settle(task, attempt, outcome)
        elif isinstance(answer, Again):
            if self._close(task):
                self._record.postpone(task.item, attempt, answer)
                self._queue.put_back(task, answer.after)
        elif self._may_repeat(task, outcome):
            after = self._limits.back_off_seconds * 2**task.tries
            if self._close(task):
                self._record.retry(task.item, attempt, outcome, after)
                self._queue.put_back(replace(task, tries=task.tries + 1), after)
        else:
            self.settle(task, attempt, outcome)
            self._probe_after(outcome)

    def _probe_after(self, outcome: Outcome) -> None:
        """Probe the provider where attempts fail alike; one that does not answer stops the dispatch (exit 8)."""
        with self._lock:
            is_due = self._streak.is_reached(outcome)
        if not is_due or self._is_stopping():
            return
        try:
            self._lane.probe()
        except Trouble as trouble:
            why = f"stopped: {self._limits.probe_after} items in a row failed, and a probe failed: {trouble.what}"
            self._halt(Verdict(why, 8, now=False))

    def _may_repeat(self, task: Task, outcome: Outcome) -> bool:
        may = outcome.refusal is Refusal.TRANSIENT or (self._limits.retry_failures and outcome.status in FAILED)
        return may and task.tries < self._limits.retries

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Have the lane release an item."""
        try:
            self._lane.let_go(held, outcome)
        except Trouble as trouble:  # the claim expires by itself; the item's own reason must not be hidden
            self._record.warn(f"the claim was not released: {trouble.what}", held.item)

    def settle(self, task: Task, attempt: int, outcome: Outcome) -> None:
        """Give an item its outcome, in the journal first, and stop the dispatch when a rule says so."""
        with self._lock:
            self._open.pop(task.item.index, None)
            if self._is_abandoned:
                return
            self._record.settle(task.item, attempt, outcome)
            self._audience.settled(task.item, outcome, self._record.standing)
            verdict = self._limits.halts.judge(outcome, self._record.standing)
        if verdict is not None:
            self._halt(verdict)

    def _close(self, task: Task) -> bool:
        """Forget an attempt, and say whether its answer still counts."""
        with self._lock:
            self._open.pop(task.item.index, None)
            return not self._is_abandoned

    def abandon(self, why: str) -> None:
        """Settle as cancelled every attempt that has begun. A later answer changes nothing."""
        with self._lock:
            self._is_abandoned = True
            for task, held in self._open.values():
                self._record.settle(task.item, held.attempt, Outcome(Status.CANCELLED, why))
            self._open.clear()


def _ended(again: Again) -> Outcome:
    """Return the outcome of an item that would go back to the queue, when the dispatch stops."""
    details = {"provider": again.provider} if again.provider else {}
    return Outcome(Status.CANCELLED, again.reason, usage=again.usage, details=details)

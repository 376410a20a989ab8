"""A group of items from gate to answer, and the attempts that run at this moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from trailblazer.dispatch.lane import Held, Lane, Running
from trailblazer.dispatch.queue import Task
from trailblazer.dispatch.settling import Audience, Settling
from trailblazer.errors import ServiceDown, StorageTrouble, Trouble
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import GOOD, Again, Left, Outcome, Refused, Status, outcome_of

CANCEL_SECONDS = 5.0  # what a cancelled attempt has to end by itself
Group = dict[int, tuple[Task, Held]]


def _outcome_of(trouble: Trouble) -> Outcome:
    """Return the outcome that a trouble means for an item. A full disk is raised: it stops the whole dispatch."""
    if isinstance(trouble, StorageTrouble):
        raise trouble
    return outcome_of(trouble)


class Attempts:
    """Gates, claims, numbers and begins items, and takes the lane's answers. Many slots call it at once.

    When a lane breaks a promise of the contract, a warning in the journal or the item's outcome names the promise.
    `grace` is None until the attempts are asked to end; then it is in seconds.
    """

    def __init__(self, lane: Lane, record: Record, settling: Settling, audience: Audience) -> None:
        self._lane, self._record, self._settling, self._audience = lane, record, settling, audience
        self._lock = threading.Lock()
        self._running: dict[int, Running] = {}
        self._running_of: dict[int, Running] = {}
        self._cancelled: dict[int, str] = {}  # why items are cancelled, by their index
        self.grace: float | None = None

    def carry(self, tasks: Sequence[Task]) -> None:
        """Carry a group of items from gate to answer; each item's failure is its own outcome."""
        group = self._claim(self._passed([task for task in tasks if not self._is_cancelled(task)]))
        if not group:
            return
        held = [one for _, one in group.values()]
        for task, one in group.values():
            self._record.start(one.item, one.attempt)
            self._settling.open(task, one)
            self._audience.started(one.item, one.attempt)
        try:
            running = self._lane.begin(held)
        except Trouble as trouble:
            self._answer_all(group, _outcome_of(trouble))
            return
        if running.handle:
            self._record.begin([[one.item.index, one.attempt] for one in held], running.handle)
        self._wait(group, running)

    def follow(self, held: Sequence[Held], running: Running) -> None:
        """Wait for attempts that an earlier process began."""
        group = {one.item.index: (Task(one.item), one) for one in held}
        for task, one in group.values():
            self._settling.open(task, one)
        self._wait(group, running)

    def _is_cancelled(self, task: Task) -> bool:
        why = self._cancelled.get(task.item.index) if self._cancelled else None
        if why:
            self._settling.settle(task, 0, Outcome(Status.CANCELLED, why))
        return bool(why)

    def _passed(self, tasks: Sequence[Task]) -> list[Task]:
        """Return the tasks whose items no gate refuses; the others have an answer."""
        try:
            refused = self._lane.gate([task.item for task in tasks]) if tasks else []
        except Trouble as trouble:
            if len(tasks) > 1:
                return [task for one in tasks for task in self._passed([one])]
            if isinstance(trouble, ServiceDown):
                self._settling.answer(tasks[0], None, _outcome_of(trouble))
                return []
            refused = [Refused(tasks[0].item, trouble.what)]  # a check that cannot be made refuses the item (E7)
        whys = {one.item.index: one for one in refused}
        for task in tasks:
            if why := whys.get(task.item.index):
                self._settling.settle(task, 0, why.outcome)
        return [task for task in tasks if task.item.index not in whys]

    def _claim(self, tasks: Sequence[Task]) -> Group:
        """Claim items and return by index those that the dispatch holds now. The others have an outcome."""
        asked = {task.item.index: task for task in tasks}
        try:
            answers = self._lane.claim([task.item for task in tasks]) if tasks else []
        except Trouble as trouble:
            for task in tasks:
                self._settling.answer(task, None, _outcome_of(trouble))
            return {}
        group: Group = {}
        for answer in answers:
            claimed = asked.pop(answer.item.index, None)
            if claimed is None:
                self._record.warn("the lane answered a claim that nobody made", answer.item)
            elif isinstance(answer, Refused):
                self._settling.settle(claimed, 0, answer.outcome)
            elif (numbered := self._number(claimed, answer)) is not None:
                group[answer.item.index] = claimed, numbered
        for task in asked.values():
            self._settling.settle(task, 0, Outcome(Status.ERROR, "the lane gave no answer to the claim"))
        return group

    def _number(self, task: Task, held: Held) -> Held | None:
        index = held.item.index
        newest = self._record.standing.attempt_of(index)
        number = held.attempt or self._record.next_attempt(index)
        if number <= newest:
            why = f"attempt {number} is not newer than attempt {newest}: another database numbered the claims"
            self._settling.let_go(held, Outcome(Status.CANCELLED, why))
            self._settling.settle(task, 0, Outcome(Status.ERROR, why))
            return None
        return Held(held.item, number, self._record.attempt_folder(index, number))

    def _wait(self, group: Group, running: Running) -> None:
        indices = list(group)
        with self._lock:
            self._running[id(running)] = running
            for index in indices:
                self._running_of[index] = running
            is_cancelled = not self._cancelled.keys().isdisjoint(indices)
        if self.grace is not None:
            running.end("cancelled", self.grace)
        elif is_cancelled:
            running.end("cancelled", CANCEL_SECONDS)
        try:
            for one, answer in running.wait():
                known = group.pop(one.item.index, None)
                if known is None:
                    self._record.warn("the lane answered twice, or for an attempt that nobody began", one.item)
                else:
                    self._settling.answer(known[0], known[1], self._amended(one, answer, indices))
            self._answer_all(group, Outcome(Status.ERROR, "the lane gave no outcome"))
        except Trouble as trouble:
            self._answer_all(group, _outcome_of(trouble))
        finally:
            with self._lock:
                del self._running[id(running)]
                for index in indices:
                    self._running_of.pop(index, None)

    def _amended(self, one: Held, answer: Outcome | Again | Left, together: Sequence[int]) -> Outcome | Again | Left:
        """Return the answer of an attempt where a person cancelled an item of its group.

        What was cancelled is not retried. What was ended with it goes back to the queue.
        """
        if not self._cancelled or isinstance(answer, Left):
            return answer
        if why := self._cancelled.get(one.item.index):
            is_good = isinstance(answer, Outcome) and answer.status in GOOD
            details = answer.details if isinstance(answer, Outcome) else {}
            return answer if is_good else Outcome(Status.CANCELLED, why, usage=answer.usage, details=details)
        is_ended = isinstance(answer, Outcome) and answer.status is Status.CANCELLED and self.grace is None
        if is_ended and not self._cancelled.keys().isdisjoint(together):
            return Again(0.0, "its worker was ended with another item that was cancelled", answer.usage)
        return answer

    def _answer_all(self, group: Group, outcome: Outcome) -> None:
        for task, held in group.values():
            self._settling.answer(task, held, outcome)

    def cancel(self, index: int, why: str) -> None:
        """End the attempt at an item, or let none begin; `why` is the reason of its outcome."""
        with self._lock:
            self._cancelled[index] = why
            running = self._running_of.get(index)
        if running is not None:
            running.end("cancelled", CANCEL_SECONDS)

    def forget(self, indices: Sequence[int]) -> None:
        """Let items that were cancelled be tried again."""
        with self._lock:
            for index in indices:
                self._cancelled.pop(index, None)

    def end_all(self, grace: float) -> None:
        """Ask every attempt to end within `grace` seconds, also those that are about to begin."""
        with self._lock:
            self.grace = grace
            running = list(self._running.values())
        for one in running:
            one.end("cancelled", grace)

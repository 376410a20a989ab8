"""Answers signals with a provider: each starts an order, and what the agent says becomes the artifact."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any

from trailblazer import schemas
from trailblazer.dispatch.lane import Dispatch, Running
from trailblazer.errors import DocumentInvalid, StaleClaim
from trailblazer.lanes.orders import Orders, Try
from trailblazer.lanes.signals.adapters import Adapter, Answering, Posted
from trailblazer.lanes.signals.answers import check_answer
from trailblazer.plain import one_line
from trailblazer.processes.children import GRACE_SECONDS
from trailblazer.providers.command import Judged
from trailblazer.providers.failure_codes import Cause, Code, Failure
from trailblazer.providers.order import Finished, Order
from trailblazer.record.admission import Room
from trailblazer.record.outcomes import Again, Left, Outcome, Status
from trailblazer.signals.agents import fail, find_signal, submit
from trailblazer.signals.suite import Suite

TICK_SECONDS = 0.1
JUDGE_SECONDS = 0.5  # after the last process has gone, before its answer is no longer waited for
AMOUNTS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens", "costUSD": "cost_usd"}
MOST_USED = 1e9  # tokens or US dollars of one signal
_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Agents(Adapter):
    """Starts a provider for each signal, at most `most` at once, and publishes what it answered."""

    is_ours = True

    def __init__(self, orders: Orders, group: int, most: int) -> None:
        self._orders, self._group = orders, group
        self._turns = threading.Semaphore(most)

    def check(self) -> None:
        """Ask for free whether a provider can work."""
        self._orders.check()

    def open(self, dispatch: Dispatch) -> None:
        """Make the places where the orders run."""
        self._orders.open(dispatch)

    def room(self) -> Room:
        """Return how many groups the providers stand: they count single attempts."""
        room = self._orders.room()
        return dataclasses.replace(room, slots=max(min(room.slots, 1), room.slots // self._group))

    def answer(self, suite: Suite, group: Sequence[Posted], give_up: Callable[[], None]) -> Answering:
        """Start the provider for each signal."""
        return _Work(self._orders, self._turns, suite, group, give_up)

    def close(self) -> None:
        """End whatever still runs."""
        self._orders.close()


class _Work:
    """The orders of one group, each in a thread that publishes its answer."""

    def __init__(
        self,
        orders: Orders,
        turns: threading.Semaphore,
        suite: Suite,
        group: Sequence[Posted],
        give_up: Callable[[], None],
    ) -> None:
        self._orders, self._turns, self._suite, self._give_up = orders, turns, suite, give_up
        self._lock = threading.Lock()
        self._until: float | None = None  # when it was asked to end: a moment of the monotonic clock
        self._broken: Exception | None = None
        self._running: dict[int, Running] = {}
        self._data: dict[int, dict[str, Any]] = {}
        self._ended: set[int] = set()
        self._answers: dict[int, Future[Outcome | Again | Left]] = {one.number: Future() for one in group}
        for one in group:
            threading.Thread(target=self._follow, args=(one,), name=f"signal-{one.number}", daemon=True).start()

    def _follow(self, one: Posted) -> None:
        """Carry one order, and publish its answer; the answer is known before the artifact is there."""
        try:
            answer = self._carry(one)
            self._answers[one.number].set_result(answer)
            with contextlib.suppress(StaleClaim):  # the signal has ended, and says why
                self._publish(one, answer)
        except Exception as error:  # noqa: BLE001 - a full disk or a bug must not vanish in a thread
            self._broken = error
            if not self._answers[one.number].done():
                self._answers[one.number].set_exception(error)
            self._give_up()

    def _carry(self, one: Posted) -> Outcome | Again | Left:
        while not self._turns.acquire(timeout=TICK_SECONDS):
            if self._has_ended(one.number):
                break
        else:
            try:
                return self._run(one)
            finally:
                self._turns.release()
        return Outcome(Status.CANCELLED, "ended before it began")

    def _run(self, one: Posted) -> Outcome | Again | Left:
        running = self._orders.begin(
            one.held, Try({"item": one.context.prompt}, amend=functools.partial(self._judge, one))
        )
        with self._lock:
            self._running[one.number] = running
        if self._has_ended(one.number):
            running.end("cancelled", 0.0)
        ((_, answer),) = running.wait()
        return answer

    def _has_ended(self, number: int) -> bool:
        with self._lock:
            return self._until is not None or number in self._ended

    def _judge(self, one: Posted, judged: Judged, order: Order, finished: Finished) -> Outcome:  # noqa: ARG002 - the answer is enough
        """Return the outcome of an agent: a success without an answer that the step takes is an error."""
        outcome = judged.outcome
        if outcome.status is not Status.SUCCESS:
            return outcome
        data = find_object(judged.answer.text if judged.answer is not None else "")
        try:
            if data is None:
                raise DocumentInvalid("the agent's answer holds no JSON object", "")
            check_answer(one.context.step, data)
        except DocumentInvalid as wrong:
            details = {**outcome.details, **Failure(Code.RUNNER_ERROR, Cause.OUTPUT).details}
            return Outcome(Status.ERROR, one_line(wrong.what, 300), usage=outcome.usage, details=details)
        self._data[one.number] = data
        return outcome

    def _publish(self, one: Posted, answer: Outcome | Again | Left) -> None:
        found = find_signal(self._suite, one.number)
        if isinstance(answer, Outcome) and answer.status is Status.SUCCESS:
            try:
                submit(found, self._data[one.number], usage_of(answer))
            except (DocumentInvalid, TypeError) as wrong:  # too long, or half of a surrogate pair
                fail(found, f"the answer is not accepted: {wrong}", usage_of(answer))
        else:
            fail(found, answer.reason, usage_of(answer))

    def last_word(self, number: int) -> Outcome | Again | Left | None:
        """End the provider of a signal that has ended, and return what it came to, with what it has used."""
        answer = self._answers[number]
        if not answer.done():
            self._end(number, GRACE_SECONDS)
        with self._lock:
            until = self._until or time.monotonic() + GRACE_SECONDS + JUDGE_SECONDS
        wait([answer], max(0.0, until - time.monotonic()))
        if self._broken is not None:
            raise self._broken
        return answer.result() if answer.done() else None

    def _end(self, number: int, grace: float) -> None:
        with self._lock:
            self._ended.add(number)
            running = self._running.get(number)
        if running is not None:
            running.end("cancelled", grace)

    def end(self, why: str, grace: float) -> None:
        """Ask the providers to end."""
        with self._lock:
            self._until = time.monotonic() + grace + JUDGE_SECONDS
            running = list(self._running.values())
        for one in running:
            one.end(why, grace)


def usage_of(answer: Outcome | Again | Left) -> dict[str, float]:
    """Return what a try has used, as an artifact names it; an amount that nobody can use is left out."""
    used = {} if isinstance(answer, Left) else answer.usage
    return {ours: used[name] for name, ours in AMOUNTS.items() if used.get(name, MOST_USED) < MOST_USED}


def find_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in what an agent said: all of it, its last fenced block, or from brace to brace."""
    blocks = [block[1] for block in _FENCED.finditer(text)]
    for part in (text, *reversed(blocks), text[text.find("{") : text.rfind("}") + 1]):
        with contextlib.suppress(ValueError):
            found = schemas.parse_json(part.encode("utf-8", "replace"))
            if isinstance(found, dict):
                return found
    return None

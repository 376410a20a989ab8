"""Attempts at a provider, for any lane: a folder, an order, a process, a judgement, a result.json."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from trailblazer.dispatch.lane import Dispatch, Done, Handle, Held, Running
from trailblazer.errors import Trouble
from trailblazer.lanes.checks import Checks
from trailblazer.lanes.result_file import read_result, write_result
from trailblazer.paths import timestamp
from trailblazer.places.local import Local
from trailblazer.places.runner import Runner
from trailblazer.plain import one_line
from trailblazer.processes.children import Children, start_failure
from trailblazer.providers.command import Command, Judged
from trailblazer.providers.order import Finished, Order
from trailblazer.record.outcomes import Again, Left, Outcome, Status

FEW = 5  # fewer durations than this have no median to speak of
MOST_DURATIONS = 1000


class Process(Protocol):
    """An order that runs at a place. `handle` is JSON: a later process finds the work by it."""

    handle: Handle

    def wait(self) -> Finished | Left:
        """Wait until it has ended, by itself, by its limit, or because it was asked to; Left means that it goes on."""

    def end(self, why: str, grace: float) -> None:
        """Ask it to end within `grace` seconds, and return at once."""


class Place(Protocol):
    """Where the orders of a provider run."""

    def start(self, order: Order, name: str) -> Process:
        """Start an order and return at once. `name` marks its processes; what cannot start raises OSError."""

    def close(self) -> None:
        """End whatever of the dispatch still runs there."""


# Makes the place for a provider's orders in a dispatch.
MakePlace = Callable[[Dispatch, Command], Place]
# Returns the outcome that is written and settled, for what an order that has run came to.
Amend = Callable[[Judged, Order, Finished], Outcome]


def place_of(dispatch: Dispatch, provider: Command) -> Place:
    """Return where the orders of a provider run: at its runner, else on this machine."""
    environment = {"TRACEPARENT": dispatch.traceparent}
    if provider.agent is not None and provider.agent.runner:
        return Runner(dispatch.folder, environment, provider.agent.questions)
    return Local(dispatch.folder, environment)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The wall-clock limit of an attempt, in seconds or as a multiple of the median of successes; both None: none."""

    seconds: float | None = None
    medians: float | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """What one attempt is to do.

    `values` are what templates may name beside those of every attempt (`values_of`). `known` are the words of an agent
    that are known (session, resume, budget_usd …). `tree` is the working folder, empty for ours. `limit_seconds` stands
    for that of the dispatch. `amend` may replace the outcome before it is written.
    """

    values: Mapping[str, Any]
    known: Mapping[str, str] | None = None
    tree: str = ""
    limit_seconds: float | None = None
    amend: Amend | None = None


class Orders:
    """Runs the orders of a provider for a lane. Its methods may be called in many threads at once."""

    def __init__(self, provider: Command, limit: TimeLimit, make_place: MakePlace = place_of) -> None:
        self._provider, self._limit, self._make_place = provider, limit, make_place
        self._durations: deque[float] = deque(maxlen=MOST_DURATIONS)
        self._place: Place | None = None
        self._checks: Checks | None = None

    def open(self, dispatch: Dispatch) -> None:
        """Make the place, and get ready to hold outputs against a schema."""
        self._place = place = self._make_place(dispatch, self._provider)
        if schema := self._provider.expects.schema:
            children = place.children if isinstance(place, Local) else Children(f"{dispatch.folder.resolve()}#")
            self._checks = Checks(Path(schema), dispatch.folder, children)

    def begin(self, one: Held, wanted: Try) -> Running:
        """Make a folder, an order and a process; whatever goes wrong with them is the item's outcome."""
        started = timestamp()
        order: Order | None = None
        try:
            make_attempt_folder(one.folder)
            limit = self._limit_now() if wanted.limit_seconds is None else wanted.limit_seconds
            order = self._provider.order(values_of(one, wanted.values), one.folder, limit, wanted.known, wanted.tree)
            assert self._place is not None
            process = self._place.start(order, f"{one.item.index}.{one.attempt}")
            return _Attempt(self, one, order, process, started, wanted.amend)
        except OSError as error:
            reason = start_failure(error, order.argv[0]) if order else f"cannot keep a record of it: {error.strerror}"
        except (Trouble, ValueError) as trouble:
            reason = str(trouble)
        outcome = Outcome(Status.ERROR, one_line(reason, 300))
        return Done([(one, self.settle(one, order, outcome, None, started))])

    def _limit_now(self) -> float | None:
        if self._limit.medians is None:
            return self._limit.seconds
        if len(self._durations) < FEW:
            return None
        return max(0.1, self._limit.medians * statistics.median(list(self._durations)))

    def judge(self, one: Held, order: Order, finished: Finished, started: str, amend: Amend | None) -> Outcome:
        """Return the outcome of an order that has run; what it left that cannot be read is its error."""
        try:
            judged = self._provider.judge(order, finished, self._check)
            outcome = amend(judged, order, finished) if amend is not None else judged.outcome
        except OSError as error:
            outcome = Outcome(Status.ERROR, one_line(f"cannot read what it left: {error.strerror or error}", 300))
        if outcome.status is Status.SUCCESS:
            self._durations.append(finished.seconds)
        return self.settle(one, order, outcome, finished, started)

    def _check(self, document: Any, seconds: float | None) -> str:
        return self._checks.first_violation(document, seconds) if self._checks is not None else ""

    def settle(
        self, one: Held, order: Order | None, outcome: Outcome, finished: Finished | None, started: str
    ) -> Outcome:
        """Write result.json and return the outcome with what the journal keeps of it."""
        details: dict[str, Any] = {
            **outcome.details,
            "folder": f"task_{one.item.index}/attempt_{one.attempt}",
            "duration_ms": round(1000 * finished.seconds, 1) if finished else 0.0,
        }
        if finished is not None:
            details |= {name: getattr(finished, name) for name in ("exit_code", "signal", "peak_memory_kib")}
        details["started"] = started
        outcome = replace(outcome, details=details)
        try:
            write_result(one, order, outcome, finished)
        except OSError as error:
            reason = one_line(f"cannot keep a record of it in {one.folder}: {error.strerror or error}", 300)
            return Outcome(Status.ERROR, reason, usage=outcome.usage, details=details)
        return outcome

    def find(self, one: Held, handle: Handle, amend: Amend | None = None) -> Running | None:
        """Return the job that a runner still has of an attempt, or the good result that it left on the disk."""
        if isinstance(self._place, Runner) and (process := self._place.find(handle)) is not None:
            return _Attempt(self, one, process.order, process, timestamp(), amend)
        try:
            outcome = read_result(one.folder)
        except (Trouble, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Done([(one, outcome)]) if outcome.status is Status.SUCCESS else None

    def close(self) -> None:
        """End whatever still runs."""
        if self._checks is not None:
            self._checks.close()
        if self._place is not None:
            self._place.close()


class _Attempt:
    """One attempt that runs."""

    def __init__(
        self, orders: Orders, held: Held, order: Order, process: Process, started: str, amend: Amend | None
    ) -> None:
        self._orders, self._held, self._order, self._process = orders, held, order, process
        self._started, self._amend = started, amend
        self.handle: Handle = process.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the one answer."""
        finished = self._process.wait()
        if isinstance(finished, Left):
            yield self._held, finished
            return
        yield self._held, self._orders.judge(self._held, self._order, finished, self._started, self._amend)

    def end(self, why: str, grace: float) -> None:
        """Ask the process to end."""
        self._process.end(why, grace)


def make_attempt_folder(folder: str) -> None:
    """Make the folder of an attempt, and that of its item; a folder that is there raises FileExistsError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.dirname(folder), 0o700)  # noqa: PTH102, PTH120 - paths as text: this is the hot path
    os.mkdir(folder, 0o700)  # noqa: PTH102


def values_of(one: Held, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what templates may name: the lane's own values, and those of every attempt."""
    return {
        **own,
        "index": one.item.index,
        "task_id": f"task_{one.item.index}",
        "output_file": f"{one.folder}/output",
        "prompt_file": f"{one.folder}/prompt.md",
        "attempt": one.attempt,
    }

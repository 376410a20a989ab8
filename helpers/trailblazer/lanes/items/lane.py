"""Items of a list: the dispatch owns them, and each attempt runs one order in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trailblazer.dispatch.lane import Dispatch, Done, Handle, Held, OwnedLane, Running
from trailblazer.errors import GateClosed, Trouble
from trailblazer.lanes.items.checks import Checks
from trailblazer.lanes.items.result_file import read_result, write_result
from trailblazer.paths import timestamp
from trailblazer.places.local import Local, Process
from trailblazer.plain import one_line
from trailblazer.processes.children import start_failure
from trailblazer.providers.command import Command, Finished, Order
from trailblazer.providers.outputs import Unreadable, read_log
from trailblazer.record.outcomes import Again, Left, Outcome, Status

FEW = 5  # fewer durations than this have no median to speak of


class ItemsLane(OwnedLane):
    """Runs the orders of a provider. The limit is in seconds, or a multiple of the median of those that succeeded."""

    def __init__(self, provider: Command, limit_seconds: float | None, limit_medians: float | None) -> None:
        self._provider, self._limit_seconds, self._limit_medians = provider, limit_seconds, limit_medians
        self._durations: deque[float] = deque(maxlen=1000)
        self._place: Local | None = None
        self._checks: Checks | None = None

    def check(self) -> None:
        """Refuse a batch whose agent is not installed."""
        agent = self._provider.agent
        if agent is not None and shutil.which(agent.command[0]) is None:
            raise GateClosed(f"there is no {agent.command[0]} on the PATH", "Install it, or choose another --provider.")

    def open(self, dispatch: Dispatch) -> None:
        """Take this machine as the place."""
        agent = self._provider.agent
        environment = {**(agent.environment if agent else {}), "TRACEPARENT": dispatch.traceparent}
        self._place = Local(dispatch.folder, environment)
        if schema := self._provider.expects.schema:
            self._checks = Checks(Path(schema), dispatch.folder, self._place.children)

    def begin(self, held: Sequence[Held]) -> Running:
        """Make a folder, an order and a process; whatever goes wrong with them is the item's outcome."""
        (one,) = held
        started = timestamp()
        order: Order | None = None
        try:
            _make_folder(one.folder)
            order = self._provider.order(_values(one), one.folder, self._limit())
            assert self._place is not None
            process = self._place.start(order, f"{one.item.index}.{one.attempt}")
            return _Attempt(self, one, order, process, started)
        except OSError as error:
            reason = start_failure(error, order.argv[0]) if order else f"cannot keep a record of it: {error.strerror}"
        except (Trouble, ValueError) as trouble:
            reason = str(trouble)
        outcome = Outcome(Status.ERROR, one_line(reason, 300))
        return Done([(one, self.settle(one, order, outcome, None, started))])

    def _limit(self) -> float | None:
        if self._limit_medians is None:
            return self._limit_seconds
        if len(self._durations) < FEW:
            return None
        return max(0.1, self._limit_medians * statistics.median(list(self._durations)))

    def judge(self, one: Held, order: Order, finished: Finished, started: str) -> Outcome:
        """Return the outcome of an order that has run; what it left that cannot be read is its error."""
        try:
            outcome = self._provider.judge(order, finished, self._check)
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
        outcome = Outcome(outcome.status, outcome.reason, outcome.refusal, outcome.usage, details)
        try:
            write_result(one, order, outcome, finished)
        except OSError as error:
            reason = one_line(f"cannot keep a record of it in {one.folder}: {error.strerror or error}", 300)
            return Outcome(Status.ERROR, reason, usage=outcome.usage, details=details)
        return outcome

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:  # noqa: ARG002 - its process has been ended
        """Return the good result that an attempt left on the disk before its dispatcher was killed."""
        (one,) = held
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

    def __init__(self, lane: ItemsLane, held: Held, order: Order, process: Process, started: str) -> None:
        self._lane, self._held, self._order, self._process, self._started = lane, held, order, process, started
        self.handle: Handle = process.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the one answer."""
        finished = self._process.wait()
        yield self._held, self._lane.judge(self._held, self._order, finished, self._started)

    def end(self, why: str, grace: float) -> None:
        """Ask the process to end."""
        self._process.end(why, grace)


def order_for(provider: Command, one: Held) -> tuple[str, ...]:
    """Return the command that an attempt would run; nothing is written."""
    values = _values(one)
    return provider.argv(values, {"prompt": "…", "prompt_file": values["prompt_file"]})


def _make_folder(folder: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.dirname(folder), 0o700)  # noqa: PTH102, PTH120 - paths as text: this is the hot path
    os.mkdir(folder, 0o700)  # noqa: PTH102


def _values(one: Held) -> dict[str, Any]:
    """Return what templates may name."""
    return {
        "item": one.item.body,
        "index": one.item.index,
        "task_id": f"task_{one.item.index}",
        "output_file": f"{one.folder}/output",
        "prompt_file": f"{one.folder}/prompt.md",
        "attempt": one.attempt,
    }


def first_words(folder: Path, index: int, number: int, most: int) -> str:
    """Return the beginning of what an attempt made, for a person to judge."""
    attempt = folder / f"task_{index}" / f"attempt_{number}"
    for name in ("output", "worker.stdout", "worker.stderr"):
        with contextlib.suppress(Unreadable):
            if said := read_log(f"{attempt}/{name}", 1, 8 * most):
                return one_line(said.decode("utf-8", "replace"), most)
    return "(no output)"

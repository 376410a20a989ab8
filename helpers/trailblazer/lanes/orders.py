"""Attempts at a provider, for any lane: a folder, an order, a process, a judgement, a result.json."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trailblazer.dispatch.halting import Halted
from trailblazer.dispatch.lane import Dispatch, Done, Handle, Held, Running
from trailblazer.errors import Trouble
from trailblazer.lanes.result_file import read_result, write_result
from trailblazer.paths import timestamp
from trailblazer.places.local import Local, mark_of
from trailblazer.places.runner import Runner
from trailblazer.plain import one_line
from trailblazer.processes.children import Children, start_failure
from trailblazer.providers.agents import TEMPORARY_MARK
from trailblazer.providers.answers import Answer, Kind
from trailblazer.providers.command import Judged, write_private
from trailblazer.providers.failure_codes import UNKNOWN, Cause, failure_of_start
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.order import Finished, Order
from trailblazer.providers.seats import Listener, Seat, Turn
from trailblazer.record.admission import Room
from trailblazer.record.outcomes import Again, Left, Outcome, Status

if TYPE_CHECKING:
    from trailblazer.lanes.checks import Checks

FEW = 5  # fewer durations than this have no median to speak of
MOST_DURATIONS = 1000
SOON_SECONDS = 0.1
ANSWER = "answer.txt"


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
MakePlace = Callable[[Dispatch, Seat], Place]
# Returns the outcome that is written and settled, for what an order that has run came to.
Amend = Callable[[Judged, Order, Finished], Outcome]


def place_of(dispatch: Dispatch, seat: Seat) -> Place:
    """Return where the orders of a provider run, with the environment that it wants: at its runner, else here."""
    entry = seat.provider.entry
    wanted = {name: value for name, value in entry.get("environment", {}).items() if TEMPORARY_MARK not in value}
    environment = {**wanted, "TRACEPARENT": dispatch.traceparent}
    if "questions" in entry:
        return Runner(dispatch.folder, environment, {name: tuple(words) for name, words in entry["questions"].items()})
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
    that are known (issue, repo …). `sessions` are those that earlier attempts left, by provider. `tree` is the working
    folder, empty for ours. `limit_seconds` comes before the limit of the dispatch. `amend` may replace the outcome
    before it is written.
    """

    values: Mapping[str, Any]
    known: Mapping[str, str] | None = None
    sessions: Mapping[str, str] = field(default_factory=dict)
    tree: str = ""
    limit_seconds: float | None = None
    amend: Amend | None = None


class Orders:
    """Runs the orders of a lineup for a lane. Its methods may be called in many threads at once."""

    def __init__(self, lineup: Lineup, limit: TimeLimit, make_place: MakePlace = place_of) -> None:
        self._lineup, self._limit, self._make_place = lineup, limit, make_place
        self._durations: deque[float] = deque(maxlen=MOST_DURATIONS)
        self._places: dict[str, Place] = {}
        self._checks: Checks | None = None

    def check(self) -> None:
        """Ask for free whether a provider can work; raises as Lineup.check does."""
        self._lineup.check()

    def open(self, dispatch: Dispatch) -> None:
        """Make the places, and get ready to hold outputs against a schema."""
        for member in self._lineup.members:
            self._places[member.name] = self._make_place(dispatch, member.seat)
        if schema := self._lineup.members[0].command.expects.schema:
            from trailblazer.lanes.checks import Checks

            children = next((place.children for place in self._places.values() if isinstance(place, Local)), None)
            self._checks = Checks(Path(schema), dispatch.folder, children or Children(mark_of(dispatch.folder)))
        self._lineup.listen(Listener(dispatch.switched, dispatch.say, dispatch.spent, dispatch.spent_by))

    def room(self) -> Room:
        """Return how many attempts may run now; Halted when the budget is spent, ServiceDown when nobody can work."""
        if over := self._lineup.overspent():
            raise Halted(f"the budget is spent: {over}", "To go on: resume with a larger budget.")
        return self._lineup.room()

    def begin(self, one: Held, wanted: Try) -> Running:
        """Make a folder, an order and a process; whatever goes wrong with them is the item's outcome.

        The failure of an agent to start counts as the provider's, unless there is no folder to work in.
        """
        started = timestamp()
        if self._lineup.is_past_its_cap(one.item.index):
            return Done([(one, Outcome(Status.ERROR, "what an item may spend is spent"))])
        turn = self._lineup.take(one.item.index)
        if turn is None:
            return Done([(one, Again(SOON_SECONDS, "its provider closed before it began"))])
        order, answer = None, None
        try:
            make_attempt_folder(one.folder)
            limit = self._limit_now() if wanted.limit_seconds is None else wanted.limit_seconds
            words = {**turn.words, **wanted.known} if wanted.known else turn.words
            if turn.name in wanted.sessions:
                words = {**words, "resume": wanted.sessions[turn.name]}
            order = turn.command.order(values_of(one, wanted.values), one.folder, limit, words, wanted.tree)
            process = self._places[turn.name].start(order, f"{one.item.index}.{one.attempt}")
            return _Attempt(self, turn, one, order, process, started, wanted.amend)
        except OSError as error:
            reason = start_failure(error, order.argv[0]) if order else f"cannot keep a record of it: {error.strerror}"
            failure = failure_of_start(error) if order else UNKNOWN
            is_its_own = order and not turn.member.seat.is_command and failure.cause is not Cause.WORKTREE
            answer = Answer(Kind.TRANSIENT, reason=reason) if is_its_own else None
        except (Trouble, ValueError) as trouble:
            reason, failure = str(trouble), failure_of_start(trouble)
        outcome = Outcome(Status.ERROR, one_line(reason, 300), details=failure.details)
        return Done([(one, self.settle(turn, one, order, Judged(outcome, answer), None, started))])

    def _limit_now(self) -> float | None:
        if self._limit.medians is None:
            return self._limit.seconds
        if len(self._durations) < FEW:
            return None
        import statistics

        return max(0.1, self._limit.medians * statistics.median(list(self._durations)))

    def judge(self, attempt: _Attempt, finished: Finished) -> Outcome | Again:
        """Return what an order that has run came to; what it left that cannot be read is its error."""
        one, order = attempt.held, attempt.order
        try:
            judged = attempt.turn.command.judge(order, finished, self._check)
            if attempt.amend is not None:
                judged = Judged(attempt.amend(judged, order, finished), judged.answer)
            if judged.answer is not None:
                write_answer(one.folder, judged.answer.text)
        except OSError as error:
            reason = one_line(f"cannot read what it left: {error.strerror or error}", 300)
            judged = Judged(Outcome(Status.ERROR, reason))
        if judged.outcome.status is Status.SUCCESS:
            self._durations.append(finished.seconds)
        return self.settle(attempt.turn, one, order, judged, finished, attempt.started)

    def leave(self, attempt: _Attempt, left: Left) -> None:
        """Give the turn of an attempt back that goes on without us; it says nothing about its provider."""
        self._lineup.end(attempt.turn, Outcome(Status.CANCELLED, left.reason), None)

    def _check(self, document: Any, seconds: float | None) -> str:
        return self._checks.first_violation(document, seconds) if self._checks is not None else ""

    def settle(
        self, turn: Turn, one: Held, order: Order | None, judged: Judged, finished: Finished | None, started: str
    ) -> Outcome | Again:
        """Write result.json, give the turn back, and return the outcome with what the journal keeps of it."""
        outcome = judged.outcome
        details: dict[str, Any] = {
            **outcome.details,
            "folder": f"task_{one.item.index}/attempt_{one.attempt}",
            "duration_ms": round(1000 * finished.seconds, 1) if finished else 0.0,
        }
        if finished is not None:
            details["exit_code"], details["signal"] = finished.exit_code, finished.signal
            details["peak_memory_kib"] = finished.peak_memory_kib
        details["started"] = started
        if not turn.member.seat.is_command:
            known = {"provider": turn.name, "version": turn.member.version, "fallback": turn.fallback}
            details |= {name: value for name, value in known.items() if value}
        outcome = Outcome(outcome.status, outcome.reason, outcome.refusal, outcome.usage, details)
        try:
            write_result(one, order, outcome, finished)
        except OSError as error:
            reason = one_line(f"cannot keep a record of it in {one.folder}: {error.strerror or error}", 300)
            outcome = Outcome(Status.ERROR, reason, usage=outcome.usage, details=details)
        return self._lineup.end(turn, outcome, judged.answer) or outcome

    def find(self, one: Held, handle: Handle, amend: Amend | None = None) -> Running | None:
        """Return the job that a runner still has of an attempt, or the good result that it left on the disk."""
        for name, place in self._places.items():
            process = place.find(handle) if isinstance(place, Runner) else None
            if (
                process is not None
                and process.order.job is not None
                and name.endswith(f":{process.order.job.provider}")
            ):
                turn = self._lineup.take_again(one.item.index, name)
                return _Attempt(self, turn, one, process.order, process, timestamp(), amend)
        try:
            outcome = read_result(one.folder)
        except (Trouble, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Done([(one, outcome)]) if outcome.status is Status.SUCCESS else None

    def close(self) -> None:
        """End whatever still runs."""
        self._lineup.close()
        if self._checks is not None:
            self._checks.close()
        for place in self._places.values():
            place.close()


class _Attempt:
    """One attempt that runs."""

    def __init__(
        self, orders: Orders, turn: Turn, held: Held, order: Order, process: Process, started: str, amend: Amend | None
    ) -> None:
        self.turn, self.held, self.order, self.started, self.amend = turn, held, order, started, amend
        self._orders, self._process = orders, process
        self.handle: Handle = process.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the one answer."""
        finished = self._process.wait()
        if isinstance(finished, Left):
            self._orders.leave(self, finished)
            yield self.held, finished
        else:
            yield self.held, self._orders.judge(self, finished)

    def end(self, why: str, grace: float) -> None:
        """Ask the process to end."""
        self._process.end(why, grace)


def make_attempt_folder(folder: str) -> None:
    """Make the folder of an attempt, and that of its item; a folder that is there raises FileExistsError."""
    above, _, _ = folder.rpartition("/")
    try:  # noqa: SIM105 - this is the hot path
        os.mkdir(above, 0o700)  # noqa: PTH102 - paths as text: this is the hot path
    except FileExistsError:
        pass
    os.mkdir(folder, 0o700)  # noqa: PTH102


def write_answer(folder: str, text: str) -> None:
    """Keep what an agent answered beside its logs; a file of that name, which is the agent's own, stays."""
    if text:
        with contextlib.suppress(FileExistsError):
            write_private(f"{folder}/{ANSWER}", text)


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

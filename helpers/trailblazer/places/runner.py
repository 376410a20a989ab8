"""A runner as a place (N5): it starts jobs that run elsewhere, and is asked how they are until they have ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trailblazer.atomic import write_whole
from trailblazer.errors import Trouble
from trailblazer.places.runner_job import Kept, read_kept
from trailblazer.places.runner_questions import Questions, State, questions_for
from trailblazer.processes.children import start_failure
from trailblazer.processes.launching import Launched
from trailblazer.processes.marks import end_marked
from trailblazer.processes.spawning import environment_block
from trailblazer.providers.order import Finished, Order
from trailblazer.providers.outputs import read_log
from trailblazer.providers.runner_events import RunnerEvent, complaint_of, reason_code_of
from trailblazer.record.outcomes import Left

ACKNOWLEDGE_SECONDS = 30.0
STOP_SECONDS = 20.0
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # between two checks; the last goes on
MOST_SILENT_CHECKS = 3  # so many checks in a row that know of no job mean that it has gone
_ERROR_BYTES = 1 << 16


class Runner:
    """Starts the orders of one dispatch at a runner, which is asked with the words of `questions` (Agent.questions).

    `environment` holds the variables that the runner gets beside ours. What a runner starts does not carry the mark
    of the dispatch: a job goes on when the dispatcher is killed, and is found again by its handle.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        questions: Mapping[str, tuple[str, ...]],
        *,
        acknowledge_seconds: float = ACKNOWLEDGE_SECONDS,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self.folder, self.environment, self._questions = folder.resolve(), dict(environment), questions
        self.acknowledge_seconds, self.pauses = acknowledge_seconds, pauses

    def start(self, order: Order, name: str) -> RunnerProcess:
        """Begin an order with a job and return at once; `wait` starts it. What cannot be kept raises OSError."""
        assert order.job is not None
        # A job that is left has no mark: it must outlive us. Any other can be swept when `stop` leaves a part of it.
        mark = "" if order.job.is_left else f"runner:{self.folder}#{name}"
        limit = order.limit_seconds
        kept = Kept(order, mark, deadline=None if limit is None else time.time() + limit)
        kept.write()
        return RunnerProcess(self, kept, self.asked(order), is_new=True)

    def find(self, handle: Mapping[str, Any]) -> RunnerProcess | None:
        """Return a job of an earlier process by its handle; None when it never began, or its folder was lost.

        Its `wait` goes on to wait for it; one that was left is settled when it has ended, and else left again.
        """
        try:
            folder = Path(handle["folder"])
            if not folder.resolve().is_relative_to(self.folder):
                return None
            kept = read_kept(folder)
            asked = self.asked(kept.order)
        except (KeyError, TypeError, ValueError, OSError, Trouble):
            return None
        state = asked.check()
        if not kept.run:
            if state.is_known and state.run in {"", kept.before}:
                return None
            kept = replace(kept, run="" if state.run == kept.before else state.run)
        return RunnerProcess(self, kept, asked, is_new=False)

    def asked(self, order: Order) -> Questions:
        """Return the questions about the job of an order."""
        assert order.job is not None
        environment = {**os.environ, **self.environment, **order.variables}
        return questions_for(self._questions, order.job.issue, environment)

    def close(self) -> None:
        """End nothing: each job was ended, settled or left when its process was waited for."""


class RunnerProcess:
    """A job of a runner. `handle` finds it again after a restart; `order` is what it was started with."""

    def __init__(self, place: Runner, kept: Kept, asked: Questions, *, is_new: bool) -> None:
        self._place, self._kept, self._asked, self._is_new = place, kept, asked, is_new
        self._over, self._why, self._grace = threading.Event(), "", STOP_SECONDS
        self.order = kept.order
        self.handle: Mapping[str, Any] = {"folder": kept.order.folder}

    @property
    def provider(self) -> str:
        """The name that a chain has for its provider."""
        return f"{self.order.job.runner}:{self.order.job.provider}" if self.order.job else ""

    def end(self, why: str, grace: float) -> None:
        """Ask it to stop within `grace` seconds, and return at once."""
        self._why, self._grace = self._why or why, min(grace, self._grace)
        self._over.set()

    def wait(self) -> Finished | Left:
        """Start the job if it is new, and wait until it has ended; Left means that it goes on, or may go on."""
        if self._is_new and (answer := self._start()) is not None:
            return answer
        if self.order.job is not None and self.order.job.is_left:
            return self._left_or_settled()
        return self._watch()

    # Starting

    def _start(self) -> Finished | Left | None:
        """Start the job; return an answer when it did not begin, or may have begun, and None when it has begun."""
        before = self._asked.check()
        if self._over.is_set():
            return self._refused(None, "", "ended before it began")
        if before.is_running:
            return self._refused(None, "already_running", f"a job for this issue runs already ({before.run})")
        self._keep(before=before.run, began=time.time())
        files = tuple(Path(self.order.folder) / f"start.{stream}" for stream in ("stdout", "stderr"))
        place = {"PWD": self.order.tree} if self.order.tree else {}
        variables = {**self._asked.environment, **place}
        block = environment_block(variables)
        try:
            launched = Launched(self.order.argv, block, (files[0], files[1]), self._kept.mark, self.order.tree)
        except OSError as error:
            return self._refused(None, "not_installed", start_failure(error, self.order.argv[0]))
        deadline = time.monotonic() + self._place.acknowledge_seconds
        state = self._acknowledged(launched, deadline)
        out, err = map(_taken_away, files)
        if state is not None and self._is_ours(state):
            self._keep(run=state.run)
            return None
        code = launched.poll()
        if code and not launched.was_killed:
            return self._refused(code, reason_code_of(out, err), complaint_of(out, err))
        if state is None or not state.is_known:
            return Left("the runner does not say whether the job began")
        return self._refused(None, "not_acknowledged", f"not acknowledged within {self._place.acknowledge_seconds:g} s")

    def _acknowledged(self, launched: Launched, deadline: float) -> State | None:
        """Wait until the start has returned and a check knows the new run; return the last that a check said."""
        while launched.poll() is None and time.monotonic() < deadline and not self._over.is_set():
            launched.wait(0.2)
        if launched.poll():
            state = self._asked.check()
            return state if state.is_running and self._is_ours(state) else None
        while True:
            state = self._asked.check()
            if self._is_ours(state):
                return state
            if time.monotonic() >= deadline or self._over.is_set():
                break
            self._over.wait(min(self._place.pauses[0], max(0.0, deadline - time.monotonic())))
        launched.kill()  # what has not begun by now must not begin later
        if self._kept.mark:
            end_marked(self._kept.mark, grace=1.0)
        return self._asked.check()

    def _is_ours(self, state: State) -> bool:
        """Return whether a run began after our start: the runner knows its jobs by their issues alone."""
        return bool(state.run) and state.run != self._kept.before

    # Waiting

    def _left_or_settled(self) -> Finished | Left:
        state = self._asked.check()
        is_late = self._kept.deadline is not None and time.time() >= self._kept.deadline
        if self._is_new or not state.is_known or (state.is_running and not is_late):
            return Left(f"it goes on as {self._kept.run or 'a job of the runner'}")
        return self._stopped("timeout") if state.is_running else self._ended(state, "")

    def _watch(self) -> Finished | Left:
        """Ask how the job is until it has ended, is asked to end, or is late."""
        number, unknown, stalled_at = 0, 0, 0.0
        while True:
            state = self._asked.check()
            if state.run and not self._is_ours(state):
                state = State(is_known=True, state="missing")
            elif state.run and self._kept.run and state.run != self._kept.run:
                return Left(f"another run of the issue ({state.run}) has taken the place of {self._kept.run}")
            unknown = 0 if state.run else unknown + 1
            if (state.run and not state.is_running) or (state.is_known and unknown >= MOST_SILENT_CHECKS):
                return self._ended(state, "")
            stalled_at = (stalled_at or time.monotonic()) if state.state == "stalled" else 0.0
            if why := self._reason_to_stop(stalled_at):
                return self._stopped(why)
            self._over.wait(self._pause(number))
            number += 1

    def _pause(self, number: int) -> float:
        pause = self._place.pauses[min(number, len(self._place.pauses) - 1)]
        deadline = self._kept.deadline
        return pause if deadline is None else max(0.05, min(pause, deadline - time.time()))

    def _reason_to_stop(self, stalled_at: float) -> str:
        if self._over.is_set():
            return self._why
        if self._kept.deadline is not None and time.time() >= self._kept.deadline:
            return "timeout"
        idle = self.order.idle_seconds
        return "idle" if idle is not None and stalled_at and time.monotonic() - stalled_at >= idle else ""

    # Ending

    def _stopped(self, why: str) -> Finished | Left:
        """Stop the job and make sure that it has stopped; a job that goes on all the same is left, not released."""
        self._asked.stop(max(1.0, self._grace))
        deadline = time.monotonic() + self._grace
        state = self._asked.check()
        while state.is_running and time.monotonic() < deadline:
            time.sleep(0.2)
            state = self._asked.check()
        if self._kept.mark:
            end_marked(self._kept.mark, grace=min(self._grace, 2.0))
            state = self._asked.check() if state.is_running else state
        elif state.is_running or not state.is_known:
            return Left("it was asked to stop, and the runner does not say that it has stopped")
        return self._ended(state, why)

    def _ended(self, state: State, why: str) -> Finished:
        report = self._asked.report(self._kept.run)
        if self._kept.mark and not why:
            end_marked(self._kept.mark, grace=2.0)
        reason = "" if state.state in _GOOD else _reason(state, report)
        event = RunnerEvent("ended", state.exit_code, state.state, state.reason_code, reason, report)
        return self._finished(event, _exit_code(state, report), why)

    def _refused(self, exit_code: int | None, reason_code: str, reason: str) -> Finished:
        return self._finished(RunnerEvent("refused", exit_code, "", reason_code, reason), exit_code or 1, self._why)

    def _finished(self, event: RunnerEvent, exit_code: int, why: str) -> Finished:
        line = event.line()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(f"{self.order.folder}/worker.stdout", flags, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
        seconds = max(0.0, time.time() - self._kept.began) if self._kept.began else 0.0
        code = None if exit_code < 0 else min(exit_code, 255)
        signal = -exit_code if exit_code < 0 else None
        return Finished(code, signal, why, seconds, 0.0, 0.0, 0, len(line), 0, truncated=False)

    def _keep(self, **changed: Any) -> None:
        self._kept = replace(self._kept, **changed)
        self._kept.write()


_GOOD = frozenset({"exited_ok", "no_op_success"})


def _reason(state: State, report: Mapping[str, Any]) -> str:
    said = [
        state.state or "the runner knows of no such job",
        f"reason_code={state.reason_code}" if state.reason_code else "",
    ]
    fallback = report.get("fallback_reason")
    return "; ".join([*filter(None, said), *([fallback] if isinstance(fallback, str) and fallback else [])])


def _exit_code(state: State, report: Mapping[str, Any]) -> int:
    """Return the exit code of the job: what the report says, as a number or a text, else what its state means."""
    try:
        code = int(report["exit_code"])
    except (KeyError, TypeError, ValueError):
        code = 0 if state.state in _GOOD else 1
    return 0 if state.state in _GOOD else code or 1


def _taken_away(file: Path) -> str:
    """Return what a start printed, and keep a copy in its place: the job still writes into the file that it has.

    A job that is left writes on after the folder of its dispatch is sealed.
    """
    printed = read_log(str(file), 1, _ERROR_BYTES)
    file.unlink(missing_ok=True)
    write_whole(file, printed)
    return printed.decode("utf-8", "replace")

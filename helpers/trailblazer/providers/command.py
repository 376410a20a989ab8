"""Commands and agents as providers: each makes the order of an attempt, and judges what has run."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from signal import SIGTERM
from typing import Any

import orjson

from trailblazer.atomic import write_all
from trailblazer.plain import one_line
from trailblazer.providers.agents import TEMPORARY, Agent, Answer, Kind, read_answer
from trailblazer.providers.evidence import missing_evidence, state_of
from trailblazer.providers.failure_codes import Cause, Code, Failure, failure_of_end, failure_of_kind
from trailblazer.providers.order import Evidence, Expectation, Final, Finished, Order, RunnerJob
from trailblazer.providers.outputs import MOST_BYTES, Unreadable, last_bytes, read_file, read_log
from trailblazer.providers.runner_events import failure_in
from trailblazer.providers.templates import Render
from trailblazer.record.outcomes import Outcome, Status
from trailblazer.schemas import parse_json

__all__ = ["Check", "Command", "Expectation", "Finished", "Judged", "Order"]

GRACE_SECONDS = 60.0

# Returns what is wrong with a document, empty when nothing is; it may take so many seconds, None is no limit.
Check = Callable[[Any, float | None], str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What an order that has run came to, and what its agent said; None for a command, and where nothing was read."""

    outcome: Outcome
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or an agent with words behind its own. `prompt` becomes a file that goes in as the agent says.

    `idle_seconds` is how long it may print nothing, `grace_seconds` how long it may stay after its final event.
    With `is_left` nobody waits for the job of a runner.
    """

    words: Sequence[Render]
    prompt: Render | None
    agent: Agent | None
    model: str | None
    log_cap: int | None
    expects: Expectation
    idle_seconds: float | None = None
    grace_seconds: float = GRACE_SECONDS
    is_left: bool = False

    def order(
        self,
        values: Mapping[str, Any],
        folder: str,
        limit_seconds: float | None,
        words: Mapping[str, str] | None = None,
        tree: str = "",
    ) -> Order:
        """Return what to run for the values of one item; a template that they do not fill raises TemplateFailed.

        `words` are what is known for the agent's own words (agents.KNOWN), `tree` is the working folder.
        """
        stdin, known = None, {**(words or {}), **({"model": self.model} if self.model else {})}
        if tree:
            known["tree"] = tree
        if self.agent and self.agent.runner:
            known["provider"] = self.agent.provider
        if self.prompt is not None:
            text = self.prompt(values)
            write_private(values["prompt_file"], text)
            known |= {"prompt": text, "prompt_file": values["prompt_file"]}
            stdin = values["prompt_file"] if self.agent is None or self.agent.prompt == "stdin" else None
        agent = self.agent
        return Order(
            argv=self.argv(values, known),
            folder=folder,
            output_file=values["output_file"],
            stdin=stdin,
            limit_seconds=limit_seconds,
            log_cap=self.log_cap,
            expects=self.expects,
            tree=tree,
            tree_state=state_of(tree or os.curdir) if self.expects.evidence is Evidence.CHANGES else None,
            idle_seconds=self.idle_seconds,
            final=Final(agent.ends, self.grace_seconds) if agent and agent.ends else None,
            variables=agent.variables(folder) if agent else {},
            job=RunnerJob(agent.runner, known["issue"], agent.provider, self.is_left)
            if agent and agent.runner
            else None,
        )

    def for_version(self, version: str | None) -> Command:
        """Return the same with the words that this version of the agent knows."""
        return self if self.agent is None else replace(self, agent=self.agent.for_version(version))

    def argv(self, values: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words for the values of one item."""
        own = [render(values) for render in self.words]
        return (*self.agent.words(known), *own) if self.agent else tuple(own)

    def judge(self, order: Order, ended: Finished, check: Check) -> Judged:
        """Return what an order that has run came to; `check` holds its output against the schema.

        The details of every outcome that is no success have its code and cause (failure_codes).
        """
        try:
            return self._judge(order, ended, check)
        except Unreadable as error:
            if ended.why:
                return self._ended(order, ended, None)
            failure = Failure(Code.RUNNER_ERROR, Cause.OUTPUT)
            return Judged(Outcome(Status.ERROR, error.what, details=failure.details))
        finally:
            if order.variables:
                shutil.rmtree(f"{order.folder}/{TEMPORARY}", ignore_errors=True)

    def _judge(self, order: Order, ended: Finished, check: Check) -> Judged:
        if ended.why and self.agent is None:
            return self._ended(order, ended, None)
        made = read_file(order.output_file)
        stdout = read_log(f"{order.folder}/worker.stdout", ended.stdout_bytes)
        answer = self._answer(order, ended, stdout)
        if _has_not_answered(ended, answer):
            return self._ended(order, ended, answer)
        content, details = _content(made, stdout, answer), _details(ended, answer)
        if content:
            details["output_sha256"] = hashlib.sha256(content).hexdigest()
        usage = answer.usage if answer else {}
        reason, failure = self._failure(order, ended, answer, stdout, content, details, check)
        if not reason:
            return Judged(Outcome(Status.SUCCESS, usage=usage, details=details), answer)
        if ended.truncated and answer is not None:
            reason = one_line(f"{reason} (its log was cut at {order.log_cap} bytes)", 300)
        return Judged(Outcome(Status.ERROR, reason, usage=usage, details={**details, **failure.details}), answer)

    def _ended(self, order: Order, ended: Finished, answer: Answer | None) -> Judged:
        """Return what an attempt came to that we ended before it had a result; what it has used counts."""
        failure = failure_of_end(ended.why, answer.kind if answer else None)
        status = Status.CANCELLED if ended.why == "cancelled" else Status.TIMEOUT
        details = {**_details(ended, answer), **failure.details}
        usage = answer.usage if answer else {}
        return Judged(Outcome(status, _why_ended(order, ended), usage=usage, details=details), answer)

    def _answer(self, order: Order, ended: Finished, stdout: bytes) -> Answer | None:
        if self.agent is None:
            return None
        stderr = last_bytes(f"{order.folder}/worker.stderr", ended.stderr_bytes, MOST_BYTES)
        # However an agent exits when we end it, it was ended: gemini exits with 0, and others with 143.
        exit_code, signal = (None, int(SIGTERM)) if ended.why else (ended.exit_code, ended.signal)
        return read_answer(self.agent, stdout, stderr, exit_code, signal, {**os.environ, **order.variables})

    def _failure(
        self,
        order: Order,
        ended: Finished,
        answer: Answer | None,
        stdout: bytes,
        content: bytes,
        details: dict[str, Any],
        check: Check,
    ) -> tuple[str, Failure]:
        """Return why the attempt failed, in one line that is empty when it did not, and the failure that it was."""
        if reason := self._complaint(order, ended, answer):
            is_crash = ended.signal is not None and not ended.why
            if order.job is not None and (said := failure_in(stdout)):
                return reason, said
            if answer is not None and (answer.kind is not Kind.FAILED or not is_crash):
                return reason, failure_of_kind(answer.kind)
            return reason, Failure(Code.RUNNER_ERROR, Cause.CRASHED if is_crash else Cause.FAILED)
        if reason := _unexpected(order, ended, content, details, check):
            return reason, Failure(Code.RUNNER_ERROR, Cause.OUTPUT)
        if order.expects.evidence is Evidence.NONE:
            return "", _NO_CHANGE
        text = answer.text if answer is not None else content.decode("utf-8", "replace")
        return one_line(missing_evidence(order, text), 300), _NO_CHANGE

    def _complaint(self, order: Order, ended: Finished, answer: Answer | None) -> str:
        """Return why the command failed by its signal, its exit code or its own words; empty when it did not."""
        is_good = ended.signal is None and not ended.exit_code if answer is None else answer.kind is Kind.OK
        if is_good:
            return ""
        said = answer.reason if answer is not None and answer.reason else _last_line(order, ended)
        if order.job is not None and said:
            return one_line(said, 300)
        what = f"killed by signal {ended.signal}" if ended.signal is not None else f"exit {ended.exit_code}"
        return one_line(said if ended.why and said else f"{what}: {said}" if said else what, 300)


_NO_CHANGE = Failure(Code.RUNNER_ERROR, Cause.NO_CHANGE)
TAIL_BYTES = 4096


def _details(ended: Finished, answer: Answer | None) -> dict[str, Any]:
    details: dict[str, Any] = {"truncated": True} if ended.truncated else {}
    if answer is not None:
        details |= {name: value for name in ("session", "model", "denied") if (value := getattr(answer, name))}
    return details


def _has_not_answered(ended: Finished, answer: Answer | None) -> bool:
    """Return whether an attempt that we ended has no result of its own; one that was cancelled never has."""
    if ended.why in {"", "answered"}:
        return False
    return ended.why == "cancelled" or answer is None or answer.kind is not Kind.OK


def _why_ended(order: Order, ended: Finished) -> str:
    if ended.why == "idle":
        return f"silent for {order.idle_seconds:g} s"
    return "ended before it was done" if ended.why == "cancelled" else f"ended after {ended.seconds:.1f} s"


def _last_line(order: Order, ended: Finished) -> str:
    """Return the last line that is not blank, of stderr or else of stdout, plain and short."""
    for name, size in (("worker.stderr", ended.stderr_bytes), ("worker.stdout", ended.stdout_bytes)):
        lines = last_bytes(f"{order.folder}/{name}", size, TAIL_BYTES).decode("utf-8", "replace").split("\n")
        for line in reversed(lines):
            if line.strip():
                return one_line(line, 200)
    return ""


def _unexpected(order: Order, ended: Finished, content: bytes, details: dict[str, Any], check: Check) -> str:
    """Return why the output is not what was expected, and note the status that the output itself states."""
    if not order.expects.json:
        return ""
    try:
        document = parse_json(content, is_exact=True)
    except ValueError as error:
        return one_line(f"the output is not JSON: {error}" if content else "there is no output", 300)
    if isinstance(document, dict) and isinstance(document.get("status"), str):
        details["domain_status"] = one_line(document["status"], 60)
    if not order.expects.schema:
        return ""
    left = None if order.limit_seconds is None else order.limit_seconds - ended.seconds
    return one_line(check(document, left), 300)


def _content(made: bytes | None, stdout: bytes, answer: Answer | None) -> bytes:
    """Return what counts as the output: the output file, else what the agent answered, else stdout."""
    if made is not None:
        return made
    if answer is None:
        return stdout
    return orjson.dumps(answer.data) if answer.data is not None else answer.text.encode("utf-8", "replace")


def write_private(file: str, text: str) -> None:
    """Write a new file that only we may read; one that is there raises FileExistsError."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(handle, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(handle)

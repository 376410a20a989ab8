"""Orders: what an attempt runs, as one frozen document; made by a provider, run by a place, judged by the provider."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from trailblazer.atomic import write_all
from trailblazer.plain import one_line
from trailblazer.providers.agents import Agent, Answer, Kind, read_answer
from trailblazer.providers.outputs import MOST_BYTES, Unreadable, last_bytes, read_file, read_log
from trailblazer.providers.templates import Render
from trailblazer.record.outcomes import Outcome, Status
from trailblazer.schemas import check_shape, parse_json


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the output must be: `json` must parse, `schema` is the file of a schema that it must satisfy."""

    json: bool = False
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What one attempt runs. Paths are absolute.

    `stdin` is the file that the command reads, None for nothing. `environment` names the variables that it gets from
    ours; `*` is all of them. `limit_seconds` is a wall-clock limit, None for none; `log_cap` in bytes, None to keep no
    logs. `tree` is the working folder, empty for ours. The command writes its result to `output_file`, or else its
    stdout is the result.
    """

    argv: tuple[str, ...]
    folder: str
    output_file: str
    stdin: str | None = None
    environment: tuple[str, ...] = ("*",)
    limit_seconds: float | None = None
    log_cap: int | None = None
    expects: Expectation = Expectation()
    tree: str = ""

    def document(self) -> dict[str, Any]:
        """Return the order as result.json holds it."""
        document = {name: getattr(self, name) for name in _FIELDS}
        document |= {"argv": list(self.argv), "environment": list(self.environment)}
        document["expects"] = {"json": self.expects.json, "schema": self.expects.schema}
        check_shape("order", document, self.folder, is_flat=True)
        return document


_FIELDS = tuple(field.name for field in dataclasses.fields(Order))


@dataclass(frozen=True, slots=True)
class Finished:
    """How an order ended. `why` is empty when it ended by itself, else timeout or cancelled; sizes of logs in bytes."""

    exit_code: int | None
    signal: int | None
    why: str
    seconds: float
    user_seconds: float
    system_seconds: float
    peak_memory_kib: int
    stdout_bytes: int
    stderr_bytes: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What an order that has run came to, and what its agent said; None for a command, and where nothing was read."""

    outcome: Outcome
    answer: Answer | None = None


# Returns what is wrong with a document, empty when nothing is; it may take so many seconds, None is no limit.
Check = Callable[[Any, float | None], str]


class Maker(Protocol):
    """Makes the orders of a provider, and judges what they came to."""

    @property
    def expects(self) -> Expectation:
        """What the output must be."""

    def order(
        self,
        values: Mapping[str, Any],
        folder: str,
        limit_seconds: float | None,
        words: Mapping[str, str] | None = None,
        tree: str = "",
    ) -> Order:
        """Return what to run for the values of one item; a Trouble, ValueError or OSError is the item's error."""

    def argv(self, values: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words of the order alone, for a preview."""

    def judge(self, order: Order, ended: Finished, check: Check) -> Judged:
        """Return what an order that has run came to; what cannot be read may raise OSError."""

    def for_version(self, version: str | None) -> Maker:
        """Return the maker for the version of the provider that is installed; None: nobody knows it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or an agent with words behind its own. `prompt` becomes a file that goes in as the agent says."""

    words: Sequence[Render]
    prompt: Render | None
    agent: Agent | None
    model: str | None
    log_cap: int | None
    expects: Expectation

    def order(
        self,
        values: Mapping[str, Any],
        folder: str,
        limit_seconds: float | None,
        words: Mapping[str, str] | None = None,
        tree: str = "",
    ) -> Order:
        """Return what to run for the values of one item; a template that they do not fill raises TemplateFailed.

        `words` are what is known for the agent's own words (session, budget_usd …), `tree` is the working folder.
        """
        stdin, known = None, {**(words or {}), **({"model": self.model} if self.model else {})}
        if tree:
            known["tree"] = tree
        if self.prompt is not None:
            text = self.prompt(values)
            write_private(values["prompt_file"], text)
            known |= {"prompt": text, "prompt_file": values["prompt_file"]}
            stdin = values["prompt_file"] if self.agent is None or self.agent.prompt == "stdin" else None
        return Order(
            argv=self.argv(values, known),
            folder=folder,
            output_file=values["output_file"],
            stdin=stdin,
            limit_seconds=limit_seconds,
            log_cap=self.log_cap,
            expects=self.expects,
            tree=tree,
        )

    def for_version(self, version: str | None) -> Command:
        """Return the same with the words that this version of the agent knows."""
        return self if self.agent is None else dataclasses.replace(self, agent=self.agent.for_version(version))

    def argv(self, values: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words for the values of one item."""
        own = tuple(render(values) for render in self.words)
        return (*self.agent.words(known), *own) if self.agent else own

    def judge(self, order: Order, ended: Finished, check: Check) -> Judged:
        """Return what an order that has run came to; `check` holds its output against the schema."""
        details: dict[str, Any] = {"truncated": True} if ended.truncated else {}
        if ended.why:
            return self._was_ended(order, ended, details)
        try:
            made = read_file(order.output_file)
            stdout = read_log(f"{order.folder}/worker.stdout", ended.stdout_bytes)
        except Unreadable as error:
            return Judged(Outcome(Status.ERROR, error.what, details=details))
        answer = self._answer(order, ended, stdout)
        content = _content(made, stdout, answer)
        if content:
            details["output_sha256"] = hashlib.sha256(content).hexdigest()
        if answer is not None:
            details |= {name: value for name in ("session", "model") if (value := getattr(answer, name))}
        reason = self._failure(order, ended, answer) or _unexpected(order, ended, content, details, check)
        if reason and ended.truncated and answer is not None:
            reason = one_line(f"{reason} (its log was cut at {order.log_cap} bytes)", 300)
        usage = answer.usage if answer else {}
        outcome = Outcome(Status.ERROR if reason else Status.SUCCESS, reason, usage=usage, details=details)
        return Judged(outcome, answer)

    def _was_ended(self, order: Order, ended: Finished, details: dict[str, Any]) -> Judged:
        """Return what an attempt that was ended came to; what it has used until then counts."""
        answer = None
        if self.agent is not None:
            with contextlib.suppress(Unreadable):
                answer = self._answer(order, ended, read_log(f"{order.folder}/worker.stdout", ended.stdout_bytes))
        usage = answer.usage if answer else {}
        if ended.why == "timeout":
            return Judged(
                Outcome(Status.TIMEOUT, f"ended after {ended.seconds:.1f} s", usage=usage, details=details), answer
            )
        return Judged(Outcome(Status.CANCELLED, "ended before it was done", usage=usage, details=details), answer)

    def _answer(self, order: Order, ended: Finished, stdout: bytes) -> Answer | None:
        if self.agent is None:
            return None
        stderr = last_bytes(f"{order.folder}/worker.stderr", ended.stderr_bytes, MOST_BYTES)
        return read_answer(self.agent, stdout, stderr, ended.exit_code, ended.signal, os.environ)

    def _failure(self, order: Order, ended: Finished, answer: Answer | None) -> str:
        """Return why the command failed by its signal, its exit code or its own words; empty when it did not."""
        has_refused = answer is not None and answer.kind is not Kind.OK
        if ended.signal is None and not ended.exit_code and not has_refused:
            return ""
        said = answer.reason if answer is not None and answer.reason else _last_line(order, ended)
        what = f"killed by signal {ended.signal}" if ended.signal is not None else f"exit {ended.exit_code}"
        return one_line(f"{what}: {said}" if said else what, 300)


TAIL_BYTES = 4096


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
        document = parse_json(content)
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

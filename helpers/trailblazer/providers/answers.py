"""What an agent's output means: its kind by rules that are data, and what stands where in it."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from trailblazer.plain import one_line
from trailblazer.providers.selectors import (
    Gathering,
    Selector,
    Where,
    document_at_end,
    events_in,
    is_number,
    parse,
    read_selectors,
    read_where,
)

_VARIABLE = re.compile(r"\{(\w+)\}")
_SESSION = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,199}")  # it becomes a word of a command and part of a path
COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")
_ENDING_SIGNALS = {1, 2, 9, 15}  # HUP, INT, KILL, TERM: somebody ended it; any other signal is a crash
_ENDING_EXITS = {128 + number for number in _ENDING_SIGNALS}  # how a program says that a signal ended it
_STDERR_BYTES = 1 << 16
_LOG_BYTES = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Kind(StrEnum):
    """What an agent's run came to."""

    OK = "ok"
    FAILED = "failed"
    QUOTA = "quota"  # the account's allowance is used up until it resets
    BILLING = "billing"  # there is no credit
    AUTH = "auth"  # not logged in, or the key is refused
    MODEL = "model"  # this account has no such model
    RATE = "rate"  # too many requests for the moment
    TRANSIENT = "transient"  # the service is overloaded, or it failed by itself
    REFUSED = "refused"  # the agent was not permitted to use a tool
    CAPPED = "capped"  # the agent reached its limit of money or turns
    STOPPED = "stopped"  # somebody ended the process before it was done


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent's output says: what it came to, its text and data, why (one line, empty when ok), what it used.

    `usage` has input_tokens, output_tokens and costUSD, as far as the agent says them; `resets_at` is in epoch seconds.
    """

    kind: Kind
    text: str = ""
    data: Any = None
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    session: str | None = None
    model: str | None = None
    denied: int = 0
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its exit code, or the signal that ended it, or neither where nobody saw it."""

    exit_code: int | None
    signal: int | None

    @property
    def was_ended(self) -> bool:
        """Whether somebody ended the process; a crash, and an exit of its own, is something else."""
        if self.signal is not None:
            return self.signal in _ENDING_SIGNALS
        return self.exit_code is None or self.exit_code in _ENDING_EXITS

    def __str__(self) -> str:
        if self.signal is not None:
            return f"signal {self.signal}"
        return "exit code unknown" if self.exit_code is None else f"exit {self.exit_code}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What means a kind: exit codes, and conditions on some event, on the final event and on the very last event."""

    kind: Kind
    exits: frozenset[int]
    where: Where | None
    final: Where | None
    last: Where | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How an agent's output is read. `find` has text, data, session, model, denied, error and resets_at."""

    output: Literal["json", "text"]
    reads_stderr: bool
    final: Where
    find: Mapping[str, tuple[Selector, ...]]
    usage: Mapping[str, tuple[Selector, ...]]
    session_log: tuple[str, ...]
    rules: tuple[Rule, ...]


def read_reading(entry: Mapping[str, Any]) -> Reading:
    """Return how the output of an entry of agents.yaml is read; the entry is right by its schema."""
    rules = []
    for rule in entry.get("kinds", ()):
        parts = (read_where(rule[part]) if part in rule else None for part in ("where", "final", "last"))
        rules.append(Rule(Kind(rule["kind"]), frozenset(rule.get("exit", ())), *parts))
    return Reading(
        output=entry.get("output", "json"),
        reads_stderr=entry.get("reads_stderr", False),
        final=read_where(entry.get("final", {})),
        find={name: read_selectors(written) for name, written in entry.get("find", {}).items()},
        usage={name: read_selectors(written) for name, written in entry.get("usage", {}).items()},
        session_log=tuple(entry.get("session_log", ())),
        rules=tuple(rules),
    )


class Seen:
    """What one pass over an output found: its final event, its very last event, and the rules that met their event."""

    def __init__(self, reading: Reading, events: Iterable[dict[str, Any]]) -> None:
        self._reading = reading
        self._gathering = Gathering(itertools.chain(*reading.find.values(), *reading.usage.values()))
        self._unmet = [rule.where for rule in reading.rules if rule.where]
        self.final: dict[str, Any] | None = None
        self.last: dict[str, Any] | None = None
        for event in events:
            self._see(event)

    def _see(self, event: dict[str, Any]) -> None:
        self.last = event
        if self._reading.final.holds(event):
            self.final = event
        self._gathering.see(event)
        self._unmet = [where for where in self._unmet if not where.holds(event)]

    def meets(self, rule: Rule, ending: Ending) -> bool:
        """Return whether a rule holds. Without a final event, and after a bad exit, nothing is ok."""
        if rule.kind is Kind.OK:
            is_json = self._reading.output == "json"
            if (is_json and self.final is None) or not (ending.exit_code == 0 or (is_json and ending.was_ended)):
                return False
        return (
            (not rule.exits or ending.exit_code in rule.exits)
            and (rule.where is None or rule.where not in self._unmet)
            and (rule.final is None or (self.final is not None and rule.final.holds(self.final)))
            and (rule.last is None or (self.last is not None and rule.last.holds(self.last)))
        )

    def kind(self, ending: Ending) -> Kind:
        """Return the kind of the first rule that holds; without one, stopped, ok (plain text, exit 0) or failed."""
        for rule in self._reading.rules:
            if self.meets(rule, ending):
                return rule.kind
        if ending.was_ended:
            return Kind.STOPPED
        return Kind.OK if self._reading.output == "text" and ending.exit_code == 0 else Kind.FAILED

    def values(self, name: str) -> list[Any]:
        """Return the values that were found under a name of `find`."""
        return self._gathering.values(self._reading.find.get(name, ()))

    def text(self, name: str) -> str:
        """Return the texts that were found under a name of `find`, joined; what is no text is left out."""
        return "".join(value for value in self.values(name) if isinstance(value, str))

    def usage(self) -> dict[str, float]:
        """Return the amounts that were found; what is no number is left out."""
        found = {name: self._gathering.values(selectors) for name, selectors in self._reading.usage.items()}
        return {name: values[-1] for name, values in found.items() if values and is_number(values[-1])}


def answer_of(
    name: str,
    reading: Reading,
    stdout: bytes,
    stderr: bytes,
    ending: Ending,
    environment: Mapping[str, str],
    wants_data: bool,
) -> Answer:
    """Return what the output of the agent of that name means."""
    is_text = reading.output == "text"
    at_end = document_at_end(stderr) if reading.reads_stderr else ()
    seen = Seen(reading, itertools.chain(() if is_text else events_in(stdout), at_end))
    text = stdout.decode("utf-8", "replace") if is_text else seen.text("text")
    found = [text] if is_text else seen.values("data")
    data = parse("".join(found).encode()) if all(isinstance(part, str) for part in found) else found[-1]
    kind = seen.kind(ending)
    denied = len(seen.values("denied"))
    reason = _reason(kind, seen, stderr, ending, denied)
    if kind is Kind.OK and wants_data and data is None:
        kind, reason = Kind.FAILED, "it answered without the structured data that was asked for"
    session = seen.text("session")
    return Answer(
        kind=kind,
        text=text,
        data=data,
        reason=one_line(f"{name}: {reason}", 300) if reason else "",
        usage=seen.usage(),
        session=session if _SESSION.fullmatch(session) else None,
        model=one_line(seen.text("model"), 200) or None,
        denied=denied,
        resets_at=_resets_at(reading, seen, session, environment) if kind in {Kind.QUOTA, Kind.RATE} else None,
    )


def _reason(kind: Kind, seen: Seen, stderr: bytes, ending: Ending, denied: int) -> str:
    if kind is Kind.OK:
        return ""
    if kind is Kind.REFUSED:
        return f"{denied or 'some'} tool call{'s' * (denied != 1)} refused"
    if said := seen.text("error"):
        return said
    how = str(ending)
    if kind is Kind.STOPPED:
        how = f"ended before it was done ({ending})"
    elif kind is Kind.FAILED and seen.final is None:
        how = f"{ending} without a final event"
    said = complaint_in(stderr)
    return f"{how}: {said}" if said else how


def complaint_in(stderr: bytes) -> str:
    """Return the line of stderr that says what is wrong: the first that begins with error or unknown, else the last."""
    read = stderr if len(stderr) <= 2 * _STDERR_BYTES else stderr[:_STDERR_BYTES] + b"\n" + stderr[-_STDERR_BYTES:]
    lines = [line.strip() for line in COLOUR.sub("", read.decode("utf-8", "replace")).split("\n") if line.strip()]
    wrong = (line for line in lines if line[:7].casefold().startswith(("error", "unknown")))
    return next(wrong, lines[-1] if lines else "")


def _resets_at(reading: Reading, seen: Seen, session: str, environment: Mapping[str, str]) -> float | None:
    """Return when the allowance comes back, in epoch seconds: from the output, else from the agent's session log."""
    found = seen.values("resets_at")
    if not found and _SESSION.fullmatch(session):
        for log in files_like(reading.session_log, {**environment, "session": session}):
            gathering = Gathering(reading.find.get("resets_at", ()))
            for event in events_in(end_of_file(log)):
                gathering.see(event)
            found = found or gathering.values(reading.find.get("resets_at", ()))
    return float(found[-1]) if found and is_number(found[-1]) else None


def files_like(patterns: Iterable[str], known: Mapping[str, str]) -> Iterator[str]:
    """Yield the files that match patterns in which every {name} is known."""
    for pattern in patterns:
        if all(name in known for name in _VARIABLE.findall(pattern)):
            filled = _VARIABLE.sub(lambda mark: glob.escape(known[mark[1]]), pattern)
            yield from glob.iglob(filled)  # noqa: PTH207 - Path.glob takes no whole path


def end_of_file(file: str) -> bytes:
    """Return the end of a plain file; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError), os.fdopen(os.open(file, _READ), "rb") as opened:
        about = os.fstat(opened.fileno())
        if stat.S_ISREG(about.st_mode):
            opened.seek(max(0, about.st_size - _LOG_BYTES))
            return opened.read(_LOG_BYTES)
    return b""

"""Whether a provider can work: its preflight is data (agents.yaml), has a time limit, and is judged by rules (N3)."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trailblazer.errors import WordsWrong
from trailblazer.plain import one_line
from trailblazer.processes.ask import Answer, ask
from trailblazer.providers.agents import MARK, RUNNER, Agent, read_answer
from trailblazer.providers.answers import COLOUR, Kind, complaint_in
from trailblazer.providers.quota import Quota, read_quota
from trailblazer.providers.selectors import events_in, read_path, read_where, values_at

SECONDS = 30.0
COMMAND = "command"
_REASON_LETTERS = 200


class Cause(StrEnum):
    """Why a provider cannot work."""

    NOT_INSTALLED = "not_installed"
    NOT_LOGGED_IN = "not_logged_in"
    NO_CREDIT = "no_credit"
    QUOTA = "quota"
    MODEL_MISSING = "model_missing"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BUDGET = "budget"  # it has spent what the configuration gives it; no preflight says so
    UNKNOWN = "unknown"


# What the kind of an agent's answer means for its provider; any other kind that is not ok is unknown.
CAUSES = {
    Kind.AUTH: Cause.NOT_LOGGED_IN,
    Kind.BILLING: Cause.NO_CREDIT,
    Kind.QUOTA: Cause.QUOTA,
    Kind.MODEL: Cause.MODEL_MISSING,
    Kind.RATE: Cause.UNREACHABLE,
    Kind.TRANSIENT: Cause.UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Provider:
    """Who can do work, by the name that a chain has for it; `entry` is that of agents.yaml.

    `program` must be installed; it is empty for `command`, which is always available. A runner has no `agent`.
    """

    name: str
    kind: str
    program: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict)
    agent: Agent | None = None

    @property
    def is_installed(self) -> bool:
        """Whether its program is on the PATH."""
        return not self.program or shutil.which(self.program) is not None

    @property
    def seconds(self) -> float:
        """The time limit of a check in all."""
        return float(self.entry.get("preflight", {}).get("seconds", SECONDS))


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found. `reason` is one line, empty when available; `seconds` is the time that the check took."""

    name: str
    is_available: bool
    reason: str = ""
    cause: Cause | None = None
    model: str | None = None
    version: str | None = None
    seconds: float = 0.0
    quota: Quota | None = None

    def document(self) -> dict[str, Any]:
        """Return what --json shows."""
        quota = None if self.quota is None else self.quota.document()
        return {
            "name": self.name, "available": self.is_available, "reason": self.reason or None, "cause": self.cause,
            "model": self.model, "version": self.version, "seconds": round(self.seconds, 3), "quota": quota,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one question found: no cause when the provider can work."""

    cause: Cause | None = None
    reason: str = ""
    model: str | None = None


class _Check:
    """The questions of one check, which share its time limit."""

    def __init__(self, provider: Provider, model: str | None, over: threading.Event) -> None:
        self._provider, self._over = provider, over
        self._known = {"provider": provider.name.partition(":")[2]} if provider.kind == RUNNER else {}
        if model:
            if model.startswith("-") or "\0" in model:
                raise WordsWrong(f"{one_line(model, 60)} is no model", "A program would take it for an option.")
            self._known["model"] = model
            self._known |= {"model_provider": model.partition("/")[0]} if "/" in model else {}
        self._deadline = time.monotonic() + provider.seconds
        self._environment = {**os.environ, **provider.entry.get("environment", {})}

    def _ask(self, argv: list[str], **options: Any) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0 or self._over.is_set():
            return Answer(124, "", "", is_late=True)
        return ask(argv, seconds=left, environment=self._environment, over=self._over, **options)

    def free(self) -> _Verdict:
        """Ask the preflight that costs nothing; a provider without one can work where it is installed."""
        rules = self._provider.entry.get("preflight")
        if rules is None:
            return _Verdict()
        words = [word for word in rules["command"] if all(name in self._known for name in MARK.findall(word))]
        answer = self._ask([self._filled(word) for word in words])
        return self._late() if answer.is_late else judge(rules, answer, self._known.get("model"))

    def paid(self) -> _Verdict:
        """Ask the model one small question, as an attempt would."""
        agent, rules = self._provider.agent, self._provider.entry.get("paid_preflight")
        if agent is None or rules is None:
            return _Verdict()
        with tempfile.NamedTemporaryFile(prefix="trailblazer-preflight-") as file:
            file.write(rules["prompt"].encode())
            file.flush()
            file.seek(0)
            known = {"prompt": rules["prompt"], "prompt_file": file.name}
            known |= {"model": self._known["model"]} if "model" in self._known else {}
            given = {"stdin": file} if agent.prompt == "stdin" else {}
            answer = self._ask(list(agent.words(known)), **given)
        if answer.is_late:
            return self._late()
        out, err = answer.out.encode(), answer.err.encode()
        heard = read_answer(agent, out, err, max(answer.code, 0), -answer.code if answer.code < 0 else None)
        cause = None if heard.kind is Kind.OK else CAUSES.get(heard.kind, Cause.UNKNOWN)
        return _Verdict(cause, heard.reason.removeprefix(f"{agent.name}: "), heard.model)

    def version(self) -> str | None:
        """Return the version that the program prints, as far as there is time to ask."""
        words = self._provider.entry.get("version")
        if not words:
            return None
        answer = self._ask(list(words))
        numbered = (word for word in answer.out.split() if any(letter.isdigit() for letter in word) and "." in word)
        return one_line(next(numbered, ""), 40) or None if answer.code == 0 else None

    def _filled(self, word: str) -> str:
        return MARK.sub(lambda mark: self._known[mark[1]], word)

    def _late(self) -> _Verdict:
        return _Verdict(Cause.TIMEOUT, f"it did not answer within {self._provider.seconds:g} s")


def read_version(provider: Provider, over: threading.Event) -> str | None:
    """Return the version of a provider's program; None where it is not installed, or does not say it in time."""
    return _Check(provider, None, over).version() if provider.is_installed else None


def check_provider(
    provider: Provider,
    *,
    model: str | None = None,
    paid: bool = False,
    log: Callable[[str], None],
    over: threading.Event | None = None,
) -> Health:
    """Return how a provider is, within its time limit whatever its program does; setting `over` ends the check.

    One line goes to `log`: `[preflight/NAME] …`. Only with `paid` is a model asked. A model that a program would take
    for an option is refused with WordsWrong (exit 2).
    """
    began = time.monotonic()
    if not provider.is_installed:
        verdict, version = _Verdict(Cause.NOT_INSTALLED, f"{provider.program} is not installed"), None
    else:
        check = _Check(provider, model, over or threading.Event())
        verdict = check.free()
        if paid and verdict.cause is None:
            verdict = check.paid()
        version = check.version()
    health = Health(
        name=provider.name,
        is_available=verdict.cause is None,
        reason=verdict.reason,
        cause=verdict.cause,
        model=verdict.model or model,
        version=version,
        seconds=time.monotonic() - began,
        quota=read_quota(provider.entry["quota"], os.environ) if "quota" in provider.entry else None,
    )
    log(f"[preflight/{health.name}] {health.reason or 'available'}")
    return health


def judge(rules: Mapping[str, Any], answer: Answer, model: str | None) -> _Verdict:
    """Return what the answer to a preflight means by its rules."""
    output = _Output(answer)
    passes = rules.get("passes", {"exit": [0]})
    find = rules.get("find", {})
    found = output.find(find.get("model", ())) or None
    is_missing = "lists" in passes and model is not None and not output.lists(passes["lists"].replace("{model}", model))
    if output.holds(passes) and not is_missing:
        return _Verdict(model=found)
    rule: Mapping[str, Any] = next((rule for rule in rules.get("causes", ()) if output.holds(rule)), {})
    if not rule and is_missing and output.holds(passes):
        rule = {"cause": Cause.MODEL_MISSING, "reason": f"it does not offer the model {model}"}
    reason = rule.get("reason") or output.find(find.get("reason", ())) or output.complaint()
    return _Verdict(Cause(rule.get("cause", Cause.UNKNOWN)), one_line(reason, _REASON_LETTERS), found)


class _Output:
    """What a preflight printed on both streams, and how it ended."""

    def __init__(self, answer: Answer) -> None:
        self._code = answer.code
        self._events = list(events_in(answer.out.encode()))
        self._printed, self._complained = (COLOUR.sub("", text).splitlines() for text in (answer.out, answer.err))

    def holds(self, rule: Mapping[str, Any]) -> bool:
        """Return whether the conditions of a rule hold: exit, where and line."""
        where = read_where(rule.get("where", {}))
        return (
            ("exit" not in rule or self._code in rule["exit"])
            and ("where" not in rule or any(where.holds(event) for event in self._events))
            and ("line" not in rule or bool(self._line(rule["line"])))
        )

    def lists(self, wanted: str) -> bool:
        """Return whether a line of stdout is this."""
        return any(line.strip() == wanted for line in self._printed)

    def find(self, places: Any) -> str:
        """Return the text at the first of the places that has one, else nothing."""
        places = places if isinstance(places, list | tuple) else [places]
        return next((found for place in places if (found := self._find(place))), "")

    def _find(self, place: Mapping[str, Any]) -> str:
        if "path" in place:
            path = read_path(place["path"])
            values = (value for event in self._events for value in values_at(event, path))
            return next((value for value in values if isinstance(value, str)), "")
        line = self._line(place.get("line") or place["after"])
        return (line.partition(place["after"])[2] if "after" in place else line).strip()

    def _line(self, wanted: str | list[str]) -> str:
        """Return the first line that has all of the texts, stderr first."""
        texts = [text.casefold() for text in ([wanted] if isinstance(wanted, str) else wanted)]
        lines = (line for lines in (self._complained, self._printed) for line in lines)
        return next((line for line in lines if all(text in line.casefold() for text in texts)), "")

    def complaint(self) -> str:
        """Return the line that says what is wrong, and how the program ended."""
        how = f"exit {self._code}" if self._code >= 0 else f"killed by signal {-self._code}"
        said = complaint_in("\n".join(self._complained).encode()) or ("" if self._events else self._last())
        return f"{how}: {said}" if said else how

    def _last(self) -> str:
        return next((line.strip() for line in reversed(self._printed) if line.strip()), "")

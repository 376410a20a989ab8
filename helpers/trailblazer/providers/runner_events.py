"""What a runner said of a job, as the one event that its attempt leaves on stdout, and the error in what it printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from trailblazer.plain import one_line
from trailblazer.providers.answers import COLOUR
from trailblazer.providers.failure_codes import Failure, failure_of_runner
from trailblazer.providers.selectors import events_in

_LETTERS = 200
_MACHINE = re.compile(r"\b(?:reason_code|ERROR_CODE|next_action)=\S.*")
_VALUE = re.compile(r"\b(?:reason_code|ERROR_CODE)=[\"']?([\w.:-]+)")
_NOTHING = "Unknown error (no error output)"


@dataclass(frozen=True, slots=True)
class RunnerEvent:
    """How a job ended: `refused` (it never began) or `ended`.

    `exit_code` is that of the runner's start or check, `state` its own word, `report` the JSON of its report.
    """

    event: str
    exit_code: int | None
    state: str = ""
    reason_code: str = ""
    reason: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> bytes:
        """Return the event as a line of JSON."""
        names = ("event", "exit_code", "state", "reason_code", "reason")
        return orjson.dumps({**{name: getattr(self, name) for name in names}, "report": dict(self.report)}) + b"\n"


def failure_in(printed: bytes) -> Failure | None:
    """Return what the runner's event on the stdout of an attempt means; None where there is no event."""
    for event in events_in(printed):
        verb = {"refused": "start", "ended": "check"}.get(str(event.get("event")))
        code = event.get("exit_code")
        if verb:
            return failure_of_runner(verb, code if isinstance(code, int) else None, str(event.get("reason_code") or ""))
    return None


def complaint_of(out: str, err: str) -> str:
    """Return what a runner says is wrong, in one line of at most 200 characters (N5).

    Both streams are read: machine lines come first, then [ERROR], then ERROR:, then the first line, stderr first.
    """
    lines = [line.strip() for text in (err, out) for line in COLOUR.sub("", text).splitlines() if line.strip()]
    machine = list(dict.fromkeys(found[0] for line in lines if (found := _MACHINE.search(line))))
    if machine:
        return one_line("; ".join(machine), _LETTERS)
    for mark in ("[ERROR]", "ERROR:"):
        for line in lines:
            if mark in line and (said := line.partition(mark)[2].strip()):
                return one_line(said, _LETTERS)
    return one_line(lines[0], _LETTERS) if lines else _NOTHING


def reason_code_of(out: str, err: str) -> str:
    """Return the reason code that stands in a machine line of either stream; empty when there is none."""
    found = _VALUE.search(f"{err}\n{out}")
    return found[1] if found else ""

"""Which version of bd answers, and what it can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trailblazer.errors import GateClosed, ServiceDown
from trailblazer.lanes.issues.bd_calls import BdCalls, down, what_it_said

_NUMBER = re.compile(r"\d+\.\d+[0-9A-Za-z.+-]*")
_NOT_SET_UP = re.compile(r"no (active )?beads (database|workspace|project)|database not found|bd init", re.IGNORECASE)
_CANNOT_START = {126, 127}


@dataclass(frozen=True, slots=True)
class BdVersion:
    """A version of bd, and which of its newer commands it has."""

    number: str
    has_cas: bool
    has_unclaim: bool
    has_heartbeat: bool


def find_version(calls: BdCalls) -> BdVersion:
    """Ask bd which version it is and which commands it has; the help of a command costs nothing and changes nothing.

    GateClosed (exit 5): bd is not installed. ServiceDown (exit 8): it did not answer.
    """
    answer = calls.ask("--version")
    if answer.code in _CANNOT_START and not answer.is_late:
        hint = "Install beads, or name another command in tracker.command, or a file of issues in tracker.source."
        raise GateClosed(f"the tracker bd cannot be called: {what_it_said(answer)}", hint)
    if answer.code != 0:
        raise down("--version", answer)
    number = _NUMBER.search(answer.out)
    return BdVersion(
        number=number[0] if number else "of an unknown version",
        has_cas=_has(calls, "cas", "set", mark="--if-absent"),
        has_unclaim=_has(calls, "unclaim", mark="unclaim"),
        has_heartbeat=_has(calls, "heartbeat", mark="heartbeat"),
    )


def refuse_when_not_set_up(calls: BdCalls) -> None:
    """Ask for one issue. GateClosed (exit 5): there is no tracker there. ServiceDown (exit 8): it did not answer."""
    try:
        calls.records("list", "--limit", "1")
    except ServiceDown as trouble:
        if _NOT_SET_UP.search(trouble.what):
            hint = "Name its folder in tracker.folder or in BEADS_DIR, or make one with `bd init`."
            raise GateClosed(trouble.what, hint) from None
        raise


def _has(calls: BdCalls, *words: str, mark: str) -> bool:
    """Say whether bd has a command. An old version refuses its name, or prints the help of bd itself."""
    answer = calls.ask(*words, "--help")
    if answer.is_late:
        raise down(f"{words[0]} --help", answer)
    usage = re.search(rf"\bbd {' '.join(words)}\b", answer.out)
    return answer.code == 0 and usage is not None and mark in answer.out

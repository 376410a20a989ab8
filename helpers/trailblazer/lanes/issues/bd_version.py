"""Which version of bd answers, and which commands it has."""

from __future__ import annotations

import re
import threading

from trailblazer.errors import GateClosed, ServiceDown
from trailblazer.lanes.issues.bd_calls import BdCalls, down, what_it_said

_NUMBER = re.compile(r"\d+\.\d+[0-9A-Za-z.+-]*")
_NOT_SET_UP = re.compile(r"no (active )?beads (database|workspace|project)|database not found|bd init", re.IGNORECASE)
_CANNOT_START = {126, 127}


class BdCommands:
    """Which of its newer commands bd has. The help of each is asked for once: it costs nothing and changes nothing."""

    def __init__(self, calls: BdCalls) -> None:
        self._calls = calls
        self._lock = threading.Lock()
        self._known: dict[str, bool] = {}

    def has(self, command: str) -> bool:
        """Say whether bd has a command. ServiceDown (exit 8) when it does not answer."""
        with self._lock:
            if command not in self._known:
                self._known[command] = self._find(command)
            return self._known[command]

    def _find(self, command: str) -> bool:
        """Ask for the help of a command. An old version refuses its name, or prints the help of bd itself."""
        answer = self._calls.ask(command, "--help")
        if answer.is_late:
            raise down(f"{command} --help", answer)
        return answer.code == 0 and re.search(rf"\bbd {command}\b", answer.out) is not None


def find_number(calls: BdCalls) -> str:
    """Return the number of the version of bd. GateClosed (exit 5): it is not installed. ServiceDown: no answer."""
    answer = calls.ask("--version")
    if answer.code in _CANNOT_START and not answer.is_late:
        hint = "Install beads, or name another command in tracker.command, or a file of issues in tracker.source."
        raise GateClosed(f"the tracker bd cannot be called: {what_it_said(answer)}", hint)
    if answer.code != 0:
        raise down("--version", answer)
    number = _NUMBER.search(answer.out)
    return number[0] if number else "of an unknown version"


def refuse_when_not_set_up(calls: BdCalls) -> None:
    """Ask for one issue. GateClosed (exit 5): there is no tracker there. ServiceDown (exit 8): it did not answer."""
    try:
        calls.records("list", "--limit", "1")
    except ServiceDown as trouble:
        if _NOT_SET_UP.search(trouble.what):
            hint = "Name its folder in tracker.folder or in BEADS_DIR, or make one with `bd init`."
            raise GateClosed(trouble.what, hint) from None
        raise

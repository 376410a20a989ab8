"""The fence around an issue of bd: a claim file on this machine, and `bd cas` for all machines where it exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trailblazer.errors import ServiceDown
from trailblazer.lanes.issues.bd_calls import BdCalls, down, fields_in, read_json
from trailblazer.lanes.issues.bd_version import BdCommands
from trailblazer.lanes.issues.claim_files import ClaimFiles
from trailblazer.lanes.issues.holder import Life, life_of
from trailblazer.lanes.issues.tracker import IsOver
from trailblazer.processes.ask import Answer

KEY = "trailblazer.claim"
TAKEN_BY_ANOTHER = 9  # the exit code of `bd cas` when the value is not the expected one
_STAMPED = re.compile(r"(?P<holder>.*) at (?P<moment>\d{4}-\d\d-\d\dT\S+)", re.DOTALL)
_UNSUPPORTED = "does not support conditional writes"


class BdFence:
    """Who may claim an issue: the value of one metadata key, `HOLDER at TIME`, which only one process can set.

    The fence of a holder who is over is taken over. So is one of another host that is older than the lease, because
    the fence is asked for only when bd shows the issue open and without an assignee.
    """

    def __init__(
        self, calls: BdCalls, commands: BdCommands, claims: ClaimFiles, lease_seconds: float, is_over: IsOver
    ) -> None:
        self._calls, self._commands, self._claims = calls, commands, claims
        self._lease, self._is_over = lease_seconds, is_over

    def take(self, issue_id: str, holder: str) -> str:
        """Take the fence of an issue, and return who has it now. ServiceDown (exit 8) when bd does not answer."""
        has_cas = self._commands.has("cas")
        first = self._claims.take(issue_id, holder)
        if first != holder or not has_cas:
            return first
        try:
            first = self._set(issue_id, holder)
        except ServiceDown:
            self._claims.give_back(issue_id, holder)
            raise
        if first != holder:
            self._claims.give_back(issue_id, holder)
        return first

    def give_back(self, issue_id: str, holder: str) -> None:
        """Give the fence of a holder back; that of anybody else stays. ServiceDown when bd does not answer."""
        self._claims.give_back(issue_id, holder)
        if not self._commands.has("cas"):
            return
        value = holder
        for _ in range(2):  # the value holds a time, which another process does not know: bd names it
            answer = self._calls.ask("cas", "unset", issue_id, KEY, "--if", value, "--json", actor=holder)
            if answer.code == 0 or _UNSUPPORTED in answer.err + answer.out:
                return
            if answer.code != TAKEN_BY_ANOTHER:
                raise down("cas unset", answer)
            value = _current_value(answer)
            if holder_in(value) != holder:
                return

    def refresh(self, issue_id: str, holder: str) -> None:
        """Give a sign of life in the claim file."""
        self._claims.refresh(issue_id, holder)

    def _set(self, issue_id: str, holder: str) -> str:
        value = f"{holder} at {datetime.now(UTC).isoformat(timespec='seconds')}"
        condition: tuple[str, ...] = ("--if-absent",)
        current = ""
        for _ in range(2):
            answer = self._calls.ask("cas", "set", issue_id, KEY, value, *condition, "--json", actor=holder)
            if answer.code == 0 or _UNSUPPORTED in answer.err + answer.out:
                return holder
            if answer.code != TAKEN_BY_ANOTHER:
                raise down("cas set", answer)
            current = _current_value(answer)
            if not current:
                raise ServiceDown("`bd cas set` refused, but does not say who has the issue", "Try again.")
            if holder_in(current) == holder or not self._is_free(issue_id, current):
                break
            condition = ("--if", current)
        return holder_in(current)

    def _is_free(self, issue_id: str, value: str) -> bool:
        holder = holder_in(value)
        if self._is_over(issue_id, holder):
            return True
        stamped = _STAMPED.fullmatch(value)
        if stamped is None or life_of(holder) is not Life.UNKNOWN:
            return False
        try:
            then = datetime.fromisoformat(stamped["moment"])
        except ValueError:
            return False
        return (datetime.now(UTC) - then.astimezone(UTC)).total_seconds() > self._lease


def holder_in(value: str) -> str:
    """Return the holder that the value of a fence names."""
    stamped = _STAMPED.fullmatch(value)
    return stamped["holder"] if stamped else value


def fence_in(record: Mapping[str, Any]) -> str:
    """Return the holder of the fence in an issue's record; empty when there is none."""
    metadata = record.get("metadata")
    if isinstance(metadata, str):
        _, metadata = read_json(metadata)
    value = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    return holder_in(value) if isinstance(value, str) else ""


def _current_value(answer: Answer) -> str:
    """Return the value that `bd cas` found in place of the expected one; empty when it does not say."""
    values = (fields_in(stream).get("current_value") for stream in (answer.out, answer.err))
    return next((value for value in values if isinstance(value, str)), "")

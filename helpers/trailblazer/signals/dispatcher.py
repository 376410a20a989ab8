"""The small interface of a dispatcher, and what wraps any of them: token records, retries, events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from trailblazer.errors import Trouble
from trailblazer.signals.tokens import TokenRecord, record_of


@dataclass(frozen=True, slots=True)
class Context:
    """A unit of work: the case, the step that it is at, and the prompt."""

    case_id: str
    step: str
    prompt: str


class SignalFailed(Trouble):
    """There is no artifact: `what` says why. `status` is error, timeout or cancelled."""

    exit_code = 6

    def __init__(self, what: str, hint: str = "", status: str = "error") -> None:
        super().__init__(what, hint)
        self.status = status


class Dispatcher(Protocol):
    """Gives a unit of work to somebody, and waits for the answer."""

    def dispatch(self, context: Context) -> bytes:
        """Return the artifact as it was written; raise SignalFailed when there is none."""


class Recording:
    """Records the tokens of every dispatch, also of those that fail. `keep` gets one record for each."""

    def __init__(self, inner: Dispatcher, keep: Callable[[TokenRecord], None]) -> None:
        self._inner, self._keep = inner, keep

    def dispatch(self, context: Context) -> bytes:
        """Dispatch, and record what the prompt and the artifact hold."""
        begun = record_of(context.case_id, context.step, context.prompt)
        artifact = b""
        try:
            artifact = self._inner.dispatch(context)
        finally:
            self._keep(begun.ended(artifact))
        return artifact


class Retrying:
    """Dispatches again what failed, up to `tries` times in all. What was cancelled is not tried again."""

    def __init__(self, inner: Dispatcher, tries: int) -> None:
        self._inner, self._tries = inner, tries

    def dispatch(self, context: Context) -> bytes:
        """Dispatch until there is an artifact; the last failure is raised."""
        for _ in range(self._tries - 1):
            try:
                return self._inner.dispatch(context)
            except SignalFailed as failure:
                if failure.status == "cancelled":
                    raise
        return self._inner.dispatch(context)


class Announcing:
    """Tells when each dispatch begins and how it ends: `emit` gets the word start, done or error, and the reason."""

    def __init__(self, inner: Dispatcher, emit: Callable[[str, Context, str], None]) -> None:
        self._inner, self._emit = inner, emit

    def dispatch(self, context: Context) -> bytes:
        """Dispatch, and tell."""
        self._emit("start", context, "")
        try:
            artifact = self._inner.dispatch(context)
        except Trouble as trouble:
            self._emit("error", context, trouble.what)
            raise
        self._emit("done", context, "")
        return artifact

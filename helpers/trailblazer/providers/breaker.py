"""One provider of a dispatch: open, or closed until a moment and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from trailblazer.providers.answers import Kind
from trailblazer.providers.failure_codes import Cause, failure_of_kind

SHORTEST_SECONDS = 60.0
LONGEST_SECONDS = 8 * 86400.0
# What says that the service answers; any other kind that is not a provider's failure says nothing about it.
_SOUND = frozenset({Kind.OK, Kind.REFUSED, Kind.CAPPED})
_SHAKY = frozenset({Kind.RATE, Kind.TRANSIENT})
_CLOSING = frozenset({Kind.AUTH, Kind.BILLING, Kind.MODEL, Kind.QUOTA})
OF_THE_PROVIDER = _SHAKY | _CLOSING


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a provider stays closed, in seconds; each is doubled as often as a probe fails.

    `refused`: not logged in, no credit, no such model. `quota`: where nobody said when it resets. `unreachable`: after
    so many attempts in a row (`unreachable_after`) that the service did not serve.
    """

    refused: float = 600.0
    quota: float = 3600.0
    unreachable: float = 60.0
    unreachable_after: int = 3


@dataclass(frozen=True, slots=True)
class Closure:
    """Why a provider is closed, and until when (epoch seconds); None: for the rest of the dispatch."""

    cause: Cause
    reason: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Pass:
    """The right to make one attempt. `number` counts those of the provider, `era` the switches before it."""

    number: int
    era: int
    is_probe: bool


class Breaker:
    """Judges one provider by the kinds of its answers, never by their text. `clock` is in epoch seconds.

    After its pause, `allow_probe` lets one attempt at a time through; a sound answer opens the provider again, and a
    failure of the provider closes it for twice as long. An answer to an attempt from before the last switch changes
    nothing, and of failures at the same time one counts. It has no lock: whoever shares it has one.
    """

    def __init__(self, pauses: Pauses, clock: Callable[[], float] = time.time) -> None:
        self._pauses, self._clock = pauses, clock
        self.closure: Closure | None = None
        self._may_probe = self._is_probed = False
        self._doublings = self._in_a_row = self._era = 0
        self._begun = self._counted = 0

    @property
    def is_free(self) -> bool:
        """Whether `begin` gives a pass now."""
        return self.closure is None or (self._may_probe and not self._is_probed)

    @property
    def is_due(self) -> bool:
        """Whether its pause is over, and nobody has asked yet whether a probe makes sense."""
        return (
            self.closure is not None
            and not self._may_probe
            and self.closure.until is not None
            and self._clock() >= self.closure.until
        )

    def allow_probe(self) -> None:
        """Let one attempt at a time through, although the provider is closed."""
        self._may_probe = True

    def begin(self) -> Pass | None:
        """Return a pass for one attempt, or None while the provider takes none."""
        if not self.is_free:
            return None
        self._begun += 1
        self._is_probed = is_probe = self.closure is not None
        return Pass(self._begun, self._era, is_probe)

    def end(self, one: Pass, kind: Kind | None, reason: str = "", resets_at: float | None = None) -> None:
        """Take in what an attempt came to; None says nothing about the provider."""
        if one.era != self._era:
            return
        if one.is_probe:
            self._is_probed = False
        if kind in _CLOSING:
            self.close(failure_of_kind(kind).cause, reason, resets_at)
        elif kind in _SHAKY:
            if one.number > self._counted:
                self._in_a_row, self._counted = self._in_a_row + 1, self._begun
            if one.is_probe or self._in_a_row >= self._pauses.unreachable_after:
                self.close(Cause.UNREACHABLE, reason)
        elif kind in _SOUND or kind is Kind.FAILED:
            self._in_a_row = 0
            if one.is_probe and kind in _SOUND:
                self._open()

    def close(self, cause: Cause, reason: str, resets_at: float | None = None) -> None:
        """Close the provider. A reset within 60 s or after 8 days is not believed."""
        now, factor = self._clock(), 2.0 ** min(self._doublings, 20)
        if cause is Cause.QUOTA and resets_at is not None:
            seconds = max(resets_at - now, SHORTEST_SECONDS * factor)
        elif cause is Cause.QUOTA:
            seconds = self._pauses.quota * factor
        elif cause in {Cause.UNREACHABLE, Cause.TIMEOUT}:
            seconds = self._pauses.unreachable * factor
        else:
            seconds = self._pauses.refused * factor
        until = None if cause is Cause.BUDGET else now + min(seconds, LONGEST_SECONDS)
        self._switch(Closure(cause, reason, until))
        self._doublings += 1

    def _open(self) -> None:
        self._switch(None)
        self._doublings = 0

    def _switch(self, closure: Closure | None) -> None:
        self.closure = closure
        self._may_probe = self._is_probed = False
        self._in_a_row, self._era = 0, self._era + 1

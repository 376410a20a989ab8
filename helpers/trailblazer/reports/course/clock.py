"""Moments of a dispatch in seconds from its start, without the time in which no process carried it out."""

from __future__ import annotations

from datetime import datetime

GAP_SECONDS = 5.0  # a shorter pause between two processes is no gap


class Clock:
    """Turns what the journal says into seconds. Time never runs back, whatever the clock of the machine did."""

    def __init__(self) -> None:
        self._zero: float | None = None
        self.now = 0.0
        self._newest, self._newest_at = 0.0, ""

    def moment(self, at: str) -> float:
        """Return the seconds from the start to a moment of the journal."""
        if at == self._newest_at:
            return self.now
        self._newest, self._newest_at = datetime.fromisoformat(at).timestamp(), at
        if self._zero is None:
            self._zero = self._newest
        self.now = max(self.now, self._newest - self._zero)
        return self.now

    def resume(self, at: str) -> float:
        """Leave out the time since the newest line, and return how many seconds it was."""
        gap = datetime.fromisoformat(at).timestamp() - self._newest
        if self._zero is None or gap < GAP_SECONDS:
            return 0.0
        self._zero, self._newest_at = self._zero + gap, ""
        return gap

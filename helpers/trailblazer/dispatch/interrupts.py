"""Ctrl-C, TERM and a terminal that goes away: noted instead of raised, so that no line is ever cut in half."""

from __future__ import annotations

import signal
from typing import Any


class Interrupts:
    """While entered, notes which signal came first and how many came; entered in the main thread alone."""

    def __init__(self) -> None:
        self.signal = 0
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self.signal = self.signal or number
        self.count += 1

    def __exit__(self, *_: object) -> None:
        """Give signals back. After an interrupt they are ignored: impatience must not cost the record its end."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.signal else handler)

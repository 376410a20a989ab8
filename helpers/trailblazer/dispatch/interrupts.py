"""Ctrl-C, TERM and a terminal that closes: they are counted and not raised, so that no line is ever cut in half."""

from __future__ import annotations

import signal
from typing import Any


class Interrupts:
    """Counts signals while it is entered, and keeps the number of the first. Only the main thread may enter it.

    `asked` counts SIGUSR1, which asks for the state, and `continued` SIGCONT, after which a terminal has changed;
    they interrupt nothing.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.count = 0
        self.asked = self.continued = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._count)
        self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._ask)
        self._before[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._continue)
        return self

    def _count(self, number: int, _frame: object) -> None:
        self.signal = self.signal or number
        self.count += 1

    def _ask(self, _number: int, _frame: object) -> None:
        self.asked += 1

    def _continue(self, _number: int, _frame: object) -> None:
        self.continued += 1

    def stop(self) -> None:
        """Count an interrupt that comes by another way than a signal; any thread may."""
        self._count(signal.SIGINT, None)

    def __exit__(self, *_: object) -> None:
        """Restore the signals. After an interrupt they stay ignored: the process ends at once anyway."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.signal else handler)

"""Whether a process that prints to files has become silent, or has its result and stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import orjson

from trailblazer.providers.order import Order
from trailblazer.providers.selectors import read_where

MOST_BYTES = 8 << 20  # of what was printed between two looks; of more, the end is looked at


class Watch:
    """Watches the logs of one process, and ends it once: with `idle` or with `answered`, as order.Finished has them.

    The logs are open handles. What is printed to either shows that the process works.
    """

    def __init__(self, order: Order, logs: tuple[int, int], end: Callable[[str], None]) -> None:
        self._idle_seconds, self._logs, self._end = order.idle_seconds, logs, end
        self._finals = tuple(map(read_where, order.final.events)) if order.final else ()
        self._grace_seconds = order.final.grace_seconds if order.final else 0.0
        self._seen: tuple[tuple[int, int], ...] = ()
        self._read = 0  # so many bytes of stdout have been looked at
        self._grown_at = time.monotonic()
        self._is_final = self._has_ended = False

    def look(self) -> None:
        """Look at the logs once. What was printed before a final event is not looked at again."""
        if self._has_ended:
            return
        seen = tuple((about.st_size, about.st_mtime_ns) for about in map(os.fstat, self._logs))
        if seen != self._seen:
            self._seen, self._grown_at = seen, time.monotonic()
            if self._finals and not self._is_final and seen[0][0] != self._read:
                self._look_for_final(seen[0][0])
            return
        silent = time.monotonic() - self._grown_at
        if self._is_final and silent >= self._grace_seconds:
            self._finish("answered")
        elif self._idle_seconds is not None and silent >= self._idle_seconds:
            self._finish("idle")

    def _finish(self, why: str) -> None:
        self._has_ended = True
        self._end(why)

    def _look_for_final(self, size: int) -> None:
        """Note whether an event says that the run has ended; a line that is not whole yet is read again.

        claude tells of tasks in the background after its result, so later events only begin the grace anew.
        """
        start = max(min(self._read, size), size - MOST_BYTES)
        printed = os.pread(self._logs[0], size - start, start)
        *lines, rest = printed.split(b"\n")
        whole = len(printed) - len(rest)
        if _is_event(rest):
            lines, whole = [*lines, rest], len(printed)
        for line in lines:
            if _is_event(line):
                self._is_final = self._is_final or self._decides(line)
        self._read = start + whole

    def _decides(self, line: bytes) -> bool:
        try:
            event = orjson.loads(line)
        except ValueError:
            return False
        return any(where.holds(event) for where in self._finals)


def _is_event(line: bytes) -> bool:
    return line.startswith(b"{") and line.rstrip().endswith(b"}")

"""When the next item may start: after a pause, and while the machine has load and memory to spare."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 0.5


@dataclass(slots=True)
class Throttle:
    """Limits on starting; None is no limit. Load is the one-minute average, memory in bytes, delay in seconds."""

    delay: float = 0
    max_load: float | None = None
    min_free_memory: int | None = None
    _next: float = 0

    def wait(self, stopping: threading.Event) -> None:
        """Return when the next item may start, or when the dispatch stops."""
        while not stopping.is_set():
            left = self._next - time.monotonic()
            if left <= 0 and not self._is_strained():
                break
            stopping.wait(min(left, LOOK_SECONDS) if left > 0 else LOOK_SECONDS)
        self._next = time.monotonic() + self.delay

    def _is_strained(self) -> bool:
        if self.max_load is not None and os.getloadavg()[0] > self.max_load:
            return True
        return self.min_free_memory is not None and available_memory() < self.min_free_memory


def available_memory() -> int:
    """Return how many bytes programs can still have without swapping, as the kernel estimates."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62

"""How much of a dispatch of runs is done, measured in chunks: progress.json, for monitors (E11)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from trailblazer.paths import Places, timestamp
from trailblazer.pipeline.chunk import read_assurance
from trailblazer.pipeline.messages import Reply
from trailblazer.record.outcomes import Item, Outcome, Status
from trailblazer.reports.meter import Meter

WINDOW = 60  # the rate is that of so many seconds


class Measure(Meter):
    """Counts the chunks of the runs that are embedded: all, done, and those that attempts have gone through.

    A run whose chunks nobody has counted yet counts as the mean of the others. `done` are runs that an earlier process
    of the dispatch has embedded.
    """

    def __init__(self, folder: Path, places: Places, runs: Iterable[str], done: Collection[str] = ()) -> None:
        super().__init__(folder)
        self._known = dict[str, int]()
        self._unknown: set[str] = set()
        self._settled: dict[str, int] = {}
        self._running: dict[str, Reply] = {}
        self._through = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=WINDOW)
        self._begun, self._lock = time.monotonic(), threading.Lock()
        for run in dict.fromkeys(runs):
            count = read_assurance(places.run(run)).get("totalChunks")
            if isinstance(count, int) and count >= 0:
                self._known[run] = count
            else:
                self._unknown.add(run)
        self._settled.update((run, self._known.get(run, 0)) for run in done)

    @property
    def planned(self) -> int:
        """Return how many chunks the dispatch is about, as far as anybody knows."""
        known = sum(self._known.values())
        return known + (len(self._unknown) * known // len(self._known) if self._known else 0)

    @property
    def done(self) -> int:
        """Return how many chunks need no more work in this dispatch."""
        return sum(self._settled.values()) + sum(one.embedded + one.kept for one in self._running.values())

    def progressed(self, item: Item, reply: Reply) -> None:
        """Take in how far a run is; slots call this at the same time."""
        with self._lock:
            self._progressed(item, reply)

    def _progressed(self, item: Item, reply: Reply) -> None:
        before = self._running.get(item.id)
        already = before.embedded if before and before.embedded <= reply.embedded else 0  # another attempt begins at 0
        self._through += reply.embedded - already
        self._running[item.id] = reply
        self._settled.pop(item.id, None)
        self._know(item.id, reply.chunks)

    def settled(self, item: Item, outcome: Outcome) -> None:
        """Take in what a step came to. What was cancelled is not done."""
        with self._lock:
            self._settle(item, outcome)

    def _settle(self, item: Item, outcome: Outcome) -> None:
        self._know(item.id, int(outcome.details.get("total_chunks", self._known.get(item.id, 0))))
        if item.phase != "embed":
            return
        self._running.pop(item.id, None)
        self._unknown.discard(item.id)
        if outcome.status is not Status.CANCELLED:
            self._settled[item.id] = self._known.get(item.id, 0)

    def _know(self, run: str, chunks: int) -> None:
        if chunks and (run in self._unknown or run in self._known):
            self._unknown.discard(run)
            self._known[run] = chunks

    def document(self, *, is_over: bool, is_paused: bool) -> dict[str, Any]:
        """Return what progress.json holds. The rate is that of the last minute, at the end that of the whole."""
        with self._lock:
            return self._measured(is_over=is_over, is_paused=is_paused)

    def _measured(self, *, is_over: bool, is_paused: bool) -> dict[str, Any]:
        now, planned, done = time.monotonic(), self.planned, self.done
        since, through = (self._begun, 0) if is_over else self._samples[0]
        seconds = now - since
        rate = (self._through - through) / seconds if seconds > 0 else 0.0
        left = max(0, planned - done)
        self._samples.append((now, self._through))
        return {
            "unit": "chunks",
            "planned": planned,
            "done": min(done, planned),
            "ratePerMinute": round(60 * rate, 1) if rate else None,
            "etaSeconds": round(left / rate) if rate and not is_over else None,
            "paused": is_paused,
            "running": [
                {"item": run, "done": one.embedded + one.kept, "of": one.chunks}
                for run, one in sorted(self._running.items())
            ],
            "writtenOn": timestamp(),
        }

"""How much of a dispatch is done, in progress.json: for monitors (E11)."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.paths import timestamp
from trailblazer.reports.board import ITEMS, Board, progress_of

PROGRESS = "progress.json"
WRITE_SECONDS = 1.0


class Meter(ABC):
    """Writes progress.json; what the work is counted in is the meter's own."""

    def __init__(self, folder: Path) -> None:
        self._target, self._due, self._writing = folder / PROGRESS, 0.0, threading.Lock()

    @abstractmethod
    def document(self, *, is_over: bool, is_paused: bool) -> dict[str, Any]:
        """Return what progress.json holds (schemas/progress.schema.json)."""

    def write(self, *, is_over: bool = False, is_paused: bool = False) -> dict[str, Any] | None:
        """Write progress.json when it is due, once a second at most, and return what was written."""
        now = time.monotonic()
        with self._writing:
            if not is_over and now < self._due:
                return None
            self._due = now + WRITE_SECONDS
            document = self.document(is_over=is_over, is_paused=is_paused)
            schemas.publish("progress", document, self._target, durable=False, once_per_shape=True)
        return document


class ItemsMeter(Meter):
    """Counts the items of a dispatch, in a lane that knows of no smaller work."""

    def __init__(self, folder: Path, board: Board) -> None:
        super().__init__(folder)
        self._board = board

    def document(self, *, is_over: bool, is_paused: bool) -> dict[str, Any]:
        """Return how many items have an outcome."""
        done = progress_of(self._board, None, time.time())
        return {
            "unit": ITEMS,
            "planned": done.planned,
            "done": done.done,
            "ratePerMinute": round(60 * done.rate, 1) if done.rate else None,
            "etaSeconds": round(done.left) if done.left is not None and not is_over else None,
            "paused": is_paused,
            "running": [],
            "writtenOn": timestamp(),
        }

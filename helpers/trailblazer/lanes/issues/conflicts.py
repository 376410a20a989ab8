"""Issues with a conflict key in common never run together, not in two dispatches of one machine either."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path

from trailblazer.atomic import make_folder
from trailblazer.errors import AlreadyRunning
from trailblazer.processes.lock import Lock


class ConflictLocks:
    """A lock for each conflict key of the issues that run now. A lock ends when its process dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, list[Lock]] = {}
        self._lock = threading.Lock()

    def take(self, issue: str, keys: Iterable[str]) -> str:
        """Take the keys of an issue. Return why that is not possible, empty when they are taken."""
        with self._lock:
            taken: list[Lock] = []
            for key in sorted(keys):
                try:
                    taken.append(self._take(key))
                except AlreadyRunning as refusal:
                    for lock in taken:
                        lock.free()
                    return refusal.what
            self._held[issue] = taken
        return ""

    def _take(self, key: str) -> Lock:
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        refusal = AlreadyRunning(f"another dispatch works on an issue with {key}")
        return Lock(make_folder(self._folder) / f"{name}.lock", refusal)

    def free(self, issue: str) -> None:
        """Release the keys of an issue."""
        with self._lock:
            for lock in self._held.pop(issue, ()):
                lock.free()

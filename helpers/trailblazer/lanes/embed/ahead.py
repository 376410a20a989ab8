"""Which runs of a plan may be claimed ahead: those that are ready and that no slot has asked for."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence

from trailblazer.database.claims import Phase


class Ahead:
    """The runs of a plan that no slot has asked for yet, by phase and in order; `group` of them are claimed at once."""

    def __init__(self, upcoming: Mapping[str, Sequence[str]], group: int) -> None:
        self._group = group
        self._unasked = {phase: dict.fromkeys(runs) for phase, runs in upcoming.items()}
        self._unchunked = set(upcoming.get("chunk", ()))
        self._lock = threading.Lock()

    def next_runs(self, phase: Phase) -> list[str]:
        """Return the next group of runs that are ready for a phase; they count as asked for."""
        with self._lock:
            ready = (run for run in self._unasked.get(phase, {}) if phase == "chunk" or run not in self._unchunked)
            runs = list(itertools.islice(ready, self._group))
        self.note_asked(phase, runs)
        return runs

    def note_asked(self, phase: Phase, runs: Iterable[str]) -> None:
        """Count runs as asked for."""
        with self._lock:
            for run in runs:
                self._unasked.get(phase, {}).pop(run, None)

    def note_chunked(self, runs: Iterable[str]) -> None:
        """Count runs as ready to be embedded."""
        with self._lock:
            self._unchunked.difference_update(runs)

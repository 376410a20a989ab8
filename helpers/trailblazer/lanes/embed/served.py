"""How many workers the service of an embedder stands at once."""

from __future__ import annotations

import threading

from trailblazer.pipeline.messages import Reply
from trailblazer.providers.found_limit import FoundLimit
from trailblazer.record.admission import WIDE, Room


class Served:
    """Learns from the replies of workers. Only a service has a limit; its slots are `most` until it answers 429."""

    def __init__(self, provider: str, most: int) -> None:
        self._provider, self._limit = provider, FoundLimit(most, most)
        self._lock = threading.Lock()

    @property
    def room(self) -> Room:
        """How many groups may be busy."""
        limit = self._limit
        if not limit.limited:
            return WIDE
        reason = f"{self._provider} answered 429"
        return Room(limit.slots, reason, name=self._provider, limited=limit.limited, found=limit.slots)

    def widen(self, most: int) -> None:
        """Allow so many groups at once."""
        with self._lock:
            self._limit.resize(most)

    def begin(self) -> None:
        """Count a group that begins."""
        with self._lock:
            self._limit.begin()

    def end(self) -> None:
        """Count a group that ends."""
        with self._lock:
            self._limit.end()

    def note(self, reply: Reply) -> None:
        """Take in a reply."""
        with self._lock:
            if reply.limited:
                self._limit.note_limited()
            elif reply.failed:
                self._limit.note_server_error()
            elif reply.kind in {"done", "progress"}:
                self._limit.note_good()

"""Outputs held against a user's schema, within a limit: by a few warm processes that are killed when it is over."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from trailblazer.errors import ServiceDown
from trailblazer.places.workers import WorkerEnded, Workers, python_module
from trailblazer.processes.children import Children

LONGEST_SECONDS = 30.0
ENDED = "the schema check was ended"
SHORTEST_SECONDS = 1.0  # an item that used up its time has still its output looked at


class Checks:
    """Checks the outputs of one batch. `schema` is the user's file; a checker starts when there is none idle."""

    def __init__(self, schema: Path, folder: Path, children: Children) -> None:
        argv = [*python_module("trailblazer.providers.checker"), str(schema)]
        self._workers = Workers(argv, folder, os.environ, LONGEST_SECONDS, children=children, name="checker")
        self._room = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))

    def first_violation(self, document: Any, seconds: float | None) -> str:
        """Return the first violation in a document, empty when there is none; it may take so many seconds.

        A check that takes longer is ended, and that is what is returned.
        """
        deadline = None if seconds is None else time.monotonic() + max(SHORTEST_SECONDS, seconds)
        if not self._room.acquire(timeout=-1 if deadline is None else deadline - time.monotonic()):
            return "the schema check had no turn within the item's time limit"
        try:
            left = LONGEST_SECONDS if deadline is None else deadline - time.monotonic()
            return self._ask(document, min(LONGEST_SECONDS, max(SHORTEST_SECONDS, left)))
        finally:
            self._room.release()

    def _ask(self, document: Any, limit: float) -> str:
        exchange = self._workers.exchange(json.dumps(document).encode() + b"\n", limit)
        try:
            answer: str = json.loads(next(exchange.answers()))
        except WorkerEnded as ended:
            return f"the schema check took longer than {limit:g} s and was ended" if ended.why == "timeout" else ENDED
        except ServiceDown as down:
            return f"the schema check failed: {down.what}"
        exchange.over()
        return f"the output breaks its schema: {answer}" if answer else ""

    def close(self) -> None:
        """End the checkers, also one that is busy."""
        self._workers.close(at_once=True)

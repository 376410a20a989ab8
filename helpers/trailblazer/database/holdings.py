"""The claims that one dispatcher holds: taken, kept alive and given back over one connection."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trailblazer.database import claims
from trailblazer.database.backlog import Run, show_run
from trailblazer.database.connection import answering
from trailblazer.errors import ServiceDown, StaleClaim
from trailblazer.processes.identity import holder_name

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection


class Holdings:
    """Claims on runs. A connection that broke is made anew at the next question.

    Whether the database did what it was asked when it went away is not known: such a run is in doubt, and let go of
    before it is claimed again, or at the end. If that fails too the claim expires by itself: no run is lost.
    """

    def __init__(self, connect: Callable[[], Connection], ttl_seconds: float, max_attempts: int) -> None:
        self._connect, self._ttl, self._max_attempts = connect, ttl_seconds, max_attempts
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._held: dict[str, claims.Claim] = {}
        self._doubtful: set[str] = set()
        self._moved = time.monotonic()

    def claim(self, run_id: str, phase: claims.Phase = "embed", *, again: bool = True) -> int | str:
        """Return the number of the attempt that now holds the run, or who else holds it since when.

        With `again` any run that nobody holds is taken, without it only one that waits for the phase.
        """
        with self._lock, answering():
            connection = self._opened()
        with self._lock, self._in_doubt(run_id):
            self._let_go_of_doubtful(connection, {run_id})
            taken = claims.claim_batch(
                connection, phase, holder=holder_name(), ttl_seconds=self._ttl, limit=1, only=[run_id], again=again
            )
            if taken:
                self._held[run_id] = taken[0]
                return taken[0].attempt
            holders = claims.who_holds(connection, [run_id])
            return holders.get(run_id, "somebody who has just let go of it")

    def show(self, run_id: str) -> Run | None:
        """Return what the table says of a run now, None when it does not know it."""
        with self._lock, answering():
            return show_run(self._opened(), run_id)

    def complete(self, run_id: str, counts: claims.Counts) -> None:
        """Complete the claim on a run that is held; one that was lost meanwhile is told by StaleClaim."""
        with self._lock, self._in_doubt(run_id):
            claim = self._held.pop(run_id, None)
            if claim is None:
                raise StaleClaim(f"the claim on {run_id} was lost", "Nothing of that attempt counts.")
            claims.complete(self._opened(), [claim], {run_id: counts})

    def forget(self, run_id: str) -> None:
        """Hold a run no longer: its worker completed the claim."""
        with self._lock:
            self._held.pop(run_id, None)

    def give_back(self, run_id: str, attempt: int, failed: str | None) -> None:
        """Let go of a run that this attempt holds: with a reason it has failed, without one it is as it was."""
        with self._lock, self._in_doubt(run_id):
            claim = self._held.pop(run_id, None)
            if claim is None or claim.attempt != attempt:
                return
            if failed is None:
                claims.release(self._opened(), [claim])
            else:
                claims.fail(self._opened(), claim, failed, max_attempts=self._max_attempts)

    def look(self) -> None:
        """Move the expiry of all that is held forward, three times within the time it lasts."""
        if time.monotonic() - self._moved < self._ttl / 3:
            return
        self._moved = time.monotonic()
        with self._lock:
            for claim in list(self._held.values()):
                try:
                    with answering():
                        claims.heartbeat(self._opened(), [claim], self._ttl)
                except StaleClaim:
                    self._held.pop(claim.run_id, None)  # its worker is told the same at its next write
                except ServiceDown:
                    self._drop()

    def close(self) -> None:
        """Let go of what is in doubt, and close the connection."""
        with self._lock:
            if self._doubtful:
                with contextlib.suppress(ServiceDown), answering():
                    self._let_go_of_doubtful(self._opened(), self._doubtful)
            self._drop()

    @contextlib.contextmanager
    def _in_doubt(self, run_id: str) -> Iterator[None]:
        try:
            with answering():
                yield
        except ServiceDown:
            self._doubtful.add(run_id)
            raise

    def _let_go_of_doubtful(self, connection: Connection, run_ids: set[str]) -> None:
        if doubtful := run_ids & self._doubtful:
            claims.release_of(connection, [holder_name()], sorted(doubtful))
            self._doubtful -= doubtful

    def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = self._connect()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

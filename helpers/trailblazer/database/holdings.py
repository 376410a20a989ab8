"""The claims that one dispatcher holds: taken, kept alive, settled and released over one connection."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from trailblazer.database import claims
from trailblazer.database.backlog import Run, show_runs
from trailblazer.database.claims import Claim, Counts, HeldBy, Phase, Terms
from trailblazer.database.connection import Connection, Link
from trailblazer.database.embedded import ModelKey
from trailblazer.database.statements import statement
from trailblazer.errors import ServiceDown, StaleClaim
from trailblazer.processes.identity import holder_name, own_identity

HEARTBEAT_SECONDS = 10.0


class Holdings:
    """Claims on runs, for any number of threads. A broken connection is replaced at the next question.

    A run is in doubt when the database went away before it answered: the claim may exist or not. Such a run is released
    before it is claimed again, or at the end. If that fails too, the claim expires by itself. No run is lost. With a
    `key` an embedded run without vectors of that model waits for embedding as well.
    """

    def __init__(
        self, connect: Callable[[], Connection], ttl_seconds: float, max_attempts: int, key: ModelKey | None = None
    ) -> None:
        self._connect, self._ttl, self._max_attempts = connect, ttl_seconds, max_attempts
        self._link = Link(self._opened)
        self._holder, self._process = holder_name(), own_identity()
        self._key = key
        self._lock = threading.Lock()
        self._held: dict[str, Claim] = {}
        self._ahead: dict[str, tuple[Claim, bool]] = {}
        self._doubtful: set[str] = set()
        self._moved = time.monotonic()

    def take(self, wanted: Sequence[str], phase: Phase, *, again: bool) -> dict[str, Claim | HeldBy]:
        """Claim runs in one round trip and return the claim of each, or the state of a run that could not be claimed.

        Without `again` only runs that wait for the phase are taken. With it any run without a holder is taken, and an
        unknown run is added. Runs that `settle` took ahead for the same phase and `again` need no round trip.
        """
        with self._lock:
            known = {run_id: self._ahead[run_id] for run_id in wanted if run_id in self._ahead}
            answers: dict[str, Claim | HeldBy] = {
                run_id: claim
                for run_id, (claim, was_again) in known.items()
                if (claim.phase, was_again) == (phase, again)
            }
            self._release([run_id for run_id in known if run_id not in answers])
            rest = [run_id for run_id in dict.fromkeys(wanted) if run_id not in answers]
            if rest:

                def question(connection: Connection) -> dict[str, Claim | HeldBy]:
                    with self._in_doubt(connection, taking=rest):
                        return self._take(connection, rest, self._terms(phase, again))

                answers |= self._link.ask(question)
            for run_id, answer in answers.items():
                self._ahead.pop(run_id, None)
                if isinstance(answer, Claim):
                    self._held[run_id] = answer
            return {run_id: answers[run_id] for run_id in wanted}

    def settle(
        self, finished: Mapping[str, Counts], ahead: Sequence[str] = (), phase: Phase = "embed", *, again: bool = False
    ) -> dict[str, StaleClaim]:
        """Complete the claims on runs, claim the next runs in the same statement, and return the lost claims.

        A lost claim is not settled. A later `take` returns the runs that were claimed ahead. When the database goes
        away (ServiceDown) the claims are still held, and the same call may be repeated.
        """
        with self._lock:
            settling = {run_id: self._held[run_id] for run_id in finished if run_id in self._held}
            was_doubtful = self._doubtful & settling.keys()
            taking = sorted(set(ahead) - finished.keys() - self._held.keys() - self._ahead.keys())
            lost = {run_id: claims.not_held(run_id) for run_id in finished if run_id not in settling}
            if not settling and not taking:
                return lost

            def question(connection: Connection) -> claims.Step:
                with self._in_doubt(connection, settling, taking):
                    return claims.settle_and_take(
                        connection,
                        [settling[run_id] for run_id in sorted(settling)],
                        finished,
                        taking,
                        self._terms(phase, again),
                    )

            step = self._link.ask(question)
            for run_id in settling:
                del self._held[run_id]
            self._ahead |= {run_id: (claim, again) for run_id, claim in step.taken.items()}
            for run_id, held in step.lost.items():
                claim = settling[run_id]
                was_settled = (held.attempt, held.status) == (claim.attempt, claims.SETTLED[claim.phase])
                if not (run_id in was_doubtful and was_settled):
                    lost[run_id] = claims.stale_claim(claim, held)
            return lost

    def release(self, run_ids: Sequence[str]) -> None:
        """Release runs to their former state. A run that is not held stays as it is."""
        with self._lock:
            self._release(run_ids)

    def release_ahead(self, run_id: str) -> None:
        """Release a run that was claimed ahead. One that a slot has taken since then stays held."""
        with self._lock:
            if run_id not in self._held:
                self._release([run_id])

    def fail(self, run_id: str, attempt: int, reason: str) -> None:
        """Settle a run that this attempt holds as failed. A run that is not held stays as it is."""
        with self._lock:
            claim = self._held.get(run_id)
            if claim is None or claim.attempt != attempt:
                return
            del self._held[run_id]
            self._doubtful.add(run_id)

            def question(connection: Connection) -> None:
                with self._in_doubt(connection, [run_id]), contextlib.suppress(StaleClaim):
                    claims.fail(connection, claim, reason, max_attempts=self._max_attempts)

            self._link.ask(question)

    def show(self, run_ids: Sequence[str]) -> dict[str, Run]:
        """Return the present rows of runs by their ids, without those that the table lacks."""
        with self._lock:
            return self._link.ask(lambda connection: show_runs(connection, run_ids))

    def keep_alive(self) -> None:
        """Move the expiry of all claims forward in one statement, at most three times in each time to live.

        While another thread uses the connection, the next call does it, unless half the time has passed. A database
        that does not answer is no failure here: the next question reports it.
        """
        passed = time.monotonic() - self._moved
        if passed < self._ttl / 3:
            return
        if not self._lock.acquire(timeout=HEARTBEAT_SECONDS if passed > self._ttl / 2 else 0):
            return
        try:
            self._moved = time.monotonic()
            kept = [*self._held.values(), *(claim for claim, _ in self._ahead.values())]
            if not kept:
                return

            def question(connection: Connection) -> list[str]:
                with connection.waiting_up_to(min(HEARTBEAT_SECONDS, connection.limit_seconds)):
                    return claims.heartbeat(connection, kept, self._ttl)

            with contextlib.suppress(ServiceDown):
                for run_id in self._link.ask(question):
                    self._held.pop(run_id, None)  # its worker learns the same at its next write
                    self._ahead.pop(run_id, None)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Release the runs in doubt and the unused claims that were taken ahead, then close the connection."""
        with self._lock:
            unused = sorted(self._doubtful | self._ahead.keys())
            self._ahead.clear()
            if unused:
                with contextlib.suppress(ServiceDown):
                    self._link.ask(lambda connection: claims.release_of(connection, [self._holder], unused))
                    self._doubtful.clear()
            self._link.close()

    def _opened(self) -> Connection:
        connection = self._connect()
        connection.execute(statement("keep_one_plan"))
        connection.prepare_threshold = 0  # a plan takes longer than its statement: prepare it at the first use
        return connection

    def _terms(self, phase: Phase, again: bool) -> Terms:
        return Terms(phase, self._holder, self._ttl, again, self._process, self._key)

    def _take(self, connection: Connection, wanted: Sequence[str], terms: Terms) -> dict[str, Claim | HeldBy]:
        """Take runs, and then those whose holder is a dead process of this host."""
        answers = claims.take(connection, wanted, terms)
        held = [run_id for run_id, answer in answers.items() if isinstance(answer, HeldBy) and answer.claimed_by]
        freed = claims.release_of_the_dead(connection, held) if held else []
        return answers | (claims.take(connection, freed, terms) if freed else {})

    def _release(self, run_ids: Sequence[str]) -> None:
        known = [run_id for run_id in dict.fromkeys(run_ids) if run_id in self._held or run_id in self._ahead]
        released = [self._held.pop(run_id) if run_id in self._held else self._ahead.pop(run_id)[0] for run_id in known]
        if released:
            self._doubtful |= set(known)  # until the database has said so: it may not even be reached

            def question(connection: Connection) -> None:
                with self._in_doubt(connection, known):
                    claims.release(connection, released)

            self._link.ask(question)

    @contextlib.contextmanager
    def _in_doubt(
        self, connection: Connection, run_ids: Collection[str] = (), taking: Sequence[str] = ()
    ) -> Iterator[None]:
        """Keep runs in doubt until the block has ended well. A run to be taken that is in doubt is released first."""
        if orphans := self._doubtful.intersection(taking):
            claims.release_of(connection, [self._holder], sorted(orphans))
        touched = {*run_ids, *taking}
        self._doubtful |= touched
        yield
        self._doubtful -= touched

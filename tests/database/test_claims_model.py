"""The claim statements against a model of them in plain Python, in every order of events that hypothesis thinks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from trailblazer.database import backlog, claims
from trailblazer.database.claims import PHASES, Claim, Counts, Phase
from trailblazer.database.connection import Connection
from trailblazer.errors import StaleClaim

RUN_IDS = ("a", "b", "c", "d")
any_run = some.sampled_from(RUN_IDS)
any_phase = some.sampled_from(PHASES)
any_place = some.integers(0, 1000)


@dataclass(slots=True)
class Modelled:
    """A run as the model has it."""

    status: str = "normalized"
    attempt: int = 0
    claimed_from: str | None = None
    is_expired: bool = False
    failed_phase: Phase | None = None
    failed_attempts: int = 0
    is_due: bool | None = None  # None: not to be tried again
    is_chunked: bool = False  # its present text
    chunks: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether an attempt is at work, or was until its claim expired."""
        return self.status in {"chunking", "embedding"}

    @property
    def waiting_for(self) -> str | None:
        """The phase that it waits for, or is in."""
        if self.status == "reset":
            return "embed" if self.is_chunked and self.chunks else "chunk"
        if self.status == "failed":
            return None if self.is_due is None else self.failed_phase
        return {"normalized": "chunk", "chunking": "chunk", "chunked": "embed", "embedding": "embed"}.get(self.status)

    @property
    def is_claimable(self) -> bool:
        """Whether it may be taken for that phase."""
        waits = self.status in {"normalized", "chunked", "reset"}
        return waits or (self.is_held and self.is_expired) or (self.status == "failed" and self.is_due is True)

    def be_taken(self, phase: Phase) -> None:
        """Begin the next attempt."""
        self.claimed_from = self.claimed_from if self.is_held else self.status
        self.status = "chunking" if phase == "chunk" else "embedding"
        self.attempt += 1
        self.is_expired = False

    def let_go(self, status: str) -> None:
        """End the attempt."""
        self.status, self.claimed_from, self.is_expired = status, None, False

    def be_completed(self, chunks: int) -> None:
        """End the attempt well."""
        if self.status == "chunking":
            self.is_chunked, self.chunks = True, chunks
        self.let_go("chunked" if self.status == "chunking" else "embedded")
        self.failed_phase, self.failed_attempts, self.is_due = None, 0, None

    def be_failed(self, max_attempts: int) -> None:
        """End the attempt badly."""
        self.failed_phase = "chunk" if self.status == "chunking" else "embed"
        self.failed_attempts += 1
        self.is_due = False if self.failed_attempts < max_attempts else None
        self.let_go("failed")

    def begin_anew(self, status: str) -> None:
        """Wait again, whoever held it."""
        self.let_go(status)
        self.failed_attempts, self.is_due = 0, None


class Claiming(RuleBasedStateMachine):
    """Every rule does a thing to the database and to the model; afterwards both are the same."""

    connection: ClassVar[Connection]

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Modelled] = {}
        self.given: list[Claim] = []

    @initialize()
    def begin(self) -> None:
        """Begin with an empty table."""
        self.connection.execute("TRUNCATE processed_runs")

    @rule(run_id=any_run)
    def normalise(self, run_id: str) -> None:
        """A run is normalised, for the first time or again."""
        backlog.upsert_run(self.connection, run_id)
        run = self.runs.setdefault(run_id, Modelled())
        run.begin_anew("normalized")
        run.is_chunked = False

    def _take(self, phase: Phase, expected: Sequence[str], taken: Sequence[Claim]) -> None:
        for run_id in expected:
            self.runs[run_id].be_taken(phase)
        assert [(run_id, self.runs[run_id].attempt) for run_id in expected] == [(c.run_id, c.attempt) for c in taken]
        self.given.extend(taken)

    def _waiting(self, phase: Phase, limit: int) -> list[str]:
        return sorted(name for name, run in self.runs.items() if run.waiting_for == phase and run.is_claimable)[:limit]

    @rule(phase=any_phase, limit=some.integers(1, 3))
    def claim(self, phase: Phase, limit: int) -> None:
        """Somebody claims what waits."""
        expected = self._waiting(phase, limit)
        self._take(
            phase, expected, claims.claim_batch(self.connection, phase, holder="h", ttl_seconds=600, limit=limit)
        )

    @rule(phase=any_phase, only=some.sets(any_run, min_size=1), again=some.booleans())
    def claim_named(self, phase: Phase, only: set[str], again: bool) -> None:
        """A plan claims its runs."""
        if again:
            for run_id in only - set(self.runs):
                self.runs[run_id] = Modelled()
        expected = sorted(
            name
            for name in only & set(self.runs)
            if (again and not (self.runs[name].is_held and not self.runs[name].is_expired))
            or (self.runs[name].waiting_for == phase and self.runs[name].is_claimable)
        )
        taken = claims.claim_batch(
            self.connection, phase, holder="h", ttl_seconds=600, limit=9, only=sorted(only), again=again
        )
        self._take(phase, expected, taken)

    def _choose(self, place: int) -> Claim | None:
        return self.given[-1 - place % len(self.given)] if self.given else None

    def _is_good(self, claim: Claim) -> bool:
        run = self.runs[claim.run_id]
        return run.is_held and run.attempt == claim.attempt

    def _do(self, claim: Claim, deed: Callable[[], object], change: Callable[[Modelled], object]) -> None:
        if self._is_good(claim):
            deed()
            change(self.runs[claim.run_id])
        else:
            with pytest.raises(StaleClaim):
                deed()

    @rule(place=any_place, chunks=some.integers(0, 2))
    def complete(self, place: int, chunks: int) -> None:
        """An attempt, late or not, completes."""
        if claim := self._choose(place):
            counts = {
                claim.run_id: Counts(total_chunks=chunks if self.runs[claim.run_id].status == "chunking" else None)
            }
            self._do(
                claim, lambda: claims.complete(self.connection, [claim], counts), lambda run: run.be_completed(chunks)
            )

    @rule(place=any_place, phase=any_phase, limit=some.integers(1, 3))
    def complete_and_claim_next(self, place: int, phase: Phase, limit: int) -> None:
        """An attempt completes and claims the next in one step; one that is late gets nothing."""
        claim = self._choose(place)
        if claim is None:
            return
        counts = {claim.run_id: Counts(total_chunks=1 if self.runs[claim.run_id].status == "chunking" else None)}
        held = claim

        def step() -> list[Claim]:
            return claims.complete_and_claim_next(
                self.connection, [held], phase, holder="h", ttl_seconds=600, limit=limit, counts=counts
            )

        if not self._is_good(claim):
            with pytest.raises(StaleClaim):
                step()
            return
        waiting = [run_id for run_id in self._waiting(phase, limit + 1) if run_id != claim.run_id][:limit]
        self.runs[claim.run_id].be_completed(1)
        self._take(phase, waiting, step())

    @rule(place=any_place, max_attempts=some.integers(1, 3))
    def fail(self, place: int, max_attempts: int) -> None:
        """An attempt, late or not, fails."""
        if claim := self._choose(place):
            self._do(
                claim,
                lambda: claims.fail(self.connection, claim, "boom", max_attempts=max_attempts, pause_seconds=600),
                lambda run: run.be_failed(max_attempts),
            )

    @rule(place=any_place)
    def release(self, place: int) -> None:
        """An attempt, late or not, gives its run back."""
        if claim := self._choose(place):
            self._do(
                claim,
                lambda: claims.release(self.connection, [claim]),
                lambda run: run.let_go(run.claimed_from or "?"),
            )

    @rule(place=any_place)
    def heartbeat(self, place: int) -> None:
        """An attempt, late or not, gives a sign of life."""
        if claim := self._choose(place):
            self._do(
                claim,
                lambda: claims.heartbeat(self.connection, [claim], 600),
                lambda run: setattr(run, "is_expired", False),
            )

    @rule(run_id=any_run)
    def expire(self, run_id: str) -> None:
        """A claim's time passes."""
        if run_id in self.runs and self.runs[run_id].is_held:
            self.runs[run_id].is_expired = True
            self.connection.execute(
                "UPDATE processed_runs SET claim_expires_at = now() - interval '1 second' WHERE run_id = %s", (run_id,)
            )

    @rule(run_id=any_run)
    def end_pause(self, run_id: str) -> None:
        """A failed run's pause passes."""
        if run_id in self.runs and self.runs[run_id].status == "failed" and self.runs[run_id].is_due is False:
            self.runs[run_id].is_due = True
            self.connection.execute("UPDATE processed_runs SET next_attempt_at = now() WHERE run_id = %s", (run_id,))

    @rule(scope=some.sampled_from(["processed", "embeddings", "all"]), run_id=any_run)
    def reset(self, scope: backlog.Scope, run_id: str) -> None:
        """Somebody resets a run."""
        found = backlog.reset(self.connection, scope, backlog.Filters(glob=run_id)).runs
        assert int(run_id in self.runs) == found
        if run_id in self.runs:
            run = self.runs[run_id]
            run.begin_anew("reset")
            if scope != "embeddings":
                run.is_chunked, run.chunks = False, None

    @invariant()
    def both_are_the_same(self) -> None:
        """Every run is in the database as it is in the model."""
        found = self.connection.execute(
            "SELECT run_id, status, attempt, waiting_for, claimed_from, claimed_by IS NOT NULL, failed_attempts"
            " FROM processed_runs ORDER BY run_id"
        ).fetchall()
        expected = [
            (name, run.status, run.attempt, run.waiting_for, run.claimed_from, run.is_held, run.failed_attempts)
            for name, run in sorted(self.runs.items())
        ]
        assert expected == found


def test_the_database_does_what_the_model_says(connection: Connection) -> None:
    """B2: 120 stories of 50 events (claim, heartbeat, expire, complete, fail, release, reset, normalise) agree."""
    connection.execute("SET synchronous_commit = off")
    Claiming.connection = connection
    run_state_machine_as_test(
        Claiming,
        settings=settings(
            max_examples=120, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

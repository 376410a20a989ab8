"""The claim statements against a model of them in plain Python, in every order of events that hypothesis thinks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from claiming import complete
from trailblazer.database import backlog, claims
from trailblazer.database.claims import PHASES, Claim, Counts, HeldBy, Phase
from trailblazer.database.connection import Connection
from trailblazer.errors import StaleClaim

pytestmark = pytest.mark.proof

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

    def _is_open(self, run_id: str, phase: Phase, again: bool) -> bool:
        run = self.runs[run_id]
        is_free = again and not (run.is_held and not run.is_expired)
        return is_free or (run.waiting_for == phase and run.is_claimable)

    def _take(self, phase: Phase, wanted: set[str], again: bool) -> set[str]:
        """Take runs in the model, and return which."""
        taken = {run_id for run_id in wanted & set(self.runs) if self._is_open(run_id, phase, again)}
        for run_id in taken:
            self.runs[run_id].be_taken(phase)
        return taken

    def _check(self, taken: set[str], answers: Mapping[str, Claim | HeldBy]) -> None:
        """Compare what was taken in both; what was not is answered with how it stood."""
        assert {run_id: self.runs[run_id].attempt for run_id in taken} == {
            run_id: answer.attempt for run_id, answer in answers.items() if isinstance(answer, Claim)
        }
        for run_id, answer in answers.items():
            if isinstance(answer, Claim):
                self.given.append(answer)
            else:
                assert answer.status == (self.runs[run_id].status if run_id in self.runs else "unknown")

    @rule(phase=any_phase, wanted=some.sets(any_run, min_size=1), again=some.booleans())
    def take(self, phase: Phase, wanted: set[str], again: bool) -> None:
        """A plan claims its runs."""
        answers = claims.take(self.connection, sorted(wanted), claims.Terms(phase, "h", 600, again=again))
        assert wanted == set(answers)
        for run_id in wanted - set(self.runs) if again else ():
            self.runs[run_id] = Modelled()
        self._check(self._take(phase, wanted, again), answers)

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
            self._do(claim, lambda: complete(self.connection, [claim], counts), lambda run: run.be_completed(chunks))

    @rule(places=some.lists(any_place, max_size=3), phase=any_phase, wanted=some.sets(any_run), again=some.booleans())
    def settle_and_take(self, places: list[int], phase: Phase, wanted: set[str], again: bool) -> None:
        """Attempts, late or not, complete, and the next runs of a plan are claimed in the same step."""
        chosen = {claim.run_id: claim for claim in map(self._choose, places) if claim is not None}
        finished = list(chosen.values())
        wanted = wanted - set(chosen)
        good = {claim.run_id for claim in finished if self._is_good(claim)}
        counts = {run_id: Counts(total_chunks=1 if self.runs[run_id].status == "chunking" else None) for run_id in good}
        step = claims.settle_and_take(
            self.connection, finished, counts, sorted(wanted), claims.Terms(phase, "h", 600, again=again)
        )
        assert set(chosen) - good == set(step.lost)
        for run_id in good:
            self.runs[run_id].be_completed(1)
        self._check(self._take(phase, wanted, again), {**step.taken, **step.refused})

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
            is_good = self._is_good(claim)
            assert ([] if is_good else [claim.run_id]) == claims.release(self.connection, [claim])
            if is_good:
                run = self.runs[claim.run_id]
                run.let_go(run.claimed_from or "?")

    @rule(place=any_place)
    def heartbeat(self, place: int) -> None:
        """An attempt, late or not, gives a sign of life."""
        if claim := self._choose(place):
            is_good = self._is_good(claim)
            assert ([] if is_good else [claim.run_id]) == claims.heartbeat(self.connection, [claim], 600)
            if is_good:
                self.runs[claim.run_id].is_expired = False

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

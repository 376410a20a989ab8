"""Claims: who gets which run, in what order, what a stale attempt may do (nothing), and where runs stand afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from claiming import TTL, complete, embed, expire, ids, put, standing, take
from trailblazer.config import Config
from trailblazer.database import backlog, claims
from trailblazer.database.claims import Claim, Counts, HeldBy
from trailblazer.database.connection import Connection, connect
from trailblazer.errors import StaleClaim


def test_runs_wait_in_the_order_of_their_ids(connection: Connection) -> None:
    """B2: what is claimed is ordered by run id, by code point, whatever came first."""
    put(connection, "b", "a", "Z", "é", "a-1")
    assert ["Z", "a", "a-1"] == ids(take(connection, "chunk", 3))
    assert ["b", "é"] == ids(take(connection, "chunk", 3))
    assert [] == take(connection, "chunk", 3)


def test_a_run_goes_from_normalized_to_embedded(connection: Connection) -> None:
    """B2: chunking claims what is normalized, embedding what is chunked, and each leaves its moment and its counts."""
    put(connection, "r")
    assert [] == take(connection, "embed")
    (chunking,) = take(connection, "chunk")
    assert ("chunking", "chunk", 1) == standing(connection, "r")
    complete(connection, [chunking], {"r": Counts(total_docs=2, total_chunks=7)})
    assert ("chunked", "embed", 1) == standing(connection, "r")
    (embedding,) = take(connection, "embed")
    assert 2 == embedding.attempt
    complete(connection, [embedding], {"r": Counts(embedded_chunks=7)})
    assert ("embedded", None, 2) == standing(connection, "r")
    run = backlog.show_run(connection, "r")
    assert run is not None
    assert (2, 7, 7) == (run.total_docs, run.total_chunks, run.embedded_chunks)
    moments = [
        run.normalized_at,
        run.chunk_started_at,
        run.chunk_completed_at,
        run.embed_started_at,
        run.embed_completed_at,
    ]
    assert sorted(filter(None, moments)) == moments
    assert (None, None, None) == (run.claimed_by, run.claimed_at, run.claim_expires_at)


def test_each_run_of_a_group_is_answered(connection: Connection) -> None:
    """B2: a claim is exclusive: of a group what waits is claimed, and of each other run it is said how it stands."""
    put(connection, "held", "waits")
    embed(connection, "done")
    put(connection, "failed")
    (failing,) = take(connection, "chunk", only=["failed"])
    claims.fail(connection, failing, "boom")
    take(connection, "chunk", holder="there/7", only=["held"])
    wanted = ["waits", "held", "done", "failed", "unknown"]
    answers = claims.take(connection, wanted, claims.Terms("chunk", "here/1", TTL, again=False))
    assert sorted(wanted) == sorted(answers)
    assert Claim("waits", "chunk", 1, "here/1") == answers["waits"]
    assert re.fullmatch(r"held by there/7 since 2\S+ \S+ UTC \(attempt 1\)", str(answers["held"]))
    assert "embedded, and nobody holds it" == str(answers["done"])
    assert str(answers["failed"]).startswith("failed (boom) and waits until 2")
    assert HeldBy("unknown", "unknown") == answers["unknown"]


def test_an_expired_claim_is_recycled_in_its_place_in_the_line(connection: Connection) -> None:
    """B2: a run whose holder let his claim expire is taken before those behind it, by a new attempt."""
    put(connection, "a", "b")
    (lost,) = take(connection, "chunk", holder="dead/1")
    expire(connection)
    (taken,) = take(connection, "chunk", holder="alive/2")
    assert ("a", 2, "alive/2") == (taken.run_id, taken.attempt, taken.holder)
    with pytest.raises(StaleClaim, match="attempt 1 at a has lost its claim: the run is held by alive/2"):
        complete(connection, [lost])
    assert ("chunking", "chunk", 2) == standing(connection, "a")


def test_an_expired_claim_that_nobody_took_is_still_good(connection: Connection) -> None:
    """B2: who was slow, but was not replaced, loses nothing: he may go on and complete."""
    put(connection, "a")
    slow = take(connection, "chunk")
    expire(connection)
    claims.heartbeat(connection, slow, TTL)
    assert [] == take(connection, "chunk")
    expire(connection)
    complete(connection, slow)
    assert "chunked" == standing(connection, "a")[0]


@pytest.mark.parametrize("deed", ["complete", "fail", "fence"])
def test_a_stale_attempt_changes_nothing(connection: Connection, deed: str) -> None:
    """B2: whatever a replaced attempt asks for, nothing changes, and the answer says that the claim is lost."""
    put(connection, "a", "b")
    (stale,) = take(connection, "chunk", holder="dead/1")
    expire(connection)
    take(connection, "chunk", holder="alive/2")
    before = connection.execute("SELECT * FROM processed_runs ORDER BY run_id").fetchall()
    deeds: dict[str, Callable[[], object]] = {
        "complete": lambda: complete(connection, [stale]),
        "fail": lambda: claims.fail(connection, stale, "late"),
        "fence": lambda: claims.fence(connection, [stale], TTL),
    }
    with pytest.raises(StaleClaim, match="alive/2") as refused:
        deeds[deed]()
    assert 6 == refused.value.exit_code
    assert ["a"] == claims.release(connection, [stale])
    assert ["a"] == claims.heartbeat(connection, [stale], TTL)
    assert ["a"] == list(settle(connection, [stale], []).lost)
    assert before == connection.execute("SELECT * FROM processed_runs ORDER BY run_id").fetchall()


def test_of_many_claims_only_the_stale_one_is_refused(connection: Connection) -> None:
    """B2: in a batch the claims that are good are settled, and the one that is not is named."""
    put(connection, "a", "b", "c")
    batch = take(connection, "chunk", 3)
    backlog.upsert_run(connection, "b")
    with pytest.raises(
        StaleClaim, match="attempt 1 at b has lost its claim: the run is normalized, and nobody holds it"
    ):
        complete(connection, batch)
    assert ["chunked", "normalized", "chunked"] == [standing(connection, run)[0] for run in "abc"]


def settle(connection: Connection, finished: list[Claim], wanted: list[str], *, again: bool = False) -> claims.Step:
    """Complete claims on chunking and claim other runs for it."""
    counts = {claim.run_id: Counts(total_chunks=1) for claim in finished}
    return claims.settle_and_take(connection, finished, counts, wanted, claims.Terms("chunk", "h", TTL, again=again))


def test_completion_and_next_claim_are_one_step(connection: Connection) -> None:
    """B2: what was done is settled, and what the plan names next is taken at once; nothing outside the plan is."""
    put(connection, "a", "b", "c", "d", "outside")
    step = settle(connection, take(connection, "chunk", 2), ["c", "d"])
    assert ({}, ["c", "d"], {}) == (step.lost, sorted(step.taken), step.refused)
    step = settle(connection, list(step.taken.values()), [])
    assert ({}, {}, {}) == (step.lost, step.taken, step.refused)
    expected = {"chunked": 4, "normalized": 1}
    assert expected == {state: count for state, count in backlog.totals(connection).items() if count}


def test_a_lost_claim_does_not_stop_the_others(connection: Connection) -> None:
    """B2: the good claims are settled and the next runs are taken; who holds the lost one is said."""
    put(connection, "a", "b", "c")
    finished = take(connection, "chunk", 2)
    backlog.upsert_run(connection, "b")
    step = settle(connection, finished, ["c", "unknown"], again=True)
    assert {"b": "normalized, and nobody holds it"} == {run_id: str(held) for run_id, held in step.lost.items()}
    assert ({"c"}, {}) == (set(step.taken), step.refused), "what the table does not have is left to take()"
    assert ["chunked", "normalized", "chunking"] == [standing(connection, run)[0] for run in "abc"]


def test_a_run_that_others_add_meanwhile_is_answered(connection: Connection, config: Config) -> None:
    """B2: two plans that add the same unknown runs at once divide them, and each learns who holds the others."""
    ids_ = [f"r-{number:03}" for number in range(300)]

    def ask(number: int) -> dict[str, Claim | HeldBy]:
        with connect(config) as own:
            return claims.take(own, ids_, claims.Terms("embed", f"h/{number}", TTL, again=True))

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(4)))
    assert [ids_] * 4 == [sorted(answer) for answer in answers]
    for run_id in ids_:
        assert 1 == sum(isinstance(answer[run_id], Claim) for answer in answers)
    assert (300, 300) == connection.execute("SELECT count(*), sum(attempt) FROM processed_runs").fetchone()


def test_a_failed_run_pauses_longer_each_time_and_then_waits_for_a_reset(connection: Connection) -> None:
    """B2: a failure keeps its reason and attempt; the pause doubles; after max_attempts the run is not tried again."""
    put(connection, "r")
    pauses = []
    for failed in (1, 2, 3):
        (claim,) = take(connection, "chunk")
        claims.fail(connection, claim, f"boom {failed}", max_attempts=3, pause_seconds=100)
        run = backlog.show_run(connection, "r")
        assert run is not None
        assert ("failed", f"boom {failed}", failed, failed) == (
            run.status, run.failure_reason, run.failed_attempts, run.attempt
        )  # fmt: skip
        assert [] == take(connection, "chunk")
        if run.next_attempt_at is not None:
            pauses.append((run.next_attempt_at - run.updated_at).total_seconds())
        connection.execute("UPDATE processed_runs SET next_attempt_at = now() WHERE next_attempt_at > now()")
    assert [100.0, 200.0] == pauses
    assert ("failed", None, 3) == standing(connection, "r")
    backlog.reset(connection, "processed")
    assert ["r"] == ids(take(connection, "chunk"))


def test_a_failure_in_embedding_is_tried_again_in_embedding(connection: Connection) -> None:
    """B2: a failed run waits for the phase that failed, and success clears the failure."""
    put(connection, "r")
    complete(connection, take(connection, "chunk"))
    (claim,) = take(connection, "embed")
    claims.fail(connection, claim, "provider\0 away", pause_seconds=0)
    assert [] == take(connection, "chunk")
    again = take(connection, "embed")
    complete(connection, again)
    run = backlog.show_run(connection, "r")
    assert run is not None
    assert ("embedded", None, 0, 3) == (run.status, run.failure_reason, run.failed_attempts, run.attempt)


def test_a_claim_that_is_given_back_leaves_the_run_as_it_was(connection: Connection) -> None:
    """B2: release restores what the claim was taken from, also after another's claim on it had expired."""
    embed(connection, "done")
    put(connection, "new")
    before = {run: standing(connection, run)[:2] for run in ("done", "new")}
    take(connection, "embed", 2, only=["done", "new"], again=True, holder="dead/1")
    expire(connection)
    taken = take(connection, "embed", 2, only=["done", "new"], again=True)
    claims.release(connection, taken)
    assert before == {run: standing(connection, run)[:2] for run in ("done", "new")}


def test_a_plan_may_take_what_is_embedded_or_unknown(connection: Connection) -> None:
    """B2: with `again` a named run is claimed whatever has been done to it, and an unknown one is put there first."""
    embed(connection, "done")
    assert [] == take(connection, "embed", 9, only=["done", "unknown"])
    taken = take(connection, "embed", 9, only=["done", "unknown", "done"], again=True)
    assert [("done", 3), ("unknown", 1)] == [(claim.run_id, claim.attempt) for claim in taken]
    complete(connection, taken)
    assert ("embedded", None, 3) == standing(connection, "done")


def test_a_claim_is_settled_in_the_callers_transaction(connection: Connection, config: Config) -> None:
    """E12: vectors and the completion of their claim are one transaction: both are there or neither."""
    put(connection, "a")
    complete(connection, take(connection, "chunk"))
    (claim,) = take(connection, "embed")
    with pytest.raises(RuntimeError), connection.transaction():
        connection.execute("INSERT INTO dispatches (dispatch_id, folder) VALUES ('d', 'f')")
        complete(connection, [claim])
        raise RuntimeError("killed")
    assert "embedding" == standing(connection, "a")[0]
    with connect(config) as other:
        other.execute("UPDATE processed_runs SET claim_expires_at = now() - interval '1 second'")
        (newer,) = take(other, "embed", holder="newer/1")
    with pytest.raises(StaleClaim), connection.transaction():
        connection.execute("INSERT INTO dispatches (dispatch_id, folder) VALUES ('d', 'f')")
        complete(connection, [claim])
    assert (0,) == connection.execute("SELECT count(*) FROM dispatches").fetchone()
    complete(connection, [newer])


def test_a_claim_taken_in_a_long_transaction_is_not_born_old(connection: Connection) -> None:
    """B2: the time to live counts from the statement, not from the beginning of its transaction."""
    put(connection, "a")
    with connection.transaction():
        connection.execute("SELECT pg_sleep(0.2)")
        claims.take(connection, ["a"], claims.Terms("chunk", "h", 60, again=False))
        row = connection.execute(
            "SELECT claim_expires_at - now() >= interval '60.2 seconds' FROM processed_runs"
        ).fetchone()
    assert (True,) == row


def test_a_fence_keeps_others_away_and_lets_heartbeats_pass(connection: Connection, config: Config) -> None:
    """B2: while a worker writes under its fence nobody takes the run, and the dispatcher's heartbeat does not wait."""
    put(connection, "a")
    (claim,) = take(connection, "chunk")
    expire(connection)
    with connect(config) as dispatcher, connection.transaction():
        dispatcher.execute("SET lock_timeout = '10s'")
        claims.fence(connection, [claim], TTL)
        claims.heartbeat(dispatcher, [claim], TTL)
        assert [] == take(dispatcher, "chunk")
    complete(connection, [claim])


def test_an_unknown_phase_is_a_bug(connection: Connection) -> None:
    """A phase that is neither of the two never reaches the database."""
    with pytest.raises(ValueError, match="is not a phase"):
        take(connection, "paint", only=["r"])  # type: ignore[arg-type]

"""What tests of claims do over and over: let runs wait, take them, let claims expire, see where a run stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trailblazer.database import backlog, claims
from trailblazer.database.backlog import EVERY_RUN, Filters
from trailblazer.database.claims import Claim, Counts, Phase
from trailblazer.database.connection import Connection

TTL = 600.0


def put(connection: Connection, *run_ids: str, source: str = "files") -> None:
    """Let runs wait for chunking."""
    for run_id in run_ids:
        backlog.upsert_run(connection, run_id, source=source)


def take(
    connection: Connection,
    phase: Phase,
    limit: int = 1,
    holder: str = "here/1",
    *,
    only: Sequence[str] | None = None,
    again: bool = False,
    filters: Filters = EVERY_RUN,
) -> list[Claim]:
    """Claim some of these runs, else of those that wait, with a time to live that no test outlasts."""
    found: list[Claim] = []
    for run_id in backlog.waiting_runs(connection, [phase], filters) if only is None else only:
        answers = claims.take(connection, [run_id], claims.Terms(phase, holder, TTL, again=again))
        found += [answer for answer in answers.values() if isinstance(answer, Claim)]
        if len(found) == limit:
            break
    return found


def complete(connection: Connection, finished: Sequence[Claim], counts: Mapping[str, Counts] | None = None) -> None:
    """Complete claims; the first one that is lost is a StaleClaim, and the others are settled all the same."""
    step = claims.settle_and_take(connection, finished, counts or {}, [], claims.Terms("embed", "here/1", TTL))
    for claim in finished:
        if claim.run_id in step.lost:
            raise claims.stale_claim(claim, step.lost[claim.run_id])


def expire(connection: Connection) -> None:
    """Let every claim be one that its holder let expire."""
    connection.execute(
        "UPDATE processed_runs SET claim_expires_at = now() - interval '1 second' WHERE claimed_by <> ''"
    )


def standing(connection: Connection, run_id: str) -> tuple[str, str | None, int]:
    """Return a run's state, the phase that it waits for and its attempt."""
    run = backlog.show_run(connection, run_id)
    assert run is not None
    return run.status, run.waiting_for, run.attempt


def ids(found: Sequence[Claim]) -> list[str]:
    """Return the runs of claims."""
    return [claim.run_id for claim in found]


def embed(connection: Connection, *run_ids: str) -> None:
    """Take runs all the way to embedded."""
    put(connection, *run_ids)
    chunking = take(connection, "chunk", len(run_ids), only=run_ids)
    complete(connection, chunking, {run_id: Counts(total_chunks=3) for run_id in run_ids})
    complete(connection, take(connection, "embed", len(run_ids), only=run_ids))

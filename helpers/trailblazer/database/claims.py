"""The exclusive right to work on a run: taken, kept alive, fenced, settled and given back in Postgres."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from trailblazer.database.backlog import EVERY_RUN, Filters, register
from trailblazer.database.driver import Connection, fetch
from trailblazer.database.statements import statement
from trailblazer.errors import StaleClaim

Phase = Literal["chunk", "embed"]
PHASES: tuple[Phase, ...] = ("chunk", "embed")

PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
MOST_ATTEMPTS = 3


class Claim(NamedTuple):
    """One run held for one phase; the attempt number is the fencing token that every statement names."""

    run_id: str
    phase: Phase
    attempt: int
    holder: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a completed run has; None leaves the number as it was."""

    total_docs: int | None = None
    total_chunks: int | None = None
    embedded_chunks: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands now, told to whoever does not hold it."""

    run_id: str
    status: str
    attempt: int
    claimed_by: str | None
    claimed_at: datetime | None

    def __str__(self) -> str:
        if self.claimed_by is None or self.claimed_at is None:
            return f"nobody; it is {self.status}"
        return f"{self.claimed_by} since {self.claimed_at:%Y-%m-%d %H:%M:%S %Z} (attempt {self.attempt})"


def claim_batch(
    connection: Connection,
    phase: Phase,
    *,
    holder: str,
    ttl_seconds: float,
    limit: int = 1,
    only: Sequence[str] | None = None,
    again: bool = False,
    filters: Filters = EVERY_RUN,
) -> list[Claim]:
    """Take up to `limit` runs that wait for a phase, in the order of their ids, and return the claims.

    Waiting are runs whose turn it is, failed ones whose pause is over, and those whose holder let his claim expire.
    `only` takes from these runs alone. With `again` any of them that nobody holds is taken, whatever has been done
    to it, and one that the table does not know is put there first. What somebody else holds is left out.
    """
    if only is None:
        return complete_and_claim_next(
            connection, [], phase, holder=holder, ttl_seconds=ttl_seconds, limit=limit, filters=filters
        )
    taking = {**_taking(phase, holder, ttl_seconds), "limit": limit}
    rows = connection.execute(statement("claim_named"), {**taking, "only": list(only), "again": again}).fetchall()
    if again and len(rows) < min(limit, len(set(only))):
        added = register(connection, only)
        taking["limit"] -= len(rows)
        rows += connection.execute(statement("claim_named"), {**taking, "only": added, "again": True}).fetchall()
    return [Claim(run_id, phase, attempt, holder, expires_at) for run_id, attempt, expires_at in sorted(rows)]


def complete(connection: Connection, claims: Sequence[Claim], counts: Mapping[str, Counts] | None = None) -> None:
    """Settle claims: what was chunked waits for embedding, what was embedded is done.

    `counts` by run id is kept beside them. A claim that is lost changes nothing and is told by StaleClaim, after the
    others are settled; inside a transaction of the caller the exception takes all of it back.
    """
    rows = connection.execute(statement("settle_claims"), _settling(claims, counts)).fetchall()
    _refuse_stale(connection, claims, {row[0] for row in rows})


def complete_and_claim_next(
    connection: Connection,
    claims: Sequence[Claim],
    phase: Phase,
    *,
    holder: str,
    ttl_seconds: float,
    limit: int = 1,
    counts: Mapping[str, Counts] | None = None,
    filters: Filters = EVERY_RUN,
    after: str = "",
) -> list[Claim]:
    """Settle claims and take the next runs in one statement: one round trip and one commit instead of two.

    When one of the claims is stale nothing new is taken, and StaleClaim says so. With `after` the runs behind that id
    come first and those before it only when there are too few: for whoever walks through a long line and would else
    pass over all that he has done, at each step, until the next vacuum. Leave it out now and then.
    """
    parameters = {**_settling(claims, counts), **filters.parameters(), **_taking(phase, holder, ttl_seconds)}
    query = _settle_and_claim(phase, limit, filters != EVERY_RUN)
    row = connection.execute(query, {**parameters, "after": after}).fetchone()
    settled, run_ids, attempts, expires_at = row or (None, None, None, None)
    if len(settled or ()) < len(claims):
        _refuse_stale(connection, claims, set(settled or ()))
    return [
        Claim(run_id, phase, attempt, holder, expires_at)
        for run_id, attempt in sorted(zip(run_ids or (), attempts or (), strict=True))
    ]


def heartbeat(connection: Connection, claims: Sequence[Claim], ttl_seconds: float) -> None:
    """Move the expiry of claims forward; StaleClaim tells of those that are lost, after the others were moved.

    Never waits for a worker that has fenced the run in a long transaction: such a claim is safe while that lasts.
    """
    rows = connection.execute(statement("move_expiry"), _naming(claims) | {"ttl": timedelta(seconds=ttl_seconds)})
    _refuse_stale(connection, claims, {row[0] for row in rows})


def fence(connection: Connection, claim: Claim, ttl_seconds: float) -> None:
    """Make sure, until the caller's transaction ends, that nobody else takes or resets the run; else StaleClaim.

    Called last before the commit it locks the run for the shortest time.
    """
    rows = connection.execute(statement("fence_claims"), _naming([claim]) | {"ttl": timedelta(seconds=ttl_seconds)})
    _refuse_stale(connection, [claim], {row[0] for row in rows})


def release(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give claims back unused: each run is again what it was before. StaleClaim tells of those that were lost."""
    rows = connection.execute(statement("release_claims"), _naming(claims)).fetchall()
    _refuse_stale(connection, claims, {row[0] for row in rows})


def release_of(connection: Connection, holders: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    """Give back, of these runs, what holders that are known to be gone still hold; return which, sorted."""
    parameters = {"holders": list(holders), "run_ids": list(run_ids)}
    return sorted(row[0] for row in connection.execute(statement("release_of_holders"), parameters).fetchall())


def fail(
    connection: Connection,
    claim: Claim,
    reason: str,
    *,
    max_attempts: int = MOST_ATTEMPTS,
    pause_seconds: float = PAUSE.total_seconds(),
) -> None:
    """Settle a claim as failed, with its reason; a claim that was lost changes nothing and is told by StaleClaim.

    The run waits again after a pause that doubles with each failed attempt; after `max_attempts` of them in a
    row it waits for a reset.
    """
    parameters = {
        "run_id": claim.run_id,
        "attempt": claim.attempt,
        "reason": reason.replace("\0", "") or "no reason given",
        "max_attempts": max_attempts,
        "pause": timedelta(seconds=pause_seconds),
        "longest_pause": LONGEST_PAUSE,
    }
    rows = connection.execute(statement("fail_claim"), parameters).fetchall()
    _refuse_stale(connection, [claim], {row[0] for row in rows})


def who_holds(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """Return, of these runs, those that somebody holds, with who it is and since when."""
    standings = fetch(connection, "standing_of", Standing, {"run_ids": list(run_ids)})
    return {standing.run_id: str(standing) for standing in standings if standing.claimed_by is not None}


@functools.lru_cache(64)
def _settle_and_claim(phase: Phase, limit: int, is_filtered: bool) -> str:
    if phase not in PHASES:
        raise ValueError(f"{phase!r} is not a phase: {', '.join(PHASES)}")
    query = statement("settle_and_claim").replace("__phase__", phase).replace("__limit__", str(int(limit)))
    return query.replace("__scope__", f"({statement('in_scope')})" if is_filtered else "true")


def _taking(phase: Phase, holder: str, ttl_seconds: float) -> dict[str, Any]:
    return {
        "phase": phase,
        "holder": holder,
        "ttl": timedelta(seconds=ttl_seconds),
        "code_version": _code_version(),
    }


def _naming(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"run_ids": [claim.run_id for claim in claims], "attempts": [claim.attempt for claim in claims]}


def _settling(claims: Sequence[Claim], counts: Mapping[str, Counts] | None) -> dict[str, Any]:
    known = [counts.get(claim.run_id, _NO_COUNTS) for claim in claims] if counts else []
    return {
        "settled_ids": [claim.run_id for claim in claims],
        "attempts": [claim.attempt for claim in claims],
        "docs": [count.total_docs for count in known],
        "chunks": [count.total_chunks for count in known],
        "embedded": [count.embedded_chunks for count in known],
    }


def _refuse_stale(connection: Connection, claims: Sequence[Claim], settled: set[str]) -> None:
    if len(settled) == len(claims):
        return
    newest = {claim.run_id: claim.attempt for claim in sorted(claims, key=lambda claim: claim.attempt)}
    lost = [claim for claim in claims if claim.run_id not in settled or claim.attempt < newest[claim.run_id]]
    if not lost:
        return
    standings = fetch(connection, "standing_of", Standing, {"run_ids": [claim.run_id for claim in lost]})
    holders = {standing.run_id: str(standing) for standing in standings}
    lines = [
        f"attempt {claim.attempt} at {claim.run_id} has lost its claim: the run is held by "
        + holders.get(claim.run_id, "nobody; it is gone")
        for claim in lost
    ]
    raise StaleClaim(lines[0], "\n".join([*lines[1:], "Nothing of that attempt was kept; there is nothing to repair."]))


@functools.cache
def _code_version() -> str:
    from importlib.metadata import version

    return version("trailblazer")


_NO_COUNTS = Counts()

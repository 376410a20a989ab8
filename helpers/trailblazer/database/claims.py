"""The exclusive right to work on a run: taken, kept alive, fenced, settled and released in Postgres."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from trailblazer.database.dead_holders import release_of_the_dead as release_of_the_dead
from trailblazer.database.driver import Connection, fetch
from trailblazer.database.embedded import ModelKey, key_parameters
from trailblazer.database.statements import statement
from trailblazer.errors import StaleClaim
from trailblazer.processes.identity import Identity, pid_namespace

Phase = Literal["chunk", "embed"]
PHASES: tuple[Phase, ...] = ("chunk", "embed")
SETTLED: Mapping[Phase, str] = {"chunk": "chunked", "embed": "embedded"}

NOTHING_KEPT = "Nothing of that attempt was kept; there is nothing to repair."
PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """One run held for one phase; the attempt number is the fencing token that every statement names."""

    run_id: str
    phase: Phase
    attempt: int
    holder: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What a completed run has. None leaves the number as it was."""

    total_docs: int | None = None
    total_chunks: int | None = None
    embedded_chunks: int | None = None


@dataclass(frozen=True, slots=True)
class HeldBy:
    """The state of a run that could not be claimed, and its holder, if any.

    Its text follows the words "the run is". The status of a run that the table lacks is `unknown`.
    """

    run_id: str
    status: str
    attempt: int = 0
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    failure_reason: str | None = None
    next_attempt_at: datetime | None = None

    def __str__(self) -> str:
        if self.claimed_by is not None and self.claimed_at is not None:
            return f"held by {self.claimed_by} since {self.claimed_at:%Y-%m-%d %H:%M:%S %Z} (attempt {self.attempt})"
        if self.status == "failed" and self.next_attempt_at is not None:
            return f"failed ({self.failure_reason}) and waits until {self.next_attempt_at:%Y-%m-%d %H:%M:%S %Z}"
        if self.status == "failed":
            return f"failed ({self.failure_reason}) and waits for a reset"
        return f"{self.status}, and nobody holds it"


@dataclass(frozen=True, slots=True)
class Step:
    """What one statement did, by run id: claims lost, runs taken, and runs that could not be taken."""

    lost: dict[str, HeldBy]
    taken: dict[str, Claim]
    refused: dict[str, HeldBy]


@dataclass(frozen=True, slots=True)
class Terms:
    """How runs are claimed: for which phase, by which holder (host/pid), for how many seconds.

    With `again` any run without a holder is taken, in any state. `process` identifies the holder's process, so that
    other processes of its host can see that it is dead. With a `key` an embedded run without vectors of that model
    waits for embedding as well.
    """

    phase: Phase
    holder: str
    ttl_seconds: float
    again: bool = False
    process: Identity | None = None
    key: ModelKey | None = None


def take(connection: Connection, wanted: Sequence[str], terms: Terms) -> dict[str, Claim | HeldBy]:
    """Claim runs by their ids and return the claim of each, or the state of a run that could not be claimed.

    A run is taken when it waits for the phase. A failed run waits once its pause is over, and a claimed run once its
    claim has expired. With `again` other runs are taken too, and a run that the table lacks is added.
    """
    step = settle_and_take(connection, [], {}, wanted, terms)
    answers: dict[str, Claim | HeldBy] = {**step.taken, **step.refused}
    rest = sorted(set(wanted) - answers.keys())
    if rest and terms.again:
        rows = connection.execute(statement("add_and_take"), _taking(rest, terms)).fetchall()
        answers |= {run_id: Claim(run_id, terms.phase, attempt, terms.holder) for run_id, attempt in rows}
        if others := [run_id for run_id in rest if run_id not in answers]:  # another process added them meanwhile
            found = fetch(connection, "standing_of", HeldBy, {"run_ids": others})
            answers |= {held.run_id: held for held in found}
    return answers | {run_id: HeldBy(run_id, "unknown") for run_id in rest if run_id not in answers}


def settle_and_take(
    connection: Connection, finished: Sequence[Claim], counts: Mapping[str, Counts], wanted: Sequence[str], terms: Terms
) -> Step:
    """Complete claims and claim other runs in one statement: one round trip and one commit instead of two.

    A lost claim changes nothing, and the other claims are settled all the same. No run may be both finished and wanted.
    A wanted run that is neither taken nor refused is unknown to the table.
    """
    parameters = _settling(finished, counts) | _taking(sorted(set(wanted)), terms)
    row = connection.execute(statement("settle_and_take"), parameters).fetchone()
    settled, taken, refused = row or (None, None, None)
    return Step(
        _lost(connection, finished, set(settled or ())),
        {run_id: Claim(run_id, terms.phase, attempt, terms.holder) for run_id, attempt in (taken or {}).items()},
        {document["run_id"]: _held_by(document) for document in refused or ()},
    )


def heartbeat(connection: Connection, claims: Sequence[Claim], ttl_seconds: float) -> list[str]:
    """Move the expiry of claims forward and return the runs whose claims are lost.

    It never waits for a worker that has fenced the run in a long transaction: that transaction keeps the claim safe.
    """
    rows = connection.execute(statement("move_expiry"), _naming(claims) | {"ttl": timedelta(seconds=ttl_seconds)})
    held = {row[0] for row in rows}
    return [claim.run_id for claim in claims if claim.run_id not in held]


def fence(connection: Connection, claims: Sequence[Claim], ttl_seconds: float) -> None:
    """Lock claimed runs until the caller's transaction ends; a lost claim is a StaleClaim.

    Call it last before the commit: then the runs are locked for the shortest time.
    """
    rows = connection.execute(statement("fence_claims"), _naming(claims) | {"ttl": timedelta(seconds=ttl_seconds)})
    _refuse_lost(connection, claims, {row[0] for row in rows})


def release(connection: Connection, claims: Sequence[Claim]) -> list[str]:
    """Release claims and return the runs whose claims are lost. Each released run has its former state again."""
    released = {row[0] for row in connection.execute(statement("release_claims"), _naming(claims))}
    return [claim.run_id for claim in claims if claim.run_id not in released]


def release_of(connection: Connection, holders: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    """Release the claims of holders that are known to be gone, on these runs; return the released runs, sorted."""
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
    """Settle a claim as failed, with its reason; a lost claim changes nothing and is a StaleClaim.

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
    _refuse_lost(connection, [claim], {row[0] for row in rows})


def stale_claim(claim: Claim, held: HeldBy) -> StaleClaim:
    """Return the refusal of a lost claim, with the present state of its run."""
    return StaleClaim(
        f"attempt {claim.attempt} at {claim.run_id} has lost its claim: the run is {held}",
        NOTHING_KEPT,
    )


def not_held(run_id: str) -> StaleClaim:
    """Return the refusal of a lost claim, without the present holder of its run."""
    return StaleClaim(f"the claim on {run_id} was lost", NOTHING_KEPT)


def _naming(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"run_ids": [claim.run_id for claim in claims], "attempts": [claim.attempt for claim in claims]}


def _taking(wanted: Sequence[str], terms: Terms) -> dict[str, Any]:
    if terms.phase not in PHASES:
        raise ValueError(f"{terms.phase!r} is not a phase: {', '.join(PHASES)}")
    known = terms.process if terms.process and terms.process.boot and pid_namespace() else None
    return {
        "wanted": list(wanted),
        "phase": terms.phase,
        "holder": terms.holder,
        "ttl": timedelta(seconds=terms.ttl_seconds),
        "again": terms.again,
        "ticks": known.ticks if known else None,
        "boot": known.boot if known else None,
        "namespace": pid_namespace() if known else None,
        "code_version": _code_version(),
        **key_parameters(terms.key),
    }


def _settling(claims: Sequence[Claim], counts: Mapping[str, Counts]) -> dict[str, Any]:
    known = ((claim, counts.get(claim.run_id, _NO_COUNTS)) for claim in claims)
    return {
        "finished": {
            claim.run_id: [claim.attempt, count.total_docs, count.total_chunks, count.embedded_chunks]
            for claim, count in known
        }
    }


def _lost(connection: Connection, claims: Sequence[Claim], settled: set[str]) -> dict[str, HeldBy]:
    """Return the present state of each run whose claim is lost."""
    lost = [claim.run_id for claim in claims if claim.run_id not in settled]
    found = fetch(connection, "standing_of", HeldBy, {"run_ids": lost}) if lost else []
    return {run_id: HeldBy(run_id, "unknown") for run_id in lost} | {held.run_id: held for held in found}


def _refuse_lost(connection: Connection, claims: Sequence[Claim], settled: set[str]) -> None:
    known = {claim.run_id: claim for claim in claims}
    for run_id, held in _lost(connection, claims, settled).items():
        raise stale_claim(known[run_id], held)


def _held_by(document: Mapping[str, Any]) -> HeldBy:
    """Return the state of a run from the statement's JSON, whose moments are text."""
    moments = {
        name: datetime.fromisoformat(document[name]) if document[name] else None
        for name in ("claimed_at", "next_attempt_at")
    }
    return HeldBy(**{**document, **moments})


@functools.cache
def _code_version() -> str:
    from importlib.metadata import version

    return version("trailblazer")


_NO_COUNTS = Counts()

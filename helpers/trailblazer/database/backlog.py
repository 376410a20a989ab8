"""The table of all runs: which runs wait, how many they are, and what a reset changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from trailblazer.database.dead_holders import release_of_the_dead
from trailblazer.database.driver import LONG_WAIT_SECONDS, Connection, fetch
from trailblazer.database.embedded import ModelKey, key_parameters
from trailblazer.database.statements import statement

Scope = Literal["processed", "embeddings", "all"]

STATUSES = ("normalized", "chunking", "chunked", "embedding", "embedded", "failed", "reset")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs are chosen: by source, by a glob of the id, by the time of normalising."""

    source: str | None = None
    glob: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements; `until` itself lies outside the span."""
        pattern = None if self.glob is None else _pattern(self.glob)
        return {"source": self.source, "pattern": pattern, "since": self.since, "until": self.until}


EVERY_RUN = Filters()


@dataclass(frozen=True, slots=True)
class Run:
    """All columns of a run. `waiting_for` is the phase that the run waits for, or the phase of its claim."""

    run_id: str
    source: str
    status: str
    waiting_for: str | None
    attempt: int
    normalized_at: datetime
    chunk_started_at: datetime | None
    chunk_completed_at: datetime | None
    embed_started_at: datetime | None
    embed_completed_at: datetime | None
    total_docs: int | None
    total_chunks: int | None
    embedded_chunks: int | None
    claimed_by: str | None
    claimed_at: datetime | None
    claim_expires_at: datetime | None
    failed_phase: str | None
    failure_reason: str | None
    failed_attempts: int
    next_attempt_at: datetime | None
    code_version: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """The runs that wait: how many, the first and last moment of normalising, the first ten ids."""

    total: int
    first_normalized_at: datetime | None
    last_normalized_at: datetime | None
    sample: list[str]


@dataclass(frozen=True, slots=True)
class ResetCounts:
    """What a reset or a deletion changed, or would change: runs that wait again or are gone, and rows deleted."""

    runs: int
    embeddings: int
    chunks: int
    documents: int


@dataclass(frozen=True, slots=True)
class _Rows:
    embeddings: int
    chunks: int
    documents: int


def upsert_run(
    connection: Connection, run_id: str, *, source: str | None = None, total_docs: int | None = None
) -> None:
    """Let a run that was just normalised wait for chunking, in whatever state it was.

    Its history stays. An attempt that works on the former text loses its claim. Without a source an old row keeps its
    source, and a new row has the source `unknown`.
    """
    connection.execute(statement("upsert_run"), {"run_id": run_id, "source": source, "total_docs": total_docs})


def reset(connection: Connection, scope: Scope, filters: Filters = EVERY_RUN, *, dry_run: bool = False) -> ResetCounts:
    """Let runs wait again, claimed or not, and return what changed.

    processed: the runs are chunked and embedded again, and nothing is deleted. embeddings: the vectors are deleted, and
    the runs are embedded again from their chunks. all: vectors, chunks and documents are deleted. With `dry_run`
    nothing is changed and the same numbers are returned.
    """
    with connection.waiting_up_to(LONG_WAIT_SECONDS), connection.transaction():
        parameters = {"keeps_chunks": scope == "embeddings", **filters.parameters()}
        chosen = connection.execute(statement("runs_in_scope" if dry_run else "reset_runs"), parameters)
        run_ids = [row[0] for row in chosen]
        rows = fetch(connection, "count_rows_of_runs", _Rows, {"run_ids": run_ids})[0]
        deletes_vectors, deletes_texts = scope != "processed", scope == "all"
        if not dry_run:
            _delete(connection, run_ids, deletes_vectors, deletes_texts)
    return ResetCounts(
        len(run_ids),
        rows.embeddings if deletes_vectors else 0,
        rows.chunks if deletes_texts else 0,
        rows.documents if deletes_texts else 0,
    )


def forget(connection: Connection, run_ids: Sequence[str], *, dry_run: bool = False) -> ResetCounts:
    """Delete all rows of runs, claimed or not, and return how many rows were deleted.

    Documents, chunks and vectors are deleted even if the table of runs lacks the run. With `dry_run` nothing is changed
    and the same numbers are returned. The next backfill adds a run again whose folder still exists.
    """
    given = {"run_ids": list(run_ids)}
    with connection.waiting_up_to(LONG_WAIT_SECONDS), connection.transaction():
        runs = len(connection.execute(statement("known_runs" if dry_run else "forget_runs"), given).fetchall())
        rows = fetch(connection, "count_rows_of_runs", _Rows, given)[0]
        if not dry_run:
            _delete(connection, given["run_ids"], vectors=True, texts=True)
    return ResetCounts(runs, rows.embeddings, rows.chunks, rows.documents)


def _delete(connection: Connection, run_ids: Sequence[str], vectors: bool, texts: bool) -> None:
    if vectors:
        connection.execute(statement("delete_vectors_of_runs"), {"run_ids": run_ids})
        connection.execute(statement("delete_models_of_runs"), {"run_ids": run_ids})
    if texts:
        connection.execute(statement("delete_chunks_of_runs"), {"run_ids": run_ids})
        connection.execute(statement("delete_documents_of_runs"), {"run_ids": run_ids})


def totals(connection: Connection, filters: Filters = EVERY_RUN) -> dict[str, int]:
    """Return how many runs are in each state, every state named."""
    found: dict[str, int] = dict(connection.execute(statement("count_statuses"), filters.parameters()).fetchall())
    return {status: found.get(status, 0) for status in STATUSES}


def measure_backlog(
    connection: Connection,
    phases: Sequence[str] = ("chunk", "embed"),
    filters: Filters = EVERY_RUN,
    *,
    key: ModelKey | None = None,
) -> Backlog:
    """Measure the runs that wait for any of these phases, claimed or not.

    With a `key` an embedded run without vectors of that model waits for embedding as well.
    """
    given = {"phases": list(phases), **filters.parameters(), **key_parameters(key)}
    return fetch(connection, "measure_backlog", Backlog, given)[0]


def waiting_runs(
    connection: Connection,
    phases: Sequence[str] = ("chunk", "embed"),
    filters: Filters = EVERY_RUN,
    *,
    limit: int | None = None,
    key: ModelKey | None = None,
) -> list[str]:
    """Return the ids of the runs that wait for any of these phases (see `measure_backlog`), in order."""
    given = {"phases": list(phases), "limit": limit, **filters.parameters(), **key_parameters(key)}
    return [row[0] for row in connection.execute(statement("waiting_runs"), given)]


def unheld_runs(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Return those of the runs without a valid claim, in any state; a process of this host that is dead has none."""
    release_of_the_dead(connection, run_ids)
    return [row[0] for row in connection.execute(statement("unheld_runs"), {"run_ids": list(run_ids)})]


def list_runs(
    connection: Connection,
    filters: Filters = EVERY_RUN,
    *,
    statuses: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Run]:
    """Return runs in the order of their ids."""
    given = {"statuses": None if statuses is None else list(statuses), "limit": limit}
    return fetch(connection, "list_runs", Run, given | filters.parameters())


def show_run(connection: Connection, run_id: str) -> Run | None:
    """Return one run, or None when the table lacks it."""
    return show_runs(connection, [run_id]).get(run_id)


def show_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, Run]:
    """Return runs by their ids, in order, without those that the table lacks."""
    found = fetch(connection, "runs_by_id", Run, {"run_ids": list(run_ids)})
    return {run.run_id: run for run in found}


def _pattern(glob: str) -> str:
    """Return a shell pattern (`*`, `?`, `[a-z]`, `[!x]`) as Postgres' regular expression for a whole run id."""
    parts = re.split(r"(\*|\?|\[[!^]?\]?[^\]]*\])", glob)
    return "^(?:" + "".join(_piece(part) for part in parts) + ")$"


def _piece(part: str) -> str:
    if part in {"*", "?"}:
        return {"*": ".*", "?": "."}[part]
    if len(part) > 2 and part[0] == "[" and part[-1] == "]":
        inside = part[1:-1].replace("\\", "\\\\")
        return "[^" + inside[1:] + "]" if inside[0] == "!" else f"[{inside}]"
    return re.sub(r"([^\w])", r"\\\1", part)

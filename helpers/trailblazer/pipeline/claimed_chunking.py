"""Chunking under a claim, so that the table of runs follows: one process chunks a run, and its state moves (B2)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from trailblazer.config import Config
from trailblazer.database.claims import Counts
from trailblazer.database.connection import connect
from trailblazer.database.holdings import Holdings
from trailblazer.errors import AlreadyRunning, DocumentInvalid, Trouble
from trailblazer.pipeline.chunk import ChunkReport, chunk_run
from trailblazer.pipeline.documents import run_folder

_HAS_CHUNKS = ("chunked", "embedding", "embedded")


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claim on a run; `is_waiting` says that the run waited for its chunks when it was claimed."""

    attempt: int
    is_waiting: bool


@contextlib.contextmanager
def opened_holdings(config: Config) -> Iterator[Holdings]:
    """Yield the claims of this process, and close them at the end of the block."""
    holdings = Holdings(
        lambda: connect(config), 60 * config["backlog.claim_ttl_minutes"], config["backlog.max_attempts"]
    )
    try:
        yield holdings
    finally:
        holdings.close()


def chunk_claimed(holdings: Holdings, config: Config, rid: str, *, force: bool) -> ChunkReport:
    """Claim a run for chunking, chunk it and complete the claim; a run with the right chunks is left as it was.

    A run that somebody else holds is refused with AlreadyRunning (exit 7), which names the holder. A run whose
    documents cannot be read has failed; after any other trouble it waits as before.
    """
    run_folder(config.places, rid)
    claimed = _claim(holdings, rid)
    try:
        report = chunk_run(config.places, config, rid, force=force)
    except BaseException as error:
        reason = error.what if isinstance(error, DocumentInvalid) else None
        with contextlib.suppress(Trouble):  # the error itself must not be hidden
            holdings.give_back(rid, claimed.attempt, failed=reason)
        raise
    if report.changed or claimed.is_waiting:
        holdings.complete(rid, Counts(total_docs=report.documents, total_chunks=report.chunks))
    else:
        holdings.give_back(rid, claimed.attempt, failed=None)
    return report


def _claim(holdings: Holdings, rid: str) -> _Claimed:
    run = holdings.show(rid)
    attempt = holdings.claim(rid, "chunk", again=True)
    if isinstance(attempt, str):
        raise AlreadyRunning(f"{rid} is held by {attempt}", "Wait until it is released or its claim expires.")
    has_chunks = run is not None and (run.status in _HAS_CHUNKS or run.failed_phase == "embed")
    return _Claimed(attempt, is_waiting=not has_chunks)

"""Chunking under a claim, so that the table of runs follows: one process chunks a run, and its state moves (B2)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trailblazer.config import Config
from trailblazer.database.claims import Counts, HeldBy
from trailblazer.database.connection import connect
from trailblazer.database.holdings import Holdings
from trailblazer.errors import AlreadyRunning, DocumentInvalid, Trouble
from trailblazer.pipeline.chunk import ChunkReport, chunk_run
from trailblazer.pipeline.documents import run_folder

_HAS_CHUNKS = ("chunked", "embedding", "embedded")


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
    before = holdings.show([rid]).get(rid)
    claim = holdings.take([rid], "chunk", again=True)[rid]
    if isinstance(claim, HeldBy):
        raise AlreadyRunning(f"{rid} is {claim}", "Wait until it is released or its claim expires.")
    try:
        report = chunk_run(config.places, config, rid, force=force)
    except BaseException as error:
        reason = error.what if isinstance(error, DocumentInvalid) else None
        with contextlib.suppress(Trouble):  # the error itself must not be hidden
            if reason is None:
                holdings.release([rid])
            else:
                holdings.fail(rid, claim.attempt, reason)
        raise
    has_chunks = before is not None and (before.status in _HAS_CHUNKS or before.failed_phase == "embed")
    if has_chunks and not report.changed:
        holdings.release([rid])
    elif lost := holdings.settle({rid: Counts(report.documents, report.chunks)}, phase="chunk"):
        raise lost[rid]
    return report

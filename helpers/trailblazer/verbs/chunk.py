"""Cut the documents of runs into chunks under the hard token cap: var/runs/RID/chunk/chunks.ndjson.

trailblazer chunk
trailblazer chunk run=RID"""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.pipeline.chunk import ChunkReport


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the runs and what overrides the configuration."""
    parser.add_argument(
        "--run", action="append", metavar="RID", help="a run; repeat it for several; without it, all runs"
    )
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the hard cap of a chunk (chunk.max_tokens)")
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="tokens that a chunk repeats of the one before (chunk.overlap)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    parser.add_argument("--force", action="store_true", help="also cut runs that are unchanged")


def run(words: argparse.Namespace) -> int:
    """Chunk each run under a claim and print one line about it; the exit code says whether all went well.

    A run that fails (6) or that somebody else holds (7) does not stop the others; a database that is away (8) does.
    """
    from dataclasses import asdict

    from trailblazer.config import load_config
    from trailblazer.errors import AlreadyRunning, PlanUnusable, ServiceDown, StorageTrouble, Trouble
    from trailblazer.events import Console
    from trailblazer.pipeline.claimed_chunking import chunk_claimed, opened_holdings
    from trailblazer.pipeline.documents import all_runs
    from trailblazer.reports.answers import print_document

    config = load_config({"chunk.max_tokens": words.max_tokens, "chunk.overlap": words.overlap})
    say = Console().say
    runs = sorted(set(words.run)) if words.run else all_runs(config.places)
    if not runs:
        raise PlanUnusable(f"there are no runs in {config.places.runs}", "Make some: trailblazer normalize --sample")
    codes = set()
    with opened_holdings(config) as holdings:
        for rid in runs:
            try:
                report = chunk_claimed(holdings, config, rid, force=words.force)
            except Trouble as trouble:
                is_for_all = isinstance(trouble, ServiceDown) and not isinstance(trouble, StorageTrouble)
                if len(runs) == 1 or is_for_all:
                    raise
                codes.add(7 if isinstance(trouble, AlreadyRunning) else 6)
                say(f"chunk: {rid}: {trouble.what}", "red")
            else:
                say(_line_of(report))
                if words.json:
                    print_document("chunked_run", asdict(report), is_line=True)
    return min(codes, default=0)


def _line_of(report: ChunkReport) -> str:
    from trailblazer.plain import counted

    blank = f", {counted(report.blank, 'document')} without text" if report.blank else ""
    state = "" if report.changed else " (unchanged)"
    size = f"{counted(report.chunks, 'chunk')}, {counted(report.tokens, 'token')}"
    return f"chunk: {report.rid}: {size}{blank}{state}"

"""Cut the documents of runs into chunks under the hard token cap: var/runs/RID/chunk/chunks.ndjson."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the runs and what overrides the configuration."""
    parser.add_argument(
        "--run", action="append", metavar="RID", help="a run; repeat it for several; without it, all runs"
    )
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the hard cap of a chunk (chunk.max_tokens)")
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="tokens that a chunk repeats of the one before (chunk.overlap)"
    )
    parser.add_argument("--force", action="store_true", help="also cut runs that are unchanged")


def run(words: argparse.Namespace) -> int:
    """Chunk each run and print one line about it. A run that fails does not stop the others (exit code 6)."""
    from trailblazer.config import load_config
    from trailblazer.errors import PlanUnusable, Trouble
    from trailblazer.events import Words
    from trailblazer.pipeline.chunk import chunk_run
    from trailblazer.pipeline.documents import all_runs

    config = load_config({"chunk.max_tokens": words.max_tokens, "chunk.overlap": words.overlap})
    places, say = config.places, Words().say
    runs = sorted(set(words.run)) if words.run else all_runs(places)
    if not runs:
        raise PlanUnusable(f"there are no runs in {places.runs}", "Make some: trailblazer normalize --sample")
    failed = 0
    for rid in runs:
        try:
            report = chunk_run(places, config, rid, force=words.force)
        except Trouble as trouble:
            if len(runs) == 1:
                raise
            failed += 1
            say(f"chunk: {rid}: {trouble.what}", "red")
            continue
        blank = f", {report.blank} documents without text" if report.blank else ""
        state = "" if report.changed else " (unchanged)"
        say(f"chunk: {rid}: {report.chunks:,} chunks, {report.tokens:,} tokens{blank}{state}")
    return 6 if failed else 0

"""Work through everything that is normalised and unprocessed: chunk it, embed it.

  trailblazer run                             all that waits
  trailblazer run runs='2026-*' limit=100     some of it
  trailblazer run dry-run                     how many, and the first ten

Every other `trailblazer run` shares the work.

It is a dispatch with the backlog as its plan: same folder, journal and proof. A run that another process holds waits
until the end: it is done by then, or taken over when the claim has expired (backlog.claim_ttl_minutes)."""

from __future__ import annotations

import argparse

from trailblazer.verbs.dispatch import add_embedding_words, carry_out_request


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the words of a run through the backlog."""
    what = parser.add_argument_group("which runs")
    what.add_argument("--phases", metavar="P,P", default="chunk,embed", help="chunk, embed or both")
    what.add_argument("--runs", metavar="GLOB", help="only runs whose id matches: runs='2026-*'")
    what.add_argument("--source", metavar="S", help="only runs of this source")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N")
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="say how many and the first ten, and do nothing")
    how.add_argument("--no-wait", action="store_true", help="end without the runs that others hold")
    how.add_argument("--force", action="store_true", help="embed the chunks anew whose vectors are still good")
    add_embedding_words(parser, how)


def run(words: argparse.Namespace) -> int:
    """Carry the backlog out and return the exit code of the house."""
    from trailblazer.lanes.embed.request import BACKLOG, EmbedRequest, read_phases

    said = {name: value for name, value in vars(words).items() if name != "quiet"}
    said["phases"] = read_phases(words.phases)
    return carry_out_request(EmbedRequest(plan=BACKLOG, skip_unchanged=True, **said))

"""Work through everything that is normalised and unprocessed: chunk it, embed it.

  trailblazer run                             all that waits, shared with every other `trailblazer run`
  trailblazer run runs='2026-*' limit=100     some of it
  trailblazer run dry-run                     how many, and the first ten

It is a dispatch with the backlog as its plan: same folder, journal and proof. A run that another process holds waits
until the end: it is done by then, or taken over when the claim has expired (backlog.claim_ttl_minutes)."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the words of a run through the backlog."""
    what = parser.add_argument_group("which runs")
    what.add_argument("--phases", metavar="P,P", default="chunk,embed", help="chunk, embed or both (both)")
    what.add_argument("--runs", metavar="GLOB", help="only runs whose id matches: runs='2026-*'")
    what.add_argument("--source", metavar="S", help="only runs of this source")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N")
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="say how many and the first ten, and do nothing")
    how.add_argument("--no-wait", action="store_true", help="end without the runs that others hold")
    how.add_argument("--halt", metavar="RULE", help="stop by a rule: soon,fail=N  soon,fail=P%%  soon,same=N")
    how.add_argument("--force", action="store_true", help="embed the chunks anew whose vectors are still good")
    how.add_argument("--notes", metavar="TEXT", default="", help="words for the manifest")
    how.add_argument("--provider", help="local, minilm or openai")
    how.add_argument("--model", help="the provider's model")
    how.add_argument("--dimension", type=int, metavar="N", help="numbers in a vector")
    how.add_argument("--batch-size", type=int, metavar="N", help="texts per call of the provider")
    how.add_argument("--workers", type=int, metavar="N", help="worker processes")
    how.add_argument("--retries", type=int, metavar="N", help="more attempts when the provider or database was away")
    how.add_argument("--fail-fast", type=int, metavar="N", help="stop when the first N all fail; 0 is never")
    seen = parser.add_argument_group("what is shown")
    seen.add_argument("--monitor-interval", type=float, metavar="S", default=10, help="seconds between lines; 0 is off")
    seen.add_argument("--progress-every", type=int, metavar="N", help="chunks between progress events of one run")


def run(words: argparse.Namespace) -> int:
    """Carry the backlog out and return the exit code of the house."""
    from trailblazer.lanes.embed.request import BACKLOG, EmbedRequest, read_phases
    from trailblazer.verbs.dispatch import carry_out_request

    said = {name: value for name, value in vars(words).items() if name != "quiet"}
    said["phases"] = read_phases(words.phases)
    return carry_out_request(EmbedRequest(plan=BACKLOG, skip_unchanged=True, **said))

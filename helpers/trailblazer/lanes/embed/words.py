"""What is said of a dispatch of runs when it begins and when it ends (E8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trailblazer.config import Config
from trailblazer.lanes.embed.bundle import Totals, read_totals
from trailblazer.lanes.embed.runs import Step
from trailblazer.pipeline.preflight import cost_of, has_price
from trailblazer.record.manifest import Seed
from trailblazer.record.outcomes import FAILED, GOOD, Refusal, Status
from trailblazer.record.standing import Standing

UNRUN = frozenset({None, Status.CANCELLED})


def totals_of_bundle(folder: Path, config: Config, seed: Seed) -> Iterator[str]:
    """Yield the totals of a bundle, and a new estimate where the dispatch embeds with something else (E8)."""
    totals = read_totals(folder)
    named = {"ready": totals.ready, "blocked": totals.blocked, "estTokens": totals.tokens, "estCostUSD": totals.cost}
    known = [f"{name}: {value}" for name, value in named.items() if value is not None]
    if known:
        yield f"Bundle totals: {', '.join(known)}"
    own = (seed.provider, seed.model, seed.dimension)
    if totals.made_for not in {None, own}:
        yield f"The bundle was made for {_named(totals.made_for)}. {_estimate(totals, config, seed)}"


def _named(identity: Sequence[object] | None) -> str:
    return "/".join(str(part) for part in identity or ())


def _estimate(totals: Totals, config: Config, seed: Seed) -> str:
    own = _named((seed.provider, seed.model, seed.dimension))
    if not has_price(config, seed.model):
        return f"Warning: embed.prices has no price for {own}: nobody knows what it costs"
    if totals.tokens is None:
        return f"Warning: the bundle does not say what {own} costs"
    return f"With {own}: estTokens: {totals.tokens}, estCostUSD: {cost_of(config, seed.model, totals.tokens)}"


def closing_words(steps: Sequence[Step], standing: Standing) -> Iterator[str]:
    """Yield the counts in the form of E8, and what was spent, whatever ended the dispatch."""
    chunked = [index for index, step in enumerate(steps) if step.phase == "chunk"]
    embedded = [index for index, step in enumerate(steps) if step.phase == "embed"]
    if chunked:
        statuses = [standing.of(index) for index in chunked]
        good, failed = sum(s in GOOD for s in statuses), sum(s in FAILED for s in statuses)
        yield f"Chunked: {good}/{len(chunked)}, Errors: {failed}/{len(chunked)}"
    if embedded:
        yield _counts(embedded, standing)
        chunks, tokens, cost = (standing.usage.get(name, 0) for name in ("chunks", "tokens", "estCostUSD"))
        yield f"Embedded: {chunks:.0f} chunks, {tokens:.0f} tokens, US$ {cost:.4f}"
    if standing.counts[Status.UNCHANGED] == standing.planned:
        yield "Nothing has changed since these runs were embedded."
    if standing.refused[Refusal.HELD] == standing.planned:
        yield "Other processes hold every run: this dispatch did nothing."


def _counts(indices: Sequence[int], standing: Standing) -> str:
    """Return the line of E8: queued are the runs that were sent to a worker, whatever became of them."""
    queued = skipped = unchanged = held = failed = stopped = unrun = 0
    for index in indices:
        status = standing.of(index)
        is_held = standing.refusal_of(index) is Refusal.HELD
        held += is_held
        skipped += status is Status.SKIPPED and not is_held
        unchanged += status is Status.UNCHANGED
        failed += status in FAILED
        has_begun = standing.attempt_of(index) > 0
        stopped += status in UNRUN and has_begun
        unrun += status in UNRUN and not has_begun
        queued += status is Status.SUCCESS or (has_begun and status not in {Status.SKIPPED, Status.UNCHANGED})
    more = {"Skipped (held)": held, "Interrupted": stopped, "Not run": unrun}
    return (
        f"Queued: {queued}, Skipped (preflight): {skipped}, Skipped (unchanged): {unchanged}, "
        f"Errors: {failed}/{len(indices)}" + "".join(f", {name}: {count}" for name, count in more.items() if count)
    )


def lines_of_unrun(steps: Sequence[Step], standing: Standing) -> Iterator[str]:
    """Yield a line for each run that has none yet: every run of a plan has its line in dispatcher.out (E7)."""
    for index, step in enumerate(steps):
        if standing.of(index) in UNRUN:
            yield f"{'Interrupted' if standing.attempt_of(index) else 'Not run'}: {step.run}"

"""What the replies of a worker mean for the runs that it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trailblazer.database.claims import Counts, Phase
from trailblazer.dispatch.lane import Held
from trailblazer.errors import GateClosed, ServiceDown, StaleClaim, StorageTrouble, Trouble
from trailblazer.pipeline.messages import Reply
from trailblazer.places.workers import WorkerEnded
from trailblazer.record.outcomes import Again, Item, Outcome, Refusal, Refused, Status, Usage, outcome_of


def usage_of(reply: Reply | None) -> Usage:
    """Return what a task has paid for, nothing when it has made no vector."""
    if reply is None or (not reply.embedded and reply.kind == "trouble"):
        return {}
    return {"tokens": reply.tokens, "chunks": reply.embedded, "estCostUSD": reply.cost}


def refusal(item: Item, reply: Reply) -> Refused | None:
    """Return why a gate refuses a run, or None; a service that did not answer is raised."""
    try:
        reply.raise_trouble()
    except (ServiceDown, StorageTrouble):
        raise
    except Trouble as trouble:  # a check that cannot be made refuses the item (E7)
        return Refused(item, trouble.what)
    if reply.refused:
        return Refused(item, reply.refused)
    return Refused(item, "nothing changed", status=Status.UNCHANGED) if reply.unchanged else None


def ended(
    waiting: Sequence[Held], trouble: WorkerEnded | ServiceDown, newest: Mapping[str, Reply], *, is_alone: bool
) -> Iterator[tuple[Held, Outcome | Again]]:
    """Yield what becomes of runs whose worker ended; `newest` says how far each was.

    Where the worker worked on one run alone (`is_alone`), the first has the outcome. Else nobody knows which run ended
    it, and each goes back to the queue.
    """
    outcome = outcome_of(trouble)
    if isinstance(trouble, WorkerEnded):
        status = Status.TIMEOUT if trouble.why == "timeout" else Status.CANCELLED
        outcome = Outcome(status, trouble.what)
    for number, one in enumerate(waiting):
        usage = usage_of(newest.get(one.item.id))
        if outcome.status is Status.CANCELLED or (number == 0 and is_alone):
            yield one, replace(outcome, usage=usage)
        elif is_alone:
            yield one, Again(0, f"the worker ended before it began: {trouble.what}", usage)
        else:
            yield one, Again(0, f"the worker ended while it did several at once: {trouble.what}", usage)


def failure(reply: Reply) -> Outcome:
    """Return the outcome of a run that failed, with what was paid for until then."""
    return replace(_reason(reply), usage=usage_of(reply))


def _reason(reply: Reply) -> Outcome:
    try:
        reply.raise_trouble()
    except StaleClaim as stale:
        return Outcome(Status.SKIPPED, stale.what, Refusal.HELD)
    except GateClosed as closed:
        return Outcome(Status.SKIPPED, closed.what, Refusal.GATE)
    except StorageTrouble:
        raise
    except Trouble as trouble:
        return outcome_of(trouble)
    return Outcome(Status.ERROR, "the worker gave no outcome")


def counts_of(phase: Phase, reply: Reply) -> Counts:
    """Return what the table of runs keeps of a phase that is done."""
    if phase == "chunk":
        return Counts(total_docs=reply.documents, total_chunks=reply.chunks)
    return Counts(total_docs=reply.documents, total_chunks=reply.chunks, embedded_chunks=reply.chunks)

"""Runs of the backlog: chunked when they wait for that, then embedded, and taken only while they wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trailblazer.config import Config
from trailblazer.database.backlog import Run
from trailblazer.database.claims import Claim, Counts, Phase
from trailblazer.errors import StaleClaim, Trouble
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.processes.children import Children
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import AttemptEnded, Item, Outcome, Refusal, Status

Announce = Callable[[str, str, int], None]


class BacklogLane(EmbedLane):
    """The answers for runs that the table says are waiting. `announce` is told of each claim: run, phase, attempt."""

    def __init__(
        self,
        config: Config,
        flags: Mapping[str, Any],
        record: Record,
        children: Children,
        *,
        only_changed: bool,
        phases: Sequence[str],
        announce: Announce,
    ) -> None:
        super().__init__(config, flags, record, children, only_changed=only_changed)
        self._phases, self._announce = tuple(phases), announce
        self._failed_here: set[str] = set()

    def gate(self, item: Item) -> Outcome | None:
        """Chunk what waits for chunking, since the gate asks about chunks; then preflight (B2)."""
        run = self._holdings.show([item.id]).get(item.id)
        if run is None:
            return Outcome(Status.SKIPPED, "the table knows it no longer", Refusal.GATE)
        is_again = item.id in self._failed_here
        if not is_again and (passed := self._passed_over(run)):
            return passed
        if (run.failed_phase if is_again and run.failed_phase else run.waiting_for) == "chunk":
            refused = self._chunk(item)
            if refused is not None or "embed" not in self._phases:
                return refused or Outcome(Status.SUCCESS, "chunked")
        reply = self._ask("gate", item, 0, only_changed=False)
        return Outcome(Status.SKIPPED, reply["refused"], Refusal.GATE) if reply["refused"] else None

    def claim(self, item: Item) -> int | Outcome:
        """Claim the run while it waits for embedding; what another process did meanwhile is not done again."""
        claimed = self._take(item, "embed")
        if isinstance(claimed, int):
            self._announce(item.id, "embed", claimed)
        return claimed

    def _chunk(self, item: Item) -> Outcome | None:
        """Chunk the run under a claim of its own, and return why that was not done, if so."""
        if not self._config.places.run(item.id).is_dir():
            return Outcome(Status.SKIPPED, "its folder is not on this machine", Refusal.GATE)
        number = self._take(item, "chunk")
        if isinstance(number, Outcome):
            return number
        self._announce(item.id, "chunk", number)
        try:
            done = self._ask("chunk", item, number)
            counts = Counts(total_docs=done["documents"], total_chunks=done["chunks"])
            if lost := self._holdings.settle({item.id: counts}):
                raise lost[item.id]
        except StaleClaim as stale:
            return Outcome(Status.SKIPPED, stale.what, Refusal.HELD)
        except Trouble as trouble:
            is_cancelled = isinstance(trouble, AttemptEnded) and trouble.status is Status.CANCELLED
            with contextlib.suppress(Trouble):  # the run's own reason must not be hidden
                self.give_back(item, number, Outcome(Status.CANCELLED if is_cancelled else Status.ERROR, trouble.what))
            raise
        return None

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        """Let go of the run; one that failed here may be tried again by this dispatch without its pause."""
        if outcome.status is Status.ERROR:
            self._failed_here.add(item.id)
        super().give_back(item, number, outcome)

    def _take(self, item: Item, phase: Phase) -> int | Outcome:
        """Claim the run for a phase; one that this dispatch itself failed with is taken again without its pause."""
        answer = self._holdings.take([item.id], phase, again=item.id in self._failed_here)[item.id]
        if isinstance(answer, Claim):
            self._failed_here.discard(item.id)
            return answer.attempt
        run = self._holdings.show([item.id]).get(item.id)
        if run is not None and run.claimed_by is None and (passed := self._passed_over(run)):
            return passed
        if run is not None and run.status == "failed":
            why = f"failed: {run.failure_reason}; it waits until {run.next_attempt_at:%Y-%m-%d %H:%M:%S %Z}"
            return Outcome(Status.SKIPPED, why, Refusal.GATE)
        return Outcome(Status.SKIPPED, str(answer), Refusal.HELD)

    def _passed_over(self, run: Run) -> Outcome | None:
        """Return why a run that was planned is not worked on now, or None when it still waits."""
        if run.status == "failed" and run.next_attempt_at is None:
            return Outcome(Status.SKIPPED, f"waits for a reset, having failed: {run.failure_reason}", Refusal.GATE)
        if run.waiting_for not in self._phases:
            return Outcome(Status.UNCHANGED, f"it is {run.status} by now")
        return None

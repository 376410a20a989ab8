"""Who is informed of runs: every run has its line in dispatcher.out, and a terminal shows what needs a person (E7)."""

from __future__ import annotations

from collections.abc import Callable

from trailblazer.lanes.embed.measure import Measure
from trailblazer.pipeline.messages import Reply
from trailblazer.record.outcomes import FAILED, Item, Outcome, Refusal, Status
from trailblazer.record.standing import Standing
from trailblazer.reports.audience import Audience, Shown
from trailblazer.reports.progress import percent

DOING = {"chunk": "Chunked", "embed": "Done"}


class RunsAudience(Audience):
    """Informs of runs. `settled_too` hears each outcome as well; one run has an event every so many chunks."""

    def __init__(
        self, shown: Shown, settled_too: Callable[[Item, Outcome], None], measure: Measure, progress_every: int
    ) -> None:
        super().__init__(shown)
        self._settled_too, self._every = settled_too, progress_every
        self._meter = self._measure = measure
        self._next: dict[str, int] = {}

    def started(self, item: Item, attempt: int) -> None:
        """Emit that a run is claimed and begins (B6)."""
        self.emit("claim", "start", item, attempt=attempt)
        super().started(item, attempt)
        self._line(f"Queued: {item.id}" if item.phase == "embed" else f"Queued: {item.id} ({item.phase})")

    def progressed(self, item: Item, reply: Reply) -> None:
        """Measure how far one run is, and emit it every so many chunks (B6)."""
        self._measure.progressed(item, reply)
        done = reply.embedded + reply.kept
        if self._every and done >= self._next.get(item.id, self._every):
            self._next[item.id] = done + self._every
            self.emit("progress", "tick", item, percent=percent(done, reply.chunks), chunks=done, of=reply.chunks)

    def _end_progress(self, item: Item, outcome: Outcome) -> None:
        """Emit that a run is whole, unless the last event said so."""
        said = self._next.pop(item.id, self._every) - self._every
        total = int(outcome.details.get("total_chunks", 0))
        if self._every and outcome.status is Status.SUCCESS and item.phase == "embed" and said < total:
            self.emit("progress", "tick", item, percent=100, chunks=total, of=total)

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Emit and say an outcome."""
        super().settled(item, outcome, standing)
        self._settled_too(item, outcome)
        self._measure.settled(item, outcome)
        self._end_progress(item, outcome)

    def say_outcome(self, item: Item, outcome: Outcome) -> None:
        """Say an outcome in one line, on the terminal too when it needs a person."""
        say = self._shown.progress.say
        if outcome.status in FAILED:
            say(f"Error: {item.id}: {outcome.reason}", "red")
        elif outcome.refusal is Refusal.HELD:
            say(f"Skipped (held): {item.id}: {outcome.reason}", "yellow")
        elif outcome.status is Status.SKIPPED:
            say(f"Skipped (preflight): {item.id}: {outcome.reason}", "red")
        elif outcome.status is Status.UNCHANGED:
            self._line(f"Skipped (unchanged): {item.id}")
        elif outcome.status is Status.SUCCESS:
            self._line(f"{DOING[item.phase]}: {item.id} ({_what(item, outcome)})")

    def _line(self, line: str) -> None:
        if self._shown.verbose:
            self._shown.progress.say(line)
        else:
            self._shown.progress.log(line)


def _what(item: Item, outcome: Outcome) -> str:
    chunks = outcome.details.get("total_chunks", 0)
    if item.phase == "chunk":
        return f"{chunks} chunks"
    kept, cost = outcome.details.get("kept", 0), outcome.usage.get("estCostUSD", 0)
    return f"{chunks} chunks, {kept} kept, {outcome.usage.get('tokens', 0):.0f} tokens, US$ {cost:.4f}"

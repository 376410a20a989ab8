"""Who is told how a dispatch goes: people on stderr and in dispatcher.out, machines on stdout and in events.ndjson."""

from __future__ import annotations

from trailblazer.events import Emitter
from trailblazer.record.outcomes import FAILED, Item, Outcome, Refusal, Standing, Status
from trailblazer.reports.progress import Progress


class Telling:
    """Tells of each item that did not go well in one red line, and of every item in an event."""

    def __init__(self, progress: Progress, emitter: Emitter, noun: str) -> None:
        self._progress, self._emitter, self._noun = progress, emitter, noun
        self._has_told_lost = False

    def started(self, item: Item, number: int) -> None:
        """Emit that an attempt begins."""
        self._emitter.emit(f"{self._noun}.start", "start", run_id=item.id, attempt=number)

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Emit an outcome, and say it to people when it is not a good one."""
        level = "error" if outcome.status in FAILED else "info"
        more = {"msg": outcome.reason} if outcome.reason else {}
        more |= {key: value for key, value in outcome.details.items() if key in {"usage", "duration_ms", "exit_code"}}
        self._emitter.emit(
            f"{self._noun}.settle", "complete", level=level, run_id=item.id, outcome=outcome.status.value, **more
        )
        if self._emitter.lost and not self._has_told_lost:
            self._has_told_lost = True
            self._progress.say(f"Warning: {self._emitter.lost}; events.ndjson in the folder goes on", "yellow")
        if outcome.status in FAILED or outcome.status is Status.CANCELLED:
            self._progress.say(f"{outcome.status.value.capitalize()}: {item.id}: {outcome.reason}", "red")
        elif outcome.refusal is Refusal.GATE:
            self._progress.say(f"Skipped (preflight): {item.id}: {outcome.reason}", "red")
        elif outcome.refusal is Refusal.HELD:
            self._progress.say(f"Skipped: {item.id}: {outcome.reason}", "yellow")
        if standing.settled == standing.planned or standing.settled % max(1, standing.planned // 100) == 0:
            self._emitter.emit(
                f"{self._noun}.progress", "tick", percent=100 * standing.settled // max(1, standing.planned)
            )

    def look(self, standing: Standing) -> None:
        """Show progress."""
        self._progress.look(standing)

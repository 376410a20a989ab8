"""Who is informed of a dispatch: people on stderr and in dispatcher.out, machines on stdout and in events.ndjson."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trailblazer.events import Emitter
from trailblazer.paths import timestamp_of
from trailblazer.plain import one_line
from trailblazer.record.admission import Switch, To
from trailblazer.record.outcomes import FAILED, Item, Outcome, Refusal, Status
from trailblazer.record.standing import Standing
from trailblazer.reports.board import ITEMS
from trailblazer.reports.meter import Meter
from trailblazer.reports.progress import Progress, work_line

LONGEST_WORDS = 1900


@dataclass(frozen=True, slots=True)
class Shown:
    """Where words, events and progress go. `noun` begins the names of events: runs, items."""

    progress: Progress
    emitter: Emitter
    noun: str
    meter: Meter
    verbose: bool = False


class Audience:
    """Says in one red line that an item failed, and emits an event for every item."""

    def __init__(self, shown: Shown) -> None:
        self._shown, self._meter = shown, shown.meter
        self._has_warned = False

    def started(self, item: Item, attempt: int) -> None:
        """Emit that an attempt begins."""
        self.emit("start", "start", item, attempt=attempt)

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Emit an outcome, and say it to people when it is not a good one."""
        level = "error" if outcome.status in FAILED else "info"
        self.emit("settle", "complete", item, level=level, outcome=str(outcome.status), **_facts(outcome))
        if self._shown.emitter.lost and not self._has_warned:
            self._has_warned = True
            self._shown.progress.say(
                f"Warning: {self._shown.emitter.lost}; events.ndjson in the folder goes on", "yellow"
            )
        self.say_outcome(item, outcome)
        if standing.settled == standing.planned or standing.settled % max(1, standing.planned // 100) == 0:
            percent = 100 * standing.settled // max(1, standing.planned)
            self._shown.emitter.emit("dispatch.progress", "tick", percent=percent)

    def say_outcome(self, item: Item, outcome: Outcome) -> None:
        """Say an outcome that needs a person."""
        if outcome.status in FAILED:
            log = f" [task_{item.index}]" if "folder" in outcome.details else ""  # as `trailblazer log` takes it
            said = f"{outcome.status.value.capitalize()}: {item.id}: {outcome.reason}"
            self._shown.progress.say(one_line(said, LONGEST_WORDS) + log, "red")
        elif outcome.refusal is Refusal.GATE and outcome.status is Status.SKIPPED:
            self._shown.progress.say(f"Skipped (preflight): {item.id}: {outcome.reason}", "red")
        elif outcome.refusal is Refusal.HELD:
            self._shown.progress.say(f"Skipped (held): {item.id}: {outcome.reason}", "yellow")

    def switched(self, switch: Switch) -> None:
        """Emit a switch of a provider, and say it; while the dispatch waits, the progress line says for whom."""
        line, progress = switch_line(switch), self._shown.progress
        until = {} if switch.until is None else {"until": timestamp_of(switch.until)}
        level = "info" if switch.to in {To.OPENED, To.WAITED, To.LIMITED} else "warning"
        self._shown.emitter.emit(
            "providers.switch", "tick", level=level, provider=switch.provider, to=switch.to.value, msg=line, **until
        )
        if switch.to is To.LIMITED and not self._shown.verbose:  # it goes up and down for as long as the work takes
            progress.log(line)
        else:
            progress.say(line, "green" if level == "info" else "yellow")
        if switch.to in {To.WAITING, To.WAITED}:
            progress.waiting = f" | {line}" if switch.to is To.WAITING else ""

    def emit(self, verb: str, action: str, item: Item, **more: Any) -> None:
        """Emit an event about an item."""
        phase = {"phase": item.phase} if item.phase else {}
        self._shown.emitter.emit(f"{self._shown.noun}.{verb}", action, run_id=item.id, **phase, **more)

    def show(self, standing: Standing) -> None:
        """Show progress, with the work behind the items, and keep it for monitors (E11)."""
        document = self._meter.write(is_paused=standing.is_paused)
        if document and document["planned"] and document["unit"] != ITEMS:
            self._shown.progress.more = work_line(document)
        self._shown.progress.show(standing)

    def over(self) -> None:
        """Keep the last state for monitors: nothing is to come."""
        self._meter.write(is_over=True)


def _facts(outcome: Outcome) -> Mapping[str, Any]:
    details = outcome.details
    facts: dict[str, Any] = {name: details[name] for name in ("duration_ms", "exit_code") if name in details}
    if outcome.reason:
        facts["msg"] = outcome.reason
    if outcome.usage:
        facts["usage"] = dict(outcome.usage)
    return facts


def switch_line(switch: Switch) -> str:
    """Return a switch for people: `waiting for claude until 03:00: …`."""
    until = "" if switch.until is None else f" until {clock_time(switch.until)}"
    reason = one_line(switch.reason, 200)
    match switch.to:
        case To.WAITING:
            return f"waiting for {switch.provider}{until}: {reason}"
        case To.WAITED:
            return f"the wait for {switch.provider} is over"
        case To.FALLBACK:
            return f"{switch.provider} takes over: {reason}"
        case To.LIMITED:
            return f"{switch.provider} stands {switch.slots} at once: {reason}"
        case To.OPENED:
            return f"{switch.provider} is open again: {reason}"
        case To.CLOSED:
            return f"{switch.provider} is closed{until or ' for the rest of this dispatch'}: {reason}"


def clock_time(moment: float, now: float | None = None) -> str:
    """Return a moment (epoch seconds) as HH:MM of this place, with the date when `now` is another day."""
    then = time.localtime(moment)
    is_today = time.strftime("%F", then) == time.strftime("%F", time.localtime(now))
    return time.strftime("%H:%M" if is_today else "%F %H:%M", then)

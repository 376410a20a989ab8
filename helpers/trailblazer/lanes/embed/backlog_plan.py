"""The backlog as a plan: what waits now, told in a banner, and come back to when somebody lets go of it."""

from __future__ import annotations

import argparse
import fnmatch
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from trailblazer.config import Config
from trailblazer.database.backfill import backfill
from trailblazer.database.backlog import Backlog, Filters, measure_backlog, unheld_runs, wait_for_work, waiting_runs
from trailblazer.database.claims import PHASES
from trailblazer.database.connection import Link, answering, connect
from trailblazer.errors import ServiceDown, WordsWrong
from trailblazer.events import Emitter, Words, runs_events
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item, Outcome, Refusal, Standing
from trailblazer.reports.audience import Telling
from trailblazer.reports.progress import Progress

BACKLOG = "backlog"
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 5.0


def read_phases(text: str) -> tuple[str, ...]:
    """Return the phases that words like `chunk,embed` name, in the order in which they are done."""
    named = {name.strip() for name in text.split(",")}
    if not named <= set(PHASES):
        raise WordsWrong(f"{text!r} names no phases", f"--phases {','.join(PHASES)}, or one of them.")
    return tuple(phase for phase in PHASES if phase in named)


def scan(config: Config, words: argparse.Namespace, people: Words) -> tuple[list[str], tuple[str, ...]]:
    """Return the runs that wait, in order, and those that cannot be read; say what they amount to (B3).

    Runs that lie in var/runs and are not in the table are put there first.
    """
    phases, filters = read_phases(words.phases), Filters(source=words.source, glob=words.runs)
    if words.limit is not None and words.limit < 1:
        raise WordsWrong("--limit is at least 1", "Leave it out for all that waits.")
    emitter = runs_events(config.places.logs, "backlog", to_stdout=True)
    try:
        emitter.emit("runs.scan.start", "start", phases=list(phases))
        with answering(), connect(config) as connection:
            *_, filled = backfill(connection, config.places)
            found = measure_backlog(connection, phases, filters)
            waiting = waiting_runs(connection, phases, filters, limit=words.limit)
        emitter.emit("runs.scan.complete", "complete", planned=len(waiting), **_described(found))
    finally:
        emitter.close()
    unreadable = tuple(name for name in sorted(filled.unreadable) if fnmatch.fnmatchcase(name, words.runs or "*"))
    for name in unreadable:
        people.say(f"Not readable: {name}", "red")
    people.say(_banner(found), "bold")
    return waiting, unreadable


def _described(found: Backlog) -> dict[str, Any]:
    first, last = found.first_normalized_at, found.last_normalized_at
    return {
        "backlog_total": found.total,
        "first_normalized_at": first.isoformat() if first else None,
        "last_normalized_at": last.isoformat() if last else None,
        "sample": found.sample,
    }


def _banner(found: Backlog) -> str:
    if not found.total:
        return "Backlog: backlog_total: 0; nothing is waiting"
    more = ", …" if found.total > len(found.sample) else ""
    first, last = found.first_normalized_at, found.last_normalized_at
    return (
        f"Backlog: backlog_total: {found.total}, first normalized_at: {first:%Y-%m-%d %H:%M:%S %Z}, "
        f"last normalized_at: {last:%Y-%m-%d %H:%M:%S %Z}, sample: {', '.join(found.sample)}{more}"
    )


class Line:
    """The runs of a backlog plan, each once and in order; with `waits`, those that others held once more later.

    So nothing is lost when the holder of a run dies: it is come back to when his claim has expired.
    """

    def __init__(
        self,
        config: Config,
        record: Record,
        plan: Sequence[str],
        stopping: threading.Event,
        people: Words,
        *,
        waits: bool,
    ) -> None:
        self._config, self._record, self._stopping, self._people = config, record, stopping, people
        self._plan, self._waits = plan, waits
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._held: dict[str, int] = {}
        self._link = Link(lambda: connect(config))

    def settled(self, item: Item, outcome: Outcome) -> None:
        """Remember a run that somebody else holds."""
        with self._lock:
            self._running.discard(item.index)
            if outcome.refusal is Refusal.HELD and self._waits:
                self._held[item.id] = item.index

    def items(self) -> Iterator[Item]:
        """Yield the runs; ends when all are settled and none is held by others, or when the dispatch stops."""
        try:
            for index, rid in enumerate(self._plan):
                if not self._record.has_good_result(index):
                    yield self._begun(Item(index, rid))
            yield from self._again()
        finally:
            self._link.close()

    def _begun(self, item: Item) -> Item:
        with self._lock:
            self._running.add(item.index)
            self._held.pop(item.id, None)
        return item

    def _again(self) -> Iterator[Item]:
        pause, has_said = SHORTEST_PAUSE, False
        while not self._stopping.is_set():
            with self._lock:
                held, is_running = dict(self._held), bool(self._running)
            if not held and not is_running:
                return
            free = self._let_go(list(held)) if held else []
            for rid in free:
                yield self._begun(Item(held[rid], rid))
            if held and not free and not is_running and not has_said:
                has_said = True
                self._people.say(f"Waiting for what others hold ({len(held)}): done by then, or taken over at expiry")
            pause = SHORTEST_PAUSE if free or is_running else min(2 * pause, LONGEST_PAUSE)
            if not free:
                self._wait(pause)

    def _let_go(self, rids: list[str]) -> list[str]:
        try:
            return self._link.ask(lambda connection: unheld_runs(connection, rids))
        except ServiceDown:
            return []

    def _wait(self, pause: float) -> None:
        """Wait until a run waits for work, so long at most; a database that is away is asked again after the pause."""
        try:
            for _ in range(max(1, round(pause / SHORTEST_PAUSE))):
                if self._stopping.is_set() or self._link.ask(lambda asked: wait_for_work(asked, SHORTEST_PAUSE)):
                    return
        except ServiceDown:
            self._stopping.wait(pause)


class BacklogTelling(Telling):
    """Tells of claims as well (B6), and tells the line what came of each run."""

    def __init__(self, progress: Progress, emitter: Emitter, line: Line) -> None:
        super().__init__(progress, emitter, "runs")
        self._line = line

    def claimed(self, run_id: str, phase: str, number: int) -> None:
        """Emit that a run was claimed for a phase."""
        self._emitter.emit("runs.claim", "start", run_id=run_id, phase=phase, attempt=number)

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Emit an outcome, and remember who is held by others."""
        super().settled(item, outcome, standing)
        self._line.settled(item, outcome)

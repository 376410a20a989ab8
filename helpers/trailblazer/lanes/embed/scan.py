"""What waits in the table of runs now: counted, said in a banner, and returned as steps (B3)."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trailblazer.config import Config
from trailblazer.database.backfill import backfill
from trailblazer.database.backlog import Backlog, Filters, list_runs, measure_backlog, waiting_runs
from trailblazer.database.claims import PHASES
from trailblazer.database.connection import answering, connect
from trailblazer.database.embedded import ModelKey
from trailblazer.errors import WordsWrong
from trailblazer.events import Console, runs_events
from trailblazer.lanes.embed.request import EmbedRequest
from trailblazer.lanes.embed.runs import Step
from trailblazer.paths import Places, is_id
from trailblazer.pipeline.chunk_file import CHUNKS
from trailblazer.pipeline.embedders import identify
from trailblazer.plain import counted

MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: the steps in order, how many runs they belong to, and the folders that cannot be read."""

    steps: tuple[Step, ...]
    runs: tuple[str, ...]
    unreadable: tuple[str, ...]


def scan(config: Config, request: EmbedRequest, console: Console) -> Waiting:
    """Return what waits for the phases that were asked for, and say what it amounts to, and what it leaves out.

    Runs that lie in var/runs and are not in the table are put there first. Runs without a folder here are left out.
    """
    filters = Filters(source=request.source, glob=request.runs)
    if request.limit is not None and not 1 <= request.limit <= MOST:
        raise WordsWrong(
            f"--limit {request.limit} is out of range", f"From 1 to {MOST}; leave it out for all that waits."
        )
    emitter = runs_events(config.places.logs, "backlog", to_stdout=request.events is not None)
    try:
        emitter.emit("runs.scan.start", "start", phases=list(request.phases))
        key = model_key(config) if "embed" in request.phases else None
        with answering(), connect(config) as connection:
            *_, filled = backfill(connection, config.places)
            found = measure_backlog(connection, request.phases, filters, key=key)
            by_phase = {phase: waiting_runs(connection, (phase,), filters, key=key) for phase in PHASES}
            listed = list_runs(connection, filters, statuses=["failed", "reset"])
        emitter.emit("runs.scan.complete", "complete", found=found.total, **_described(found))
    finally:
        emitter.close()
    unreadable = tuple(name for name in sorted(filled.unreadable) if fnmatch.fnmatchcase(name, request.runs or "*"))
    for name in unreadable:
        console.say(f"Not readable: {name}", "red")
    stuck = [run.run_id for run in listed if run.waiting_for is None]
    was_reset = [run.run_id for run in listed if run.status == "reset" and run.waiting_for == "chunk"]
    again: list[str] = []
    if "chunk" not in request.phases:  # a run that was reset has its chunks all the same
        again = [run for run in was_reset if is_id(run) and (config.places.run(run) / CHUNKS).is_file()]
        by_phase["embed"] += again
        by_phase["chunk"] = sorted(set(by_phase["chunk"]) - set(again))
    console.say(_banner(found, request.phases, again), "bold")
    for phase in PHASES:
        if phase not in request.phases and by_phase[phase]:
            console.say(f"Not in these phases: {counted(len(by_phase[phase]), 'run')} to be {DONE[phase]}", "yellow")
    if stuck:
        failed = counted(len(stuck), "failed run")
        console.say(f"Not tried again: {failed}; see `trailblazer runs list status=failed`, then reset", "yellow")
    waiting = sorted({run for phase in request.phases for run in by_phase[phase]})
    runs, missing = _in_var_runs(config.places, waiting, request.limit)
    if missing:
        named = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        console.say(f"Not found in {config.places.runs}: {counted(len(missing), 'run')} ({named})", "yellow")
        console.say("  Left out. Put the folder back, or: trailblazer runs forget RID")
    return Waiting(tuple(_steps(runs, set(by_phase["chunk"]), request.phases)), tuple(runs), unreadable)


def _in_var_runs(places: Places, waiting: Sequence[str], limit: int | None) -> tuple[list[str], list[str]]:
    """Return the first runs that have a folder here, `limit` at most, and those before them that have none."""
    runs: list[str] = []
    missing: list[str] = []
    for run in waiting:
        if len(runs) == limit:
            break
        (runs if is_id(run) and places.run(run).is_dir() else missing).append(run)
    return runs, missing


def model_key(config: Config) -> ModelKey:
    """Return which vectors the configuration means."""
    identity = identify(config)
    return ModelKey(identity.provider, identity.model, identity.dimension)


DONE = {"chunk": "chunked", "embed": "embedded"}


def _steps(runs: Sequence[str], to_chunk: set[str], phases: Sequence[str]) -> list[Step]:
    return [Step(run, phase) for run in runs for phase in phases if phase == "embed" or run in to_chunk]


def _described(found: Backlog) -> dict[str, Any]:
    first, last = found.first_normalized_at, found.last_normalized_at
    return {
        "backlog_total": found.total,
        "first_normalized_at": first.isoformat() if first else None,
        "last_normalized_at": last.isoformat() if last else None,
        "sample": found.sample,
    }


def _banner(found: Backlog, phases: Sequence[str], again: Sequence[str]) -> str:
    """Return the banner of B3: `backlog_total=1700 first_normalized_at=… last_normalized_at=… sample=rid,rid,rid`.

    `again` are runs that were reset, and are embedded from the chunks that they have.
    """
    total = found.total + len(again)
    if not total:
        return "backlog_total=0 nothing is waiting" + (f" to be {DONE[phases[0]]}" if len(phases) == 1 else "")
    first, last = found.first_normalized_at, found.last_normalized_at
    moments = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "-" for moment in (first, last)]
    sample = sorted({*found.sample, *again})[:10]
    return (
        f"backlog_total={total} first_normalized_at={moments[0]} last_normalized_at={moments[1]} "
        f"sample={','.join(sample)}"
    )

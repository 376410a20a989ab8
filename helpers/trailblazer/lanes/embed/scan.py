"""What waits in the table of runs now: counted, said in a banner, and returned as steps (B3)."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trailblazer.config import Config
from trailblazer.database.backfill import backfill
from trailblazer.database.backlog import Backlog, Filters, measure_backlog, waiting_runs
from trailblazer.database.claims import PHASES
from trailblazer.database.connection import answering, connect
from trailblazer.database.embedded import ModelKey
from trailblazer.errors import WordsWrong
from trailblazer.events import Words, runs_events
from trailblazer.lanes.embed.request import EmbedRequest
from trailblazer.lanes.embed.runs import Step
from trailblazer.pipeline.embedders import identify

MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: the steps in order, how many runs they belong to, and the folders that cannot be read."""

    steps: tuple[Step, ...]
    runs: tuple[str, ...]
    unreadable: tuple[str, ...]


def scan(config: Config, request: EmbedRequest, people: Words) -> Waiting:
    """Return what waits for the phases that were asked for, and say what it amounts to.

    Runs that lie in var/runs and are not in the table are put there first.
    """
    filters = Filters(source=request.source, glob=request.runs)
    if request.limit is not None and not 1 <= request.limit <= MOST:
        raise WordsWrong(
            f"--limit {request.limit} is out of range", f"From 1 to {MOST}; leave it out for all that waits."
        )
    emitter = runs_events(config.places.logs, "backlog", to_stdout=True)
    try:
        emitter.emit("runs.scan.start", "start", phases=list(request.phases))
        key = model_key(config) if "embed" in request.phases else None
        with answering(), connect(config) as connection:
            *_, filled = backfill(connection, config.places)
            found = measure_backlog(connection, request.phases, filters, key=key)
            by_phase = {
                phase: waiting_runs(connection, (phase,), filters, limit=request.limit, key=key) for phase in PHASES
            }
        emitter.emit("runs.scan.complete", "complete", found=found.total, **_described(found))
    finally:
        emitter.close()
    unreadable = tuple(name for name in sorted(filled.unreadable) if fnmatch.fnmatchcase(name, request.runs or "*"))
    for name in unreadable:
        people.say(f"Not readable: {name}", "red")
    people.say(_banner(found), "bold")
    for phase in PHASES:
        if phase not in request.phases and by_phase[phase]:
            people.say(f"Not in these phases: {len(by_phase[phase])} wait to be {DONE[phase]}", "yellow")
    runs = sorted({run for phase in request.phases for run in by_phase[phase]})[: request.limit]
    return Waiting(tuple(_steps(runs, set(by_phase["chunk"]), request.phases)), tuple(runs), unreadable)


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


def _banner(found: Backlog) -> str:
    """Return the banner of B3: `backlog_total=1700 first_normalized_at=… last_normalized_at=… sample=rid,rid,rid`."""
    if not found.total:
        return "backlog_total=0 nothing is waiting"
    first, last = found.first_normalized_at, found.last_normalized_at
    return (
        f"backlog_total={found.total} first_normalized_at={first:%Y-%m-%dT%H:%M:%SZ} "
        f"last_normalized_at={last:%Y-%m-%dT%H:%M:%SZ} sample={','.join(found.sample)}"
    )

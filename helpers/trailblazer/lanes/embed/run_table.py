"""What `trailblazer runs` says of the table of runs and does to it; answers on stdout, words on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from trailblazer.config import Config
from trailblazer.database import backlog
from trailblazer.database.backfill import backfill
from trailblazer.database.backlog import Filters, ResetCounts, Run, Scope
from trailblazer.database.connection import answering, connect
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.events import Console, runs_events
from trailblazer.paths import is_id
from trailblazer.plain import counted, one_line
from trailblazer.reports.answers import print_answer, print_document

WORKING = ("chunking", "embedding")


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """What stdout gets of a change of the table: a sentence, a JSON object, or with `has_events` the events."""

    is_json: bool = False
    has_events: bool = False

    def say(self, line: str, colour: str = "") -> None:
        """Say the sentence: on stdout where it is the answer, else to people on stderr."""
        if self.is_json or self.has_events:
            Console().say(line, colour)
        else:
            print(line)


def read_filters(source: str | None, glob: str | None, since: str | None, until: str | None) -> Filters:
    """Return the filters that words mean; a moment without a zone is UTC."""
    return Filters(source, glob, _moment(since), _moment(until))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WordsWrong(f"{text!r} is no date", "Write 2026-11-20 or 2026-11-20T22:30.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def print_list(config: Config, filters: Filters, statuses: str | None, limit: int | None, *, as_json: bool) -> int:
    """Print one line a run, in the order of their ids."""
    wanted = statuses.split(",") if statuses else None
    if wanted and (unknown := sorted(set(wanted) - set(backlog.STATUSES))):
        raise WordsWrong(f"{', '.join(unknown)} is no state of a run", f"There are: {', '.join(backlog.STATUSES)}.")
    if limit is not None and limit < 1:
        raise WordsWrong("--limit is at least 1", "Leave it out for all.")
    with answering(), connect(config) as connection:
        runs = backlog.list_runs(connection, filters, statuses=wanted, limit=limit)
    if as_json:
        print_document("runs_listed", [_document(run) for run in runs])
        return 0
    for run in runs:
        print(_line(run))
    Console().say(counted(len(runs), "run"))
    return 0


def show(config: Config, rid: str, *, as_json: bool) -> int:
    """Print every column of one run; one that the table does not know is refused (exit 4)."""
    with answering(), connect(config) as connection:
        run = backlog.show_run(connection, rid)
    if run is None:
        raise PlanUnusable(
            f"the table knows no run {rid}", "`trailblazer runs backfill` takes in what lies in var/runs."
        )
    document = _document(run)
    if as_json:
        print_document("run_shown", document)
        return 0
    for name, value in document.items():
        print(f"{name:<20} {'-' if value is None else one_line(str(value), 500)}")
    return 0


def print_status(config: Config, filters: Filters, *, as_json: bool) -> int:
    """Print the totals of each state, what waits, and who holds what since when."""
    with answering(), connect(config) as connection:
        totals = backlog.totals(connection, filters)
        waiting = backlog.measure_backlog(connection, filters=filters)
        held = backlog.list_runs(connection, filters, statuses=WORKING)
    if as_json:
        names = ("run_id", "status", "attempt", "claimed_by", "claimed_at", "claim_expires_at")
        claims = [{name: value for name, value in _document(run).items() if name in names} for run in held]
        print_document("runs_status", {"totals": totals, "backlog_total": waiting.total, "held": claims})
        return 0
    for status, count in totals.items():
        print(f"{status:<12} {count:>10,}")
    print(f"{'waiting':<12} {waiting.total:>10,}")
    for run in held:
        print(_line(run))
    return 0


def reset_runs(
    config: Config, scope: Scope, filters: Filters, *, dry_run: bool, is_sure: bool, answer: TableAnswer
) -> int:
    """Let runs wait again and say what that changed; what would delete is refused without a yes (exit 2)."""
    deletes = scope != "processed"
    emitter = runs_events(config.places.logs, "reset", to_stdout=answer.has_events)
    try:
        with answering(), connect(config) as connection:
            would_be = backlog.reset(connection, scope, filters, dry_run=True)
            only_looks = dry_run or (deletes and not is_sure)
            about: dict[str, Any] = {"scope": scope, "dry_run": only_looks}
            emitter.emit("runs.reset.start", "start", **about, counts=asdict(would_be))
            done = None if only_looks else backlog.reset(connection, scope, filters)
            emitter.emit("runs.reset.complete", "complete", **about, counts=asdict(done or ResetCounts(0, 0, 0, 0)))
    finally:
        emitter.close()
    if answer.is_json:
        print_answer("runs reset", "done" if done else "would change", (), asdict(done or would_be))
    if done is not None:
        answer.say(f"Reset {_counted(done)}", "green")
        return 0
    line = f"A reset of {scope} would put back {_counted(would_be)}; nothing was changed"
    if dry_run:
        answer.say(line, "yellow")
        return 0
    Console().say(line, "yellow")
    raise WordsWrong("nothing was deleted: --yes is missing", "Look at the numbers above, then say it again with yes.")


def forget_runs(config: Config, rids: Sequence[str], *, dry_run: bool, is_sure: bool, answer: TableAnswer) -> int:
    """Delete all that the database has of runs. Where more than their rows would go, a yes is needed (exit 2)."""
    console = Console()
    with answering(), connect(config) as connection:
        would_be = backlog.forget(connection, rids, dry_run=True)
        if not any(asdict(would_be).values()):
            raise PlanUnusable(f"the database knows no run {', '.join(rids)}", "See: trailblazer runs list")
        deletes = would_be.embeddings or would_be.chunks or would_be.documents
        if dry_run or (deletes and not is_sure):
            if answer.is_json:
                print_answer("runs forget", "would change", rids, asdict(would_be))
            line = f"This would forget {_counted(would_be)}; nothing was changed"
            if dry_run:
                answer.say(line, "yellow")
                return 0
            console.say(line, "yellow")
            raise WordsWrong("nothing was deleted: --yes is missing", "Look at the numbers above, then add yes.")
        done = backlog.forget(connection, rids)
        if answer.is_json:
            print_answer("runs forget", "done", rids, asdict(done))
        answer.say(f"Forgotten: {_counted(done)}", "green")
    for rid in rids:
        if is_id(rid) and config.places.run(rid).is_dir():
            console.say(f"{config.places.run(rid)} is still there: the next `trailblazer run` finds it again", "yellow")
    return 0


def fill(config: Config, *, answer: TableAnswer) -> int:
    """Put the runs that lie in var/runs into the table, step by step; unreadable ones are named (exit 6)."""
    emitter = runs_events(config.places.logs, "backfill", to_stdout=answer.has_events)
    try:
        with answering(), connect(config) as connection:
            for step in backfill(connection, config.places):
                counts: dict[str, Any] = asdict(step)
                action = counts.pop("action")
                emitter.emit(f"runs.backfill.{action}", action, **counts)
    finally:
        emitter.close()
    if answer.is_json:
        state = "failed" if step.unreadable else "done" if step.added else "unchanged"
        counts = {"found": step.found, "added": step.added, "unreadable": len(step.unreadable)}
        print_answer("runs backfill", state, (), counts, step.unreadable)
    for name in step.unreadable:
        Console().say(f"Not readable: {name}", "red")
    answer.say(f"Backfill: {counted(step.found, 'run')} found, {step.added} added, {len(step.unreadable)} not readable")
    return 6 if step.unreadable else 0


def _counted(counts: ResetCounts) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in asdict(counts).items())


def _document(run: Run) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(run).items()}


def _line(run: Run) -> str:
    parts: Sequence[str] = (
        f"{run.run_id:<32} {run.status:<10} {run.normalized_at:%Y-%m-%d %H:%M:%S}",
        f"docs {_number(run.total_docs)} chunks {_number(run.total_chunks)} embedded {_number(run.embedded_chunks)}",
        f"held by {run.claimed_by} since {run.claimed_at:%Y-%m-%d %H:%M:%S}" if run.claimed_by else "",
        f"failed: {one_line(run.failure_reason, 120)}" if run.status == "failed" and run.failure_reason else "",
    )
    return "  ".join(part for part in parts if part)


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)

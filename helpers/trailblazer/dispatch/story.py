"""The one story of every dispatch: check, open the folder or reopen it, carry the plan out, close, seal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.dispatch import engine
from trailblazer.dispatch.admission import dispatch_of
from trailblazer.dispatch.engine import Closing, closing_for
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Lane
from trailblazer.dispatch.queue import Plan
from trailblazer.dispatch.settling import Limits
from trailblazer.errors import ProofBroken, ServiceDown, Trouble
from trailblazer.events import Console, Emitter
from trailblazer.places.local import end_survivors
from trailblazer.plain import one_line
from trailblazer.record import proof
from trailblazer.record.folder import JOURNAL, Record, hold, open_record, reopen_record
from trailblazer.record.manifest import MANIFEST, Resource, Seed, read_manifest
from trailblazer.record.pruning import clean_leftovers
from trailblazer.record.seals import keep_seal, kept_seal, place_for_seal, withdraw_seal
from trailblazer.record.standing import read_standing
from trailblazer.record.verification import verify_folder
from trailblazer.reports.audience import Audience, Shown
from trailblazer.reports.closing import report_at_close
from trailblazer.reports.progress import Progress
from trailblazer.reports.summary import Bookkeeper

MOST_NAMED = 3  # unread entries that one warning names
TICK_SECONDS = 0.1
CLOSE_SECONDS = 0.5  # after an interrupt: how long closing the lane, making an index or keeping the seal may take
KEPT = "kept"
ARCHIVES = ("plan_preflight", "plan", "retrieval_qc", "inputs", "scenario")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Show:
    """What people and machines are shown: `interval` is the seconds between progress lines, and 0 shows none."""

    interval: float
    verbose: bool = False
    events: bool = True


class Work(Protocol):
    """What a verb asks for: the plan, the lane that carries it out, and the words that differ.

    `command` is the verb, and `retry` its flag that tries again what failed. `resumes` is the folder of the dispatch
    that is resumed, or None for a new one. A resumed dispatch has its
    parameters, plan and archive already.
    """

    noun: str
    phase: str
    command: str
    retry: str
    schema: str
    config: Config
    resumes: Path | None
    force: bool
    show: Show
    limits: Limits
    planned: int

    @property
    def lane(self) -> Lane:
        """The lane that carries the items."""

    def seed(self) -> Seed:
        """Return the fields of the manifest that say what was asked for (E5)."""

    def parameters(self) -> Mapping[str, Any]:
        """Return what the manifest keeps for a resume: `lane`, and what the schema named `schema` describes."""

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Copy what the dispatch works from into its folder, and return the copies (E4)."""

    def opening_words(self, record: Record) -> Iterable[str]:
        """Yield the lines that open the dispatch on the screen."""

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> Plan:
        """Return the plan."""

    def audience(self, shown: Shown, record: Record) -> Audience:
        """Return what shows each item to people and machines."""

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:
        """Do what is left when every item is settled, and return how the dispatch ends."""

    def closing_words(self, record: Record) -> Iterable[str]:
        """Yield the lines that close the dispatch, before the paths of its documents."""


def carry_out(work: Work) -> int:
    """Carry out what a verb asks for, and return the exit code.

    A refusal is raised while there is no folder. From then on the record is closed, whatever happens.
    """
    work.lane.check()
    console = Console(work.config.places.logs / "dispatcher.out")
    with Interrupts() as interrupts:
        record = _open(work)
        with contextlib.closing(record):
            return _Story(work, record, console, interrupts).run()


def _open(work: Work) -> Record:
    """Return the record of a new dispatch with its archive, or of the one that is resumed."""
    with contextlib.suppress(OSError):
        clean_leftovers(work.config.places)
    if work.resumes is not None:
        return _reopen(work.resumes, work.config, force=work.force)
    parameters = dict(work.parameters())
    schemas.check(work.schema, parameters, MANIFEST)
    record = open_record(work.config.places, work.seed(), planned=work.planned, parameters=parameters)
    try:
        words = {"resume_with": f"{work.command} --resume", "retry_with": f"{work.command} {work.retry}"}
        record.publish(inputs=tuple(work.archive(record.folder)), **words)
    except BaseException as error:
        with contextlib.closing(record), contextlib.suppress(Trouble):  # the error itself must not be hidden
            closing = closing_for(error, record)
            record.complete(closing.exit_code, closing.why)
            record.seal()
        raise
    return record


def _reopen(folder: Path, config: Config, *, force: bool) -> Record:
    """Return the record of an earlier dispatch, and end its processes. A changed folder is refused with ProofBroken."""
    lock = hold(folder)  # first: the processes of a dispatcher that lives must not be ended
    try:
        changed = _changes_in(folder, config)
        if changed and not force:
            hint = "\n".join([*changed[1:], "`trailblazer verify` shows all of it. To resume all the same: --force."])
            raise ProofBroken(f"dispatch {folder.name} is not as it was sealed: {changed[0]}", hint)
        if changed or (folder / proof.SEAL).is_file():
            _withdraw_seal(folder, config, force=force)
        standing, _ = read_standing(folder / JOURNAL)
        ended = end_survivors(folder, [group.handle for group in standing.unfinished() if group.handle])
    except BaseException:
        lock.free()
        raise
    return reopen_record(folder, lock, ended=ended, changed=changed)


def _changes_in(folder: Path, config: Config) -> list[str]:
    """Return what somebody changed in a sealed folder. A folder that was not closed has no seal, and proves nothing."""
    if (folder / proof.SEAL).is_file():
        return verify_folder(folder, *kept_seal(config, folder.name)).findings
    if read_manifest(folder).seal_kept_in is None or kept_seal(config, folder.name)[0] is None:
        return []
    return [f"{proof.SEAL} was removed; the database keeps its digest"]


def _withdraw_seal(folder: Path, config: Config, *, force: bool) -> None:
    """Have the database forget the seal: else the next one would count as forged when it cannot be kept."""
    if read_manifest(folder).seal_kept_in is None:
        return
    try:
        withdraw_seal(config, folder.name)
    except ServiceDown as trouble:
        if not force:
            hint = "Run the same command again when it answers. To carry on without a proof: --force."
            raise ServiceDown(f"the seal of {folder.name} cannot be withdrawn: {trouble.what}", hint) from trouble


class _Story:
    def __init__(self, work: Work, record: Record, console: Console, interrupts: Interrupts) -> None:
        self.work, self.record, self.console, self.interrupts = work, record, console, interrupts
        self.progress = Progress(console, interval=work.show.interval)
        self.emitter = Emitter(
            work.noun,
            work.phase,
            record.folder / "events.ndjson",
            to_stdout=work.show.events,
            dispatch_id=record.dispatch_id,
        )

    def run(self) -> int:
        """Carry out and close, whatever happens; return the exit code."""
        closing = Closing(1, "the dispatch did not finish")
        try:
            with Bookkeeper(self.record):
                closing = self.carry_out()
        except BaseException as error:  # noqa: BLE001 - the record must be closed, whatever it was
            closing = closing_for(error, self.record)
        return self.close(closing)

    def carry_out(self) -> Closing:
        """Carry the plan out and return how it ended."""
        work, record = self.work, self.record
        for line in work.opening_words(record):
            self.console.say(line, "green")
        self.emitter.emit("dispatch.start", "start", planned=record.standing.planned)
        try:
            plan = work.plan(record, self.progress, self.interrupts)
            audience = work.audience(Shown(self.progress, self.emitter, work.noun, work.show.verbose), record)
            work.lane.open(dispatch_of(record, audience, self.progress.say))
            closing = engine.carry_out(plan, work.lane, record, work.limits, audience, self.interrupts)
        finally:
            self.within_limit(work.lane.close)
        return self.within_limit(lambda: work.finish(record, closing, self.progress)) or closing

    def within_limit(self, last: Callable[[], Result]) -> Result | None:
        """Return what a last step answers. From an interrupt on it may take a second more, then goes on without us."""
        answers: list[Result] = []
        problems: list[BaseException] = []

        def take() -> None:
            try:
                answers.append(last())
            except BaseException as problem:  # noqa: BLE001 - it is raised where the step was asked for
                problems.append(problem)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        deadline = None
        while thread.is_alive() and (deadline is None or time.monotonic() < deadline):
            thread.join(TICK_SECONDS)
            if self.interrupts.signal and deadline is None:
                deadline = time.monotonic() + CLOSE_SECONDS
        if problems:
            raise problems[0]
        return answers[0] if answers else None

    def close(self, closing: Closing) -> int:
        """Complete manifest, summary and seal, and say where they are. When there is no seal, say why in one line."""
        record, standing, console = self.record, self.record.standing, self.console
        self.progress.end(standing)
        if self.interrupts.signal and closing.exit_code < 128:
            closing = Closing(128 + self.interrupts.signal, "interrupted")
        counts = standing.counted()
        with contextlib.suppress(Trouble):
            self.emitter.emit("dispatch.complete", "complete", exit_code=closing.exit_code, counts=counts)
        self.emitter.close()
        for line in self.work.closing_words(record):
            console.say(line)
        try:
            kept_in = place_for_seal(self.work.config)
            record.complete(closing.exit_code, closing.why, seal_kept_in=kept_in)
            Bookkeeper(record).write()
            page = report_at_close(record.folder, console.say)
            seal = record.seal()
        except Trouble as trouble:
            console.say(f"The record is not sealed: {trouble.what}", "red")
            console.say(f"  {trouble.hint}")
            return self.say_code(
                closing if closing.exit_code else Closing(trouble.exit_code, trouble.what, trouble.hint)
            )
        self.say_where(seal, kept_in, page)
        return self.say_code(closing)

    def say_where(self, seal: proof.Seal, kept_in: str | None, page: Path | None) -> None:
        """Keep the seal in the database where there is one, and say where the documents are."""
        folder = self.record.folder
        if kept_in and (problem := self.within_limit(lambda: self.keep(seal.sha256)) or "no answer") != KEPT:
            self.console.say(f"Warning: the database does not keep the seal: {problem}", "yellow")
        self.console.say(f"Manifest: {folder / MANIFEST}")
        if archives := [str(folder / name) for name in ARCHIVES if (folder / name).is_dir()]:
            self.console.say("Archives: " + ", ".join(archives))
        if page is not None:
            self.console.say(f"Report: {page}")
        if seal.unread:
            more = f", and {len(seal.unread) - MOST_NAMED} more" if len(seal.unread) > MOST_NAMED else ""
            named = ", ".join(one_line(name, 200) for name in seal.unread[:MOST_NAMED])
            self.console.say(f"Warning: the seal does not prove what was not read: {named}{more}", "yellow")
        self.console.say(f"Seal: sha256:{seal.sha256}")

    def keep(self, seal: str) -> str:
        """Write the seal into the database, and return KEPT or the problem."""
        try:
            keep_seal(self.work.config, self.record, seal)
        except Trouble as trouble:
            return trouble.what
        return KEPT

    def say_code(self, closing: Closing) -> int:
        """Say why the dispatch did not end well, and how to resume it; return the exit code."""
        if closing.exit_code:
            self.console.say(f"Exit {closing.exit_code}: {closing.why}", "red")
            for line in closing.hint.splitlines():
                self.console.say(f"  {line}")
            if self.record.standing.good < self.record.standing.planned:
                self.console.say(f"To resume: {self.work.command} --resume {self.record.dispatch_id}")
        return closing.exit_code

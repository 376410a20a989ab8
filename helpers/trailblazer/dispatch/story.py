"""The one story of every dispatch: check, open the folder or reopen it, carry the plan out, close, seal."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from trailblazer import schemas
from trailblazer.dispatch import engine
from trailblazer.dispatch.admission import dispatch_of
from trailblazer.dispatch.control import Control
from trailblazer.dispatch.door import Door
from trailblazer.dispatch.engine import Closing, closing_for
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.keys import KEYS, Keys
from trailblazer.dispatch.opening import open_for
from trailblazer.dispatch.work import Answer, Work
from trailblazer.errors import StorageTrouble, Trouble
from trailblazer.events import Console, Emitter
from trailblazer.paths import timestamp
from trailblazer.plain import counted, one_line
from trailblazer.record import proof
from trailblazer.record.folder import Record
from trailblazer.record.manifest import MANIFEST, RUNNING
from trailblazer.record.seals import keep_seal, place_for_seal
from trailblazer.reports.audience import Shown
from trailblazer.reports.board import Board
from trailblazer.reports.closing import report_at_close
from trailblazer.reports.meter import ItemsMeter
from trailblazer.reports.monitoring import read_work, status_line, status_of
from trailblazer.reports.progress import Progress, View, in_words
from trailblazer.reports.summary import Bookkeeper
from trailblazer.streams import put_out

MOST_RUNNING = 20  # that SIGUSR1 lists
MOST_NAMED = 3  # unread entries that one warning names
TICK_SECONDS = 0.1
CLOSE_SECONDS = 0.5  # after an interrupt: how long closing the lane, making an index or keeping the seal may take
KEPT = "kept"
ARCHIVES = ("plan_preflight", "plan", "retrieval_qc", "inputs", "scenario")
Result = TypeVar("Result")


def carry_out(work: Work) -> int:
    """Carry out what a verb asks for, and return the exit code.

    A refusal is raised while there is no folder. From then on the record is closed, whatever happens.
    """
    work.lane.check()
    console = Console(work.config.places.logs / "dispatcher.out", dated=True)
    with Interrupts() as interrupts:
        record = open_for(work)
        with contextlib.closing(record):
            return _Story(work, record, console, interrupts).run()


class _Story:
    def __init__(self, work: Work, record: Record, console: Console, interrupts: Interrupts) -> None:
        self.work, self.record, self.console, self.interrupts = work, record, console, interrupts
        self.door, self.board = Door(record), Board(record.standing)
        record.listener = self.board.follow
        self.progress = Progress(
            console, interval=work.show.interval, asked=lambda: interrupts.asked, state=self.state_lines
        )
        self.emitter = Emitter(
            work.noun,
            work.phase,
            record.folder / "events.ndjson",
            to_stdout=work.show.events,
            dispatch_id=record.dispatch_id,
        )

    def run(self) -> int:
        """Carry out and close, whatever happens; print the answer, and return the exit code."""
        code = self.run_to_end()
        show = self.work.show
        with contextlib.suppress(StorageTrouble):  # nobody reads it: the exit code says it all
            if show.answer is Answer.JSON:
                self.put("done", exitCode=code)
            elif show.answer is Answer.FOLDER and not show.events and not sys.stdout.isatty():
                put_out(f"{self.record.folder}\n")
        return code

    def put(self, event: str, **more: str | int) -> None:
        """Print a line for machines on stdout."""
        line = {"event": event, "ts": timestamp(), "dispatchId": self.record.dispatch_id, **more}
        schemas.check_shape("dispatch_line", line, "stdout")
        put_out(json.dumps(line) + "\n")

    def run_to_end(self) -> int:
        """Carry out and close, whatever happens; return the exit code."""
        closing = Closing(1, "the dispatch did not finish")
        try:
            with Bookkeeper(self.record), Control(self.record.folder, self.door) as control:
                if self.work.show.answer is Answer.JSON:
                    self.put("launch", folder=str(self.record.folder), socket=str(control.socket), pid=os.getpid())
                if control.problem:
                    self.console.say(f"Warning: this dispatch cannot be steered: {control.problem}", "yellow")
                with self.progress.live(self.make_view):
                    closing = self.carry_out()
        except BaseException as error:  # noqa: BLE001 - the record must be closed, whatever it was
            closing = closing_for(error, self.record)
        return self.close(closing)

    def carry_out(self) -> Closing:
        """Carry the plan out and return how it ended."""
        work, record = self.work, self.record
        for line in work.opening_words(record):
            self.console.say(line, "green")
        if record.retried is not None:
            self.console.say(f"Only what failed is tried again: {counted(len(record.retried), 'item')}", "green")
        self.emitter.emit("dispatch.start", "start", planned=record.standing.planned)
        try:
            plan = work.plan(record, self.progress, self.interrupts)
            meter = ItemsMeter(record.folder, self.board)
            audience = work.audience(Shown(self.progress, self.emitter, work.noun, meter, work.show.verbose), record)
            work.lane.open(dispatch_of(record, audience, self.progress.say))
            closing = engine.carry_out(plan, work.lane, record, work.limits, audience, self.interrupts, self.door)
            audience.over()
        finally:
            self.within_limit(work.lane.close)
        return self.within_limit(lambda: work.finish(record, closing, self.progress)) or closing

    def make_view(self) -> AbstractContextManager[View]:
        """Return the live view, whose keys steer this dispatch."""
        from trailblazer.reports.live import LiveView
        from trailblazer.reports.screen import Scene

        record, slots, began = self.record, self.work.limits.slots, time.time()
        keys = Keys(self.door, lambda: self.board.slots or slots, self.progress.say)

        def look() -> Scene:
            work = read_work(record.folder)
            return Scene(record.folder, self.board, RUNNING, began, slots, self.door.room(), work, KEYS)

        return LiveView(look, keys.press, lambda: self.interrupts.continued)

    def state_lines(self) -> Iterator[str]:
        """Yield how the dispatch stands, for who asks by SIGUSR1."""
        record = self.record
        yield status_line(status_of(record.folder, self.board, record.manifest, read_work(record.folder)))
        now = time.time()
        for one in self.board.oldest(MOST_RUNNING):
            yield f"  {one_line(one.item, 80)} (task_{one.index}) attempt {one.attempt}: {in_words(now - one.since)}"
        if (more := len(self.board.running) - MOST_RUNNING) > 0:
            yield f"  … and {more} more that run"

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

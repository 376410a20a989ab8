"""The output of one item of a dispatch: found by its id, its number or its task, and followed while it grows."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.errors import PlanUnusable
from trailblazer.plain import one_line
from trailblazer.record.folder import JOURNAL
from trailblazer.record.journal import read_written
from trailblazer.record.lines import Closed, LeftRunning, Postponed, Resumed, Retried, Settled, Started
from trailblazer.record.manifest import RUNNING, read_manifest

PIECE = 1 << 16
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at an item, and whether it still runs."""

    item: str
    index: int
    number: int
    is_running: bool


class Attempts:
    """The attempts at one item of a dispatch, by its journal; `read` takes in what the journal has grown by."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        digits = name.removeprefix("task_")
        self._index = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1
        self._position = 0
        self._by_id: dict[int, Attempt] = {}
        self._by_index: dict[int, Attempt] = {}
        self._has_id = False

    def read(self) -> dict[int, Attempt]:
        """Return the attempts by number; an item with that id comes before one with that number."""
        for written in read_written(self._folder / JOURNAL, self._position, head=None):
            self._position = written.place + written.size
            line = written.line
            if isinstance(line, Started):
                self._note(Attempt(line.item, line.index, line.attempt, is_running=True))
            elif isinstance(line, Settled | Retried | Postponed | LeftRunning):
                self._note(Attempt(line.item, line.index, line.attempt, is_running=False))
            elif isinstance(line, Closed | Resumed):
                self._end_all()
        return self._by_id if self._has_id else self._by_index

    def _note(self, attempt: Attempt) -> None:
        if attempt.item == self._name:
            self._has_id = True
        for known, is_it in ((self._by_id, attempt.item == self._name), (self._by_index, attempt.index == self._index)):
            if is_it and attempt.number:
                known[attempt.number] = attempt

    def _end_all(self) -> None:
        for known in (self._by_id, self._by_index):
            for number, one in known.items():
                known[number] = Attempt(one.item, one.index, one.number, is_running=False)


class Output:
    """What one attempt prints to `stream` (stdout, stderr), as the file of its log has it."""

    def __init__(self, folder: Path, attempts: Attempts, attempt: Attempt, stream: str) -> None:
        self._folder, self._attempts, self._attempt, self._stream = folder, attempts, attempt, stream
        self._file = folder / f"task_{attempt.index}" / f"attempt_{attempt.number}" / f"worker.{stream}"

    def pieces(self, *, follow: bool) -> Iterator[bytes]:
        """Yield what was printed, with `follow` until the attempt has ended. A log that is not kept is PlanUnusable."""
        handle = _open(self._file, self._attempt, self._folder)
        try:
            while True:
                is_over = not follow or not self._still_runs()
                while piece := os.read(handle, PIECE):  # after the look: what it printed last is not lost
                    yield piece
                if is_over:
                    return
                time.sleep(LOOK_SECONDS)
        finally:
            os.close(handle)

    def _still_runs(self) -> bool:
        attempt = self._attempts.read().get(self._attempt.number)
        return attempt is not None and attempt.is_running and _is_running(self._folder)

    def document(self) -> dict[str, Any]:
        """Return what schemas/item_log.schema.json describes, without the text."""
        one = self._attempt
        return {
            "dispatchId": self._folder.name, "item": one.item, "index": one.index, "attempt": one.number,
            "running": self._still_runs(), "stream": self._stream, "file": str(self._file),
        }  # fmt: skip


def find_output(folder: Path, name: str, stream: str, number: int | None, *, follow: bool) -> Output:
    """Return the output of an attempt at an item, by default of the newest; with `follow` wait for it to begin.

    An item that never began is PlanUnusable.
    """
    attempts = Attempts(folder, name)
    attempt = _choose(attempts, number)
    while attempt is None and follow and _is_running(folder):
        time.sleep(LOOK_SECONDS)
        attempt = _choose(attempts, number)
    if attempt is None:
        which = f"attempt {number} at {one_line(name, 80)}" if number else one_line(name, 80)
        raise PlanUnusable(
            f"dispatch {folder.name} has begun no {which}", "Name an item by its id, its number or task_N."
        )
    return Output(folder, attempts, attempt, stream)


def _choose(attempts: Attempts, number: int | None) -> Attempt | None:
    known = attempts.read()
    return known.get(number if number is not None else max(known, default=0))


def _is_running(folder: Path) -> bool:
    manifest = read_manifest(folder)
    return manifest.status == RUNNING and not manifest.is_lost


def _open(file: Path, attempt: Attempt, folder: Path) -> int:
    """Return a handle to a log; a link, a pipe and what is not there are refused."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        workers = sorted(file.name for file in folder.glob("worker_*.stderr"))
        hint = f"Its worker wrote to {', '.join(workers[:3])}." if workers else f"Look into {file.parent}."
        what = f"{one_line(attempt.item, 80)}, attempt {attempt.number}, has no {file.name}"
        raise PlanUnusable(f"{what}: {error.strerror}", hint) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PlanUnusable(f"{file} is no regular file", "The item replaced it.")
    return handle

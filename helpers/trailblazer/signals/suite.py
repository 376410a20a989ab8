"""The folder that a suite of signals lives in: what is where, and the numbers that only grow."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import make_folder, write_all, write_whole
from trailblazer.errors import PlanUnusable, ServiceDown, storage_trouble
from trailblazer.paths import Places, is_id, timestamp
from trailblazer.plain import one_line
from trailblazer.processes.lock import lock_within
from trailblazer.signals.documents import BRIEFING, MANIFEST, PROMPT, SIGNAL

LOCK_SECONDS = 30.0
SUITES = "calibrate"  # below var
OLDER = Path(".asterisk/calibrate")  # where earlier programs kept theirs, below the root of the project


class Suite:
    """The folder of one suite. Any number of dispatchers and agents, in any number of processes, share it.

    signals/N/signal.json and prompt.md are written by the dispatcher alone. An agent that takes a signal makes
    taken/N.json, and answers with artifacts/N.json. What is not accepted is moved to rejected/.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.artifacts, self.taken = self.folder / "artifacts", self.folder / "taken"
        self.rejected = self.folder / "rejected"

    def make(self) -> None:
        """Make the folders that others write into."""
        for folder in (self.artifacts, self.taken, self.rejected):
            make_folder(folder)

    def next_id(self) -> int:
        """Return a number that no signal and no batch of the suite has had; it is larger than every earlier one."""
        make_folder(self.folder)
        file = self.folder / "last_id"
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise storage_trouble(error, "open") from error
        try:
            if not lock_within(handle, LOCK_SECONDS):
                why = f"another process has had the lock of {file} for {LOCK_SECONDS:g} s"
                raise ServiceDown(why, "Look for a trailblazer that does not go on.")
            number = 1 + self._last(os.pread(handle, 32, 0))
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            write_all(handle, b"%d\n" % number)
            return number
        except OSError as error:
            error.filename = str(file)
            raise storage_trouble(error, "write") from error
        finally:
            os.close(handle)

    def _last(self, text: bytes) -> int:
        """Return the newest number: that of the counter, or when a power cut took it that of the folders."""
        if text.endswith(b"\n") and text.strip().isdigit():
            return int(text)
        folders = (self.folder / "signals", self.folder / "batches")
        names = (entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir())
        return max((int(name) for name in names if name.isdigit()), default=0)

    def signal(self, dispatch_id: int) -> Path:
        """Return where a signal is."""
        return self.folder / "signals" / str(dispatch_id) / SIGNAL

    def prompt(self, dispatch_id: int) -> Path:
        """Return where the prompt of a signal is."""
        return self.folder / "signals" / str(dispatch_id) / PROMPT

    def artifact(self, dispatch_id: int) -> Path:
        """Return where the answer to a signal belongs: the number of the attempt is in the path."""
        return self.artifacts / f"{dispatch_id}.json"

    def taking(self, dispatch_id: int) -> Path:
        """Return the file whose first writer has taken a signal."""
        return self.taken / f"{dispatch_id}.json"

    def manifest(self, batch_id: int) -> Path:
        """Return where the manifest of a batch is."""
        return self.folder / "batches" / str(batch_id) / MANIFEST

    def briefing(self, batch_id: int) -> Path:
        """Return where the briefing of a batch is."""
        return self.folder / "batches" / str(batch_id) / BRIEFING

    def put_aside(self, dispatch_id: int, reason: str) -> None:
        """Move an artifact, whatever it is, to rejected/ as it was written, with the reason beside it."""
        with contextlib.suppress(FileNotFoundError):  # somebody else put it aside
            target = self._free_place(dispatch_id)
            self.artifact(dispatch_id).rename(target)
            self._say_why(target, dispatch_id, reason)

    def keep_late(self, dispatch_id: int, content: bytes, reason: str) -> Path:
        """Keep an answer that came after its signal had ended in rejected/, and return where."""
        target = self._free_place(dispatch_id)
        write_whole(target, content)
        self._say_why(target, dispatch_id, f"it is late: {reason}")
        return target

    def _free_place(self, dispatch_id: int) -> Path:
        names = (self.rejected / f"{dispatch_id}.{number}.json" for number in itertools.count(1))
        return next(target for target in names if not os.path.lexists(target))

    def _say_why(self, target: Path, dispatch_id: int, reason: str) -> None:
        document = {"dispatch_id": dispatch_id, "reason": one_line(reason, 300), "at": timestamp()}
        place = target.with_suffix(".reason.json")
        schemas.publish("signal_rejection", document, place, durable=False, once_per_shape=True)


def number_of(name: str) -> int | None:
    """Return the number that the name of a file in artifacts/ or taken/ means; other names are nobody's business."""
    stem = name.removesuffix(".json")
    return int(stem) if stem != name and stem.isascii() and stem.isdigit() and len(stem) < 19 else None


def choose_suite(places: Places, name: str | None) -> Suite:
    """Return the suite that an id or a folder names, without a name the newest; an unknown one is PlanUnusable."""
    if name and (Path(name) / "signals").is_dir():
        return Suite(Path(name))
    suites = list(find_suites(places))
    found = [suite for suite in suites if name in {None, suite.folder.name}]
    if not found:
        what = f"there is no suite {name}" if name else "there is no suite"
        known = ", ".join(suite.folder.name for suite in suites[-5:])
        raise PlanUnusable(what, f"The newest ones: {known}." if known else "To start one: trailblazer calibrate.")
    return max(found, key=lambda suite: suite.folder.stat().st_mtime_ns)


def find_suites(places: Places) -> Iterator[Suite]:
    """Yield the suites of a project, also those that earlier programs left, the newest name last."""
    for folder in (places.root / OLDER, places.var / SUITES):
        if folder.is_dir():
            names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and is_id(entry.name))
            yield from (Suite(folder / name) for name in names)

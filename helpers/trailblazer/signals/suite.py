"""The folder that a suite of signals lives in: what is where, and the numbers that only grow."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import make_folder, write_once, write_whole
from trailblazer.errors import ServiceDown, StorageTrouble, storage_trouble
from trailblazer.paths import Places, is_id, timestamp
from trailblazer.plain import one_line
from trailblazer.processes.lock import lock_within
from trailblazer.signals.documents import BRIEFING, MANIFEST, PROMPT, SIGNAL

LOCK_SECONDS = 30.0
MOST_DIGITS = 15  # of a number: every reader of JSON holds it exactly
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
        self.signals, self.batches = self.folder / "signals", self.folder / "batches"
        self._is_made = False

    @property
    def is_older(self) -> bool:
        """Whether an earlier program keeps it: then each case has a folder, and signals name their own files."""
        return self.folder.parts[-3:-1] == OLDER.parts

    @property
    def root(self) -> Path:
        """The root of the project of an older suite."""
        return self.folder.parents[len(OLDER.parts)]

    def make(self) -> None:
        """Make the folders of signals, once. A link leads out of the suite, and is refused with StorageTrouble."""
        if self._is_made:
            return
        folders = (self.signals, self.artifacts, self.taken, self.rejected)
        for folder in folders:
            make_folder(folder)
        for folder in (*folders, self.batches):
            if folder.is_symlink():
                raise StorageTrouble(f"{folder} is a link: it leads out of the suite", "Remove that link.")
        self._is_made = True

    def next_id(self, kind: Path | None = None) -> int:
        """Return the next number, as next_ids does."""
        (number,) = self.next_ids(1, kind)
        return number

    def next_ids(self, count: int, kind: Path | None = None) -> list[int]:
        """Return numbers that no signal and no batch of the suite has had; each is larger than every earlier one.

        With a `kind` (`signals` or `batches`) their folders are made while the counter is locked.
        """
        self.make()
        numbers: list[int] = []
        with self._locked("last_id") as handle:
            text = content = os.pread(handle, 32, 0)
            while len(numbers) < count:
                numbers.append(1 + self._last(content))
                content = b"%d\n" % numbers[-1]
                if kind is not None:
                    make_folder(kind / str(numbers[-1]), exist_ok=False)
            os.pwrite(handle, content, 0)
            if len(text) > len(content):  # not before: a file system writes a file that was emptied to the disk at once
                os.ftruncate(handle, len(content))
        return numbers

    def _last(self, text: bytes) -> int:
        """Return the newest number: that of the counter, or that of the folders when the counter cannot be right.

        It cannot be right when it was lost, torn, or set back: then the folder of the next number exists.
        """
        last = number_of(text[:-1].decode("ascii", "replace")) if text.endswith(b"\n") else None
        if last is not None and not any(os.path.lexists(f"{folder}/{1 + last}") for folder in self._numbered):
            return last
        return max((number for folder in self._numbered for number in numbers_in(folder)), default=0)

    @property
    def _numbered(self) -> tuple[Path, Path]:
        return self.signals, self.batches

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        """Yield a file of the suite that is locked while the block runs; ServiceDown when others do not free it."""
        file = self.folder / name
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise storage_trouble(error, "open") from error
        try:
            if not lock_within(handle, LOCK_SECONDS):
                why = f"another process has had the lock of {file} for {LOCK_SECONDS:g} s"
                raise ServiceDown(why, "Look for a trailblazer that does not go on.")
            yield handle
        except OSError as error:
            error.filename = error.filename or str(file)
            raise storage_trouble(error, "write") from error
        finally:
            os.close(handle)

    def signal(self, dispatch_id: int) -> Path:
        """Return where a signal is."""
        return self.signals / f"{dispatch_id}/{SIGNAL}"

    def prompt(self, dispatch_id: int) -> Path:
        """Return where the prompt of a signal is."""
        return self.signals / f"{dispatch_id}/{PROMPT}"

    def artifact(self, dispatch_id: int) -> Path:
        """Return where the answer to a signal belongs: the number of the attempt is in the path."""
        return self.artifacts / f"{dispatch_id}.json"

    def taking(self, dispatch_id: int) -> Path:
        """Return the file whose first writer has taken a signal."""
        return self.taken / f"{dispatch_id}.json"

    def manifest(self, batch_id: int) -> Path:
        """Return where the manifest of a batch is."""
        return self.batches / f"{batch_id}/{MANIFEST}"

    def briefing(self, batch_id: int) -> Path:
        """Return where the briefing of a batch is."""
        return self.batches / f"{batch_id}/{BRIEFING}"

    def put_aside(self, dispatch_id: int, reason: str) -> None:
        """Move an artifact, whatever it is, to rejected/ as it was written, with the reason beside it.

        What cannot be moved (it has gone, or it is a folder that this user may not write to) stays where it is.
        """
        with contextlib.suppress(StorageTrouble):
            target = self._reject(dispatch_id, reason)
            try:
                self.artifact(dispatch_id).rename(target)
            except OSError:
                _reason_of(target).unlink(missing_ok=True)

    def keep_late(self, dispatch_id: int, content: bytes, reason: str) -> Path:
        """Keep an answer that came after its signal had ended in rejected/, and return where."""
        target = self._reject(dispatch_id, f"it is late: {reason}")
        write_whole(target, content)
        return target

    def _reject(self, dispatch_id: int, reason: str) -> Path:
        """Write why something is rejected, and return the place for it: whoever wrote the reason has the place."""
        document = {"dispatch_id": dispatch_id, "reason": one_line(reason), "at": timestamp()}
        schemas.check_shape("signal_rejection", document, str(dispatch_id))
        content = schemas.text_of(document)
        for number in itertools.count(1):
            target = self.rejected / f"{dispatch_id}.{number}.json"
            if not os.path.lexists(target) and write_once(_reason_of(target), content, durable=False):
                break
        return target


def _reason_of(rejected: Path) -> Path:
    return rejected.with_suffix(".reason.json")


def number_of(name: str) -> int | None:
    """Return the number that a name means, N or N.json; other names are nobody's business."""
    stem = name.removesuffix(".json")
    is_number = stem.isascii() and stem.isdigit() and stem[0] != "0" and len(stem) <= MOST_DIGITS
    return int(stem) if is_number else None


def numbers_in(folder: Path) -> set[int]:
    """Return the numbers that the names in a folder of a suite mean; none while there is no such folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        return {number for entry in found if (number := number_of(entry.name)) is not None}
    return set()


def find_suites(places: Places) -> Iterator[Suite]:
    """Yield the suites of a project, also those that earlier programs left, the newest name last."""
    for folder in (places.root / OLDER, places.var / SUITES):
        if folder.is_dir():
            names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and is_id(entry.name))
            yield from (Suite(folder / name) for name in names)

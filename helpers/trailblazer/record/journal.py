"""The append-only file of what a dispatch did: each line carries the SHA-256 of the line before."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from trailblazer.atomic import cut_torn_tail, sync_folder
from trailblazer.errors import DocumentInvalid, storage_trouble
from trailblazer.paths import timestamp
from trailblazer.record.outcomes import Outcome, Refusal, Status

FIRST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every line has: `at` is the moment it was written (UTC), given by the journal."""

    kind: ClassVar[str]
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Line):
    """A dispatch begins: how many items it plans, and the process that carries it out."""

    kind = "open"
    dispatch: str
    planned: int
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Line):
    """A later process carries the dispatch on; `ended` counts the processes that it found alive and ended."""

    kind = "resume"
    unsealed: bool = False
    ended: int = 0
    host: str = ""
    pid: int = 0
    changed: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Line):
    """An attempt begins. The line is written before the attempt can act; only version 0.1.0 wrote a handle into it."""

    kind = "start"
    item: str
    index: int
    attempt: int
    phase: str = ""
    handle: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Line):
    """Where the attempts run, as the lane needs it to find them again: `attempts` are pairs of index and number."""

    kind = "begun"
    attempts: Sequence[Sequence[int]]
    handle: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Line):
    """An attempt failed and the item is tried again, at the earliest after so many seconds."""

    kind = "retry"
    item: str
    index: int
    attempt: int
    reason: str
    status: str = "error"
    after: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed(Line):
    """An item went back to the queue and spent no attempt (Again)."""

    kind = "again"
    item: str
    index: int
    attempt: int
    reason: str
    after: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftRunning(Line):
    """An attempt goes on without us (Left)."""

    kind = "left"
    item: str
    index: int
    attempt: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Line):
    """An item has an outcome. `details` are the lane's own facts; in the file they stand beside the others."""

    kind = "settle"
    item: str
    index: int
    attempt: int
    status: str
    reason: str = ""
    refusal: str = ""
    phase: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The outcome that the line holds."""
        return Outcome(Status(self.status), self.reason, Refusal(self.refusal), self.usage, self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Line):
    """Something went wrong that settles nothing."""

    kind = "warning"
    reason: str
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Line):
    """The dispatch ends."""

    kind = "close"
    status: str
    exit_code: int
    reason: str = ""


KINDS: dict[str, type[Line]] = {
    line.kind: line
    for line in (Opened, Resumed, Started, Begun, Retried, Postponed, LeftRunning, Settled, Warned, Closed)
}
_OPTIONAL = ("phase", "usage", "item", "changed", "handle")  # where they have a default


def _names_of(kind: type[Line]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fields that are always written, and those that are written only when they say something."""
    fields = [field for field in dataclasses.fields(kind) if field.name not in {"at", "details"}]
    optional = [field.name for field in fields if field.name in _OPTIONAL and _has_default(field)]
    return tuple(field.name for field in fields if field.name not in optional), tuple(optional)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


_NAMES = {kind: _names_of(kind) for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Written:
    """One line of a journal as a reader finds it: the line, where it begins and how long it is (bytes), its SHA-256."""

    line: Line
    place: int
    size: int
    sha256: str


class Journal:
    """Appends lines; `commit` makes all that was appended survive a power cut, many lines at once."""

    def __init__(self, file: Path) -> None:
        """Open a journal for append and make it when it is not there; a torn last line is cut off first."""
        self._lock = threading.Lock()
        self.head, self.size = FIRST, 0
        try:
            is_new = not file.exists()
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(os.dup(self._handle), "r+b") as opened:
                cut_torn_tail(opened)
            for written in read_written(file):
                self.head = written.sha256
            self.size = os.lseek(self._handle, 0, os.SEEK_END)
            if is_new:
                sync_folder(file.parent)
        except OSError as error:
            raise storage_trouble(error, "open") from error
        self._is_dirty = False

    def append(self, line: Line) -> int:
        """Append one line and return where it begins, in bytes. It survives a crash of this process."""
        record = _fields(line)
        with self._lock:
            record["prev"] = self.head
            text = _encode(record) + b"\n"
            try:
                written = os.write(self._handle, text)
                if written != len(text):
                    os.ftruncate(self._handle, os.lseek(self._handle, -written, os.SEEK_CUR))
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise storage_trouble(error, "write the journal") from error
            self.head = hashlib.sha256(text[:-1]).hexdigest()
            place, self.size = self.size, self.size + len(text)
            self._is_dirty = True
            return place

    def commit(self) -> None:
        """Return when all that was appended is on the disk."""
        if not self._is_dirty:
            return
        self._is_dirty = False
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise storage_trouble(error, "write the journal") from error

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        os.close(self._handle)


def _fields(line: Line) -> dict[str, Any]:
    kind = type(line)
    record: dict[str, Any] = {"at": line.at or timestamp(), "kind": kind.kind}
    always, optional = _NAMES[kind]
    for name in always:
        record[name] = getattr(line, name)
    for name in optional:
        if value := getattr(line, name):
            record[name] = value
    if isinstance(line, Settled):
        record.update(line.details)
    return record


def _encode(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:  # a lone surrogate, as a file's name may hold, or a number that is too large
        import json

        return json.dumps(record, separators=(",", ":")).encode()


def read_journal(file: Path) -> Iterator[Line]:
    """Yield the lines of a journal in order; a torn last line is dropped, a bad one in the middle is refused."""
    return (written.line for written in read_written(file))


def read_written(file: Path, start: int = 0, head: str | None = FIRST) -> Iterator[Written]:
    """Yield each line with its place and digest, from byte `start` on, whose line before has the digest `head`.

    A line that does not follow the line before it is refused with DocumentInvalid, which names its number. `head` None
    checks no chain: for whoever follows a journal that is still being written.
    """
    try:
        with file.open("rb") as opened:
            opened.seek(start)
            place = start
            for number, text in enumerate(opened, start=1):
                if not text.endswith(b"\n"):
                    return
                line, previous = _read(text, file, number)
                if head is not None and previous != head:
                    raise DocumentInvalid(
                        f"{file}:{number} does not follow the line before it", "A line was changed, dropped or added."
                    )
                sha256 = hashlib.sha256(text[:-1]).hexdigest()
                yield Written(line, place, len(text), sha256)
                head = sha256 if head is not None else None
                place += len(text)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {file}: {error.strerror}", "Look at that path.") from error


def _read(text: bytes, file: Path, number: int) -> tuple[Line, str]:
    try:
        record = orjson.loads(text)
        kind = KINDS[record.pop("kind")]
        previous = record.pop("prev")
        always, optional = _NAMES[kind]
        known = {name: record.pop(name) for name in (*always, *optional) if name in record}
        known["at"] = record.pop("at", "")
        if kind is Settled:
            known["details"] = record
        elif kind is Started and "pid" in record:
            known["handle"] = {name: record[name] for name in ("pid", "ticks", "boot")}
        return kind(**known), previous
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DocumentInvalid(f"{file}:{number} is not a journal line", "The journal was damaged.") from None

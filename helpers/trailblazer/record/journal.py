"""The append-only file of what a dispatch did: each line carries the SHA-256 of the line before."""

from __future__ import annotations

import hashlib
import operator
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trailblazer.atomic import cut_torn_tail, sync_folder, write_all
from trailblazer.errors import DocumentInvalid, storage_trouble
from trailblazer.paths import timestamp
from trailblazer.record.lines import FIELDS, KINDS, Line, Settled, Started

FIRST = "0" * 64
# Returns the kind of a line and the values of the fields that are always written, in the order of FIELDS.
_VALUES_OF: dict[type[Line], Callable[[Line], tuple[Any, ...]]] = {
    kind: operator.attrgetter("kind", *always) for kind, (always, _) in FIELDS.items()
}


@dataclass(frozen=True, slots=True)
class Written:
    """One line of a journal as a reader finds it. `place` is where it begins and `size` how long it is, in bytes."""

    line: Line
    place: int
    size: int
    sha256: str


class Journal:
    """Appends lines. After `commit` all lines so far survive a power cut."""

    def __init__(self, file: Path) -> None:
        """Open a journal for append, or make it. A torn last line is cut off first."""
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
        """Append one line and return where it begins, in bytes. The line survives a crash of this process."""
        record = _fields(line)
        with self._lock:
            record["prev"] = self.head
            text = _encode(record) + b"\n"
            try:
                write_all(self._handle, text)
            except OSError as error:
                os.ftruncate(self._handle, os.lseek(self._handle, self.size, os.SEEK_SET))
                raise storage_trouble(error, "write the journal") from error
            self.head = hashlib.sha256(text[:-1]).hexdigest()
            place, self.size = self.size, self.size + len(text)
            self._is_dirty = True
            return place

    def commit(self) -> None:
        """Return when all lines are on the disk."""
        if not self._is_dirty:
            return
        self._is_dirty = False
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise storage_trouble(error, "write the journal") from error

    def close(self) -> None:
        """Commit and close; a thread that appends later is refused."""
        try:
            self.commit()
        finally:
            with self._lock:
                os.close(self._handle)
                self._handle = -1


def _fields(line: Line) -> dict[str, Any]:
    kind = type(line)
    always, optional = FIELDS[kind]
    record: dict[str, Any] = {"at": line.at or timestamp()}
    record.update(zip(("kind", *always), _VALUES_OF[kind](line), strict=True))
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
    """Yield the lines of a journal in order. A torn last line is dropped; any other bad line is DocumentInvalid."""
    return (written.line for written in read_written(file))


def read_written(file: Path, start: int = 0, head: str | None = FIRST) -> Iterator[Written]:
    """Yield each line from byte `start` on, with its place and digest. `head` is the digest of the line before.

    A line that does not follow the line before it is refused with DocumentInvalid, which names its number. With `head`
    None the chain is not checked: a monitor reads the journal in pieces, and only a proof needs the chain.
    """
    try:
        with file.open("rb") as opened:
            opened.seek(start)
            place = start
            for number, text in enumerate(opened, start=1):
                if not text.endswith(b"\n"):
                    return
                where = f"{file}:{number}" if start == 0 else f"{file}, byte {place},"
                line, previous = _read(text, where)
                if head is not None and previous != head:
                    raise DocumentInvalid(
                        f"{where} does not follow the line before it", "A line was changed, removed or added."
                    )
                sha256 = hashlib.sha256(text[:-1]).hexdigest()
                yield Written(line, place, len(text), sha256)
                head = sha256 if head is not None else None
                place += len(text)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {file}: {error.strerror}", "Look at that path.") from error


def _read(text: bytes, where: str) -> tuple[Line, str]:
    try:
        record = orjson.loads(text)
        previous = record.pop("prev")
        return line_of(record), previous
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DocumentInvalid(f"{where} is not a journal line", "The journal was damaged.") from None


def line_of(record: dict[str, Any]) -> Line:
    """Return the line that the fields of a journal's line mean, and empty the record of them.

    What no dispatch writes is a ValueError, TypeError, KeyError or AttributeError.
    """
    kind = KINDS[record.pop("kind")]
    always, optional = FIELDS[kind]
    known = {name: record.pop(name) for name in (*always, *optional) if name in record}
    known["at"] = record.pop("at", "")
    if kind is Settled:
        known["details"] = record
    elif kind is Started and "pid" in record:
        known["handle"] = {name: record[name] for name in ("pid", "ticks", "boot")}
    return kind(**known)


def read_fields(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield where each line begins, in bytes, and its fields as they stand: nothing but JSON is checked.

    It takes a seventh of the time of `read_written`, for a reader that makes no record of every line. A torn last line
    is dropped.
    """
    place = 0
    try:
        with file.open("rb") as opened:
            for text in opened:
                if text[-1:] != b"\n":
                    return
                yield place, orjson.loads(text)
                place += len(text)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {file}: {error.strerror}", "Look at that path.") from error
    except ValueError:
        raise DocumentInvalid(f"{file}, byte {place}, is not a journal line", "The journal was damaged.") from None


def line_at(journal: int, place: int) -> bytes:
    """Return the line that begins at a byte of an open journal, without its newline."""
    size, line = 1024, b""
    while b"\n" not in line:
        line = os.pread(journal, size, place)
        size *= 4
    return line[: line.index(b"\n")]

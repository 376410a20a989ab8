"""The append-only file of what a dispatch did: each line carries the SHA-256 of the one before."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trailblazer.atomic import cut_torn_tail, sync_folder
from trailblazer.errors import DocumentInvalid, storage_trouble
from trailblazer.paths import timestamp

FIRST = "0" * 64
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Journal:
    """Appends records; `commit` makes all that was appended survive a power cut, many lines at once."""

    def __init__(self, file: Path) -> None:
        """Open a journal for append, made when it is not there; a torn last line is cut off first."""
        self._lock = threading.Lock()
        try:
            is_new = not file.exists()
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.head = FIRST
            with os.fdopen(os.dup(self._handle), "r+b") as opened:
                cut_torn_tail(opened)
            for _, self.head in _lines(file):
                pass
            os.lseek(self._handle, 0, os.SEEK_END)
            if is_new:
                sync_folder(file.parent)
        except OSError as error:
            raise storage_trouble(error, "open") from error
        self._is_dirty = False

    def append(self, kind: str, **record: Any) -> None:
        """Append one record: its kind, the moment, and what belongs to it. It survives a crash of this process."""
        with self._lock:
            line = _as_json({"at": timestamp(), "kind": kind, **record, "prev": self.head}).encode()
            try:
                written = os.write(self._handle, line + b"\n")
                if written != len(line) + 1:
                    os.ftruncate(self._handle, os.lseek(self._handle, -written, os.SEEK_CUR))
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise storage_trouble(error, "write the journal") from error
            self.head = hashlib.sha256(line).hexdigest()
            self._is_dirty = True

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


def read_journal(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal in order; a torn last line is dropped, a bad one in the middle is refused."""
    try:
        for record, _ in _lines(file):
            yield record
    except OSError as error:
        raise DocumentInvalid(f"cannot read {file}: {error.strerror}", "Look at that path.") from error


def _lines(file: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each record and the SHA-256 of its line; a broken chain is refused with the line's number."""
    head = FIRST
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                is_linked = record["prev"] == head
            except (ValueError, TypeError, KeyError):
                raise DocumentInvalid(f"{file}:{number} is not a journal line", "The journal was damaged.") from None
            if not is_linked:
                raise DocumentInvalid(
                    f"{file}:{number} does not follow the line before it", "A line was changed, dropped or added."
                )
            head = hashlib.sha256(line[:-1]).hexdigest()
            yield record, head

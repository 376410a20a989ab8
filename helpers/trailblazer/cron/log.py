"""The log of a job: every line dated and plain, put aside when it is too large or too old."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trailblazer.paths import timestamp
from trailblazer.plain import plain
from trailblazer.streams import tell

LONGEST_LINE = 8192
_DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


@dataclass(frozen=True, slots=True)
class LogLimits:
    """When a log is put aside, and how many of those are kept. `most_files` is 1 or more."""

    largest_bytes: int
    oldest_days: float
    most_files: int


class DatedLog:
    """Appends dated lines to a file. NAME.log.1 is the log before it, NAME.log.2 the one before that.

    Several threads may write, and other processes may append. Each of `secrets` is left out of every line. A log that
    cannot be written to is said once on stderr, and stops nothing.
    """

    def __init__(self, file: Path, limits: LogLimits, secrets: Sequence[str] = ()) -> None:
        self.file = file
        self._limits, self._secrets = limits, [secret for secret in secrets if secret]
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._is_held = self._is_lost = False

    def write(self, text: str) -> None:
        """Append one line of output."""
        line = f"{timestamp()} {plain(self.without_secrets(text[:LONGEST_LINE]))}\n"
        with self._lock:
            try:
                handle = self._open()
                os.write(handle, line.encode(errors="replace"))
                if self._is_held and os.fstat(handle).st_size >= self._limits.largest_bytes:
                    self._put_aside()
            except OSError as error:
                self._lose(error)

    def note(self, text: str) -> None:
        """Append one line of the wrapper itself."""
        self.write(f"cron: {text}")

    def warn(self, text: str) -> None:
        """Append a warning of the wrapper."""
        self.note(f"warning: {text}")

    def without_secrets(self, text: str) -> str:
        """Return a text with *** in the place of every secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def take_over(self) -> None:
        """Put the log aside if its first line is too old, and from now on when it is too large.

        Only the holder of the job's lock may do that: two at once would each move the other's file.
        """
        with self._lock:
            self._is_held = True
            try:
                written = self._first_date()
                if written is not None and datetime.now(UTC) - written > timedelta(days=self._limits.oldest_days):
                    self._put_aside()
            except OSError as error:
                self._lose(error)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _open(self) -> int:
        if self._handle is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(self.file, flags, 0o600)
        return self._handle

    def _first_date(self) -> datetime | None:
        """Return the date of the first line, or of the last change where that line has none; None without a log."""
        try:
            with self.file.open("rb") as file:
                start = file.read(25)
                changed = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        if _DATE.match(start):
            with contextlib.suppress(ValueError):
                return datetime.strptime(start[:19].decode(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        return datetime.fromtimestamp(changed, UTC)

    def _put_aside(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        for number in range(self._limits.most_files, 0, -1):
            older = self._aside(number - 1) if number > 1 else self.file
            with contextlib.suppress(FileNotFoundError):
                older.replace(self._aside(number))
        for file in self.file.parent.glob(f"{self.file.name}.*"):
            number_of = file.name.removeprefix(f"{self.file.name}.")
            if number_of.isdigit() and int(number_of) > self._limits.most_files:
                file.unlink(missing_ok=True)

    def _aside(self, number: int) -> Path:
        return self.file.with_name(f"{self.file.name}.{number}")

    def _lose(self, error: OSError) -> None:
        if not self._is_lost:
            self._is_lost = True
            tell(f"cron: cannot write {self.file}: {error.strerror}\n")

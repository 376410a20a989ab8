"""What a command left: its output file and its logs. Kind and size are looked at before anything is read."""

from __future__ import annotations

import os
import stat

from trailblazer.atomic import read_regular
from trailblazer.errors import Trouble

MOST_BYTES = 64 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Unreadable(Trouble):
    """The output is there and cannot be read: a folder, a link, a pipe, a device, or too large."""


def read_file(file: str) -> bytes | None:
    """Return what an output file holds, None where there is none; one over 64 MiB is Unreadable."""
    return _read(file, MOST_BYTES, cut=False)


def read_log(file: str, size: int, most: int = MOST_BYTES) -> bytes:
    """Return the first bytes, at most so many, of a log of so many bytes."""
    return (_read(file, most, cut=True) or b"") if size else b""


def last_bytes(file: str, size: int, most: int) -> bytes:
    """Return the last bytes, at most so many, of a log of so many bytes; nothing where it is a log no more."""
    if not size:
        return b""
    try:
        handle = os.open(file, _READ)
    except OSError:
        return b""
    try:
        return os.pread(handle, most, max(0, size - most)) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def _read(file: str, most: int, *, cut: bool) -> bytes | None:
    """Return what a regular file holds, None when there is none."""
    try:
        return read_regular(file, most, cut=cut, follow_links=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{os.path.basename(file)} cannot be read: {error.strerror}") from error  # noqa: PTH119 - hot

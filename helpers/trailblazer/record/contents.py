"""What a folder holds, found without recursion: however deep it is, and whatever in it is locked, huge or no file."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import PRIVATE_FOLDER
from trailblazer.errors import storage_trouble

EMPTY = hashlib.sha256(b"").hexdigest()
MOST_BYTES = 4 << 30  # a larger file is not read: a terabyte that is a hole takes no place, and hours
UNREADABLE = "unreadable: "
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOO_LARGE = re.compile(r"not read: [0-9]+ bytes")
_PIECE = 1 << 20
_MOST_LOOSE = 4096
_NAME = re.compile(r"[^\0]+")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a folder that is no folder: its name there and its lstat.

    `state` is None where it cannot be looked at; then `problem` says why, and it may be a folder that cannot be listed.
    """

    name: str
    state: os.stat_result | None
    problem: str = ""


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a folder; names below it then stay short enough wherever the folder itself lies."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_trouble(error, "read") from error
    try:
        yield handle
    finally:
        os.close(handle)


def walk(folder: int, *, make_private: bool = False) -> Iterator[Found]:
    """Yield everything below an open folder that is no folder; links are not followed, what vanishes is passed over.

    `make_private` takes from files and folders what others than their owner may do with them.
    """
    waiting = [iter([""])]  # the folders of each level that are still to be listed
    while waiting:
        above = next(waiting[-1], None)
        if above is None:
            waiting.pop()
            continue
        try:
            files, folders = _list(folder, above, make_private)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Found(above or ".", None, error.strerror or str(error))
            continue
        for name in files:
            try:
                state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Found(name, None, error.strerror or str(error))
                continue
            if make_private and state.st_mode & _OTHERS:
                _make_private(folder, name, state)
            yield Found(name, state)
        waiting.append(iter(folders))


class _Names:
    """Names, which are yielded in order. Many are held as a few long texts: alone each takes five times the memory."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._latest: list[str] = []

    def add(self, name: str) -> None:
        """Take in a name."""
        self._latest.append(name)
        if len(self._latest) == _MOST_LOOSE:
            self._texts.append("\0".join(sorted(self._latest)))
            self._latest.clear()

    def __iter__(self) -> Iterator[str]:
        latest = sorted(self._latest)
        if not self._texts:
            return iter(latest)
        return heapq.merge(latest, *((found[0] for found in _NAME.finditer(text)) for text in self._texts))


def _list(folder: int, above: str, make_private: bool) -> tuple[_Names, _Names]:
    """Return the names of the files and of the folders in a folder, as seen from the open one."""
    handle = os.open(above or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if make_private and (mode := os.fstat(handle).st_mode) & _OTHERS:
            os.fchmod(handle, mode & PRIVATE_FOLDER)
        files, folders = _Names(), _Names()
        prefix = f"{above}/" if above else ""
        with os.scandir(handle) as found:
            for entry in found:
                (folders if entry.is_dir(follow_symlinks=False) else files).add(prefix + entry.name)
        return files, folders
    finally:
        os.close(handle)


def _make_private(folder: int, name: str, state: os.stat_result) -> None:
    """Make a regular file its owner's alone. A file of several names belongs elsewhere too: it keeps its mode."""
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        return
    with contextlib.suppress(OSError):
        handle = os.open(name, _READ, dir_fd=folder)
        try:
            os.fchmod(handle, state.st_mode & PRIVATE_FOLDER)
        finally:
            os.close(handle)


def mark(folder: int, found: Found) -> str:
    """Return what something is known by: the SHA-256 of a regular file, where a link points to, the kind of any other.

    What cannot be read, or is larger than 4 GiB, is known by that (`is_unread`).
    """
    if found.state is None:
        return UNREADABLE + found.problem
    mode, size = found.state.st_mode, found.state.st_size
    try:
        if stat.S_ISLNK(mode):
            return f"-> {os.readlink(found.name, dir_fd=folder)}"
        if not stat.S_ISREG(mode):
            return stat.filemode(mode)[0]
        if size > MOST_BYTES:
            return f"not read: {size} bytes"
        return _digest(folder, found.name, size) if size else EMPTY
    except OSError as error:
        return UNREADABLE + (error.strerror or str(error))


def _digest(folder: int, name: str, size: int) -> str:
    digest = hashlib.sha256()
    handle = os.open(name, _READ, dir_fd=folder)
    try:
        while size > 0 and (piece := os.read(handle, min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    finally:
        os.close(handle)
    return digest.hexdigest()


def is_digest(known_by: str) -> bool:
    """Say whether what a file is known by is that of a regular file."""
    return bool(_SHA256.fullmatch(known_by))


def is_unread(known_by: str) -> bool:
    """Say whether nobody has read what something holds: nothing about it can be proved."""
    return not known_by.isalnum() and (known_by.startswith(UNREADABLE) or bool(_TOO_LARGE.fullmatch(known_by)))

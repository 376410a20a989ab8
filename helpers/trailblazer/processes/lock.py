"""The exclusive right to a folder on this machine; it ends when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from trailblazer.errors import Trouble, storage_trouble

LOOK_SECONDS = 0.005  # between two tries to lock a file


class Lock:
    """An exclusive lock on a file. While another process holds it, `refusal` is raised with the pid of that process."""

    def __init__(self, file: Path, refusal: Trouble) -> None:
        try:
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_trouble(error, "lock") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._handle, 200).decode(errors="replace").strip()
            os.close(self._handle)
            refusal.what += f" ({holder})" if holder else ""
            raise refusal from None
        with contextlib.suppress(OSError):  # the text only informs; a full disk must not take the lock away
            os.ftruncate(self._handle, 0)
            who = f"pid {os.getpid()} since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
            os.pwrite(self._handle, who.encode(), 0)

    def free(self) -> None:
        """Release the lock, also when a child that has not yet become its program still has a copy of the handle."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        os.close(self._handle)


def lock_within(handle: int, seconds: float, *, is_shared: bool = False) -> bool:
    """Lock an open file, and say whether that was possible within a time limit.

    The lock is for this process alone, or with `is_shared` for all that share it. Closing the file frees it. It waits
    for other threads too, when each has opened the file for itself.
    """
    deadline = time.monotonic() + seconds
    while not _has_locked(handle, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _has_locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

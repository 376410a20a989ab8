"""Hears of the files that agents write: by inotify where there is one, and by a slow look at the folders always."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trailblazer.signals.suite import Suite, number_of, numbers_in

RESCAN_SECONDS = 1.0  # a network folder tells nothing of what other machines write
POLL_SECONDS = 0.25  # where there is no inotify
STILL_LOOKS = 10  # a folder is listed so often with one time of change: a file system may count in steps of 2 s


class Mailbox:
    """Tells who waits for a signal that a file of it may be new. One thread serves all the signals of a suite.

    What is told is a hint: whoever is told looks for himself. The watch is set before `expect` returns.
    """

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._waiting: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._wake: tuple[int, int] | None = None

    def expect(self, dispatch_id: int, tell: Callable[[], None]) -> None:
        """Call `tell`, in a thread of the mailbox, whenever a file of a signal may be new."""
        with self._lock:
            self._waiting[dispatch_id] = tell
            if self._wake is None:
                inotify = _watch(self._suite.artifacts, self._suite.taken)
                self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                what = (self._wake[0], inotify)
                threading.Thread(target=self._listen, args=what, name="mailbox", daemon=True).start()

    def forget(self, dispatch_id: int) -> None:
        """Tell nothing more of a signal."""
        with self._lock:
            self._waiting.pop(dispatch_id, None)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            os.close(wake[1])

    def _listen(self, wake: int, inotify: Any) -> None:
        pause = POLL_SECONDS if inotify is None else RESCAN_SECONDS
        folders = (_Folder(self._suite.artifacts), _Folder(self._suite.taken))
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if inotify is not None:
            poll.register(inotify.fd, select.POLLIN)
        due = time.monotonic() + pause
        while not any(handle == wake for handle, _ in poll.poll(max(0.0, 1000 * (due - time.monotonic())))):
            if time.monotonic() >= due:
                self._tell(number for folder in folders for number in folder.numbers())
                due = time.monotonic() + pause
            else:
                self._tell(filter(None, (number_of(event.name) for event in inotify.read(timeout=0))))
        os.close(wake)
        if inotify is not None:
            inotify.close()

    def _tell(self, numbers: Iterable[int]) -> None:
        with self._lock:
            told = [self._waiting[number] for number in dict.fromkeys(numbers) if number in self._waiting]
        for tell in told:
            tell()


class _Folder:
    """A folder that is listed while names come and go: with a thousand signals that wait, a look is one question."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._changed, self._unchanged = folder, 0, 0

    def numbers(self) -> set[int]:
        """Return the numbers of the files, or nothing when no name can have come since the last look."""
        with contextlib.suppress(OSError):
            changed = self._folder.stat().st_mtime_ns
            self._unchanged = self._unchanged + 1 if changed == self._changed else 0
            self._changed = changed
            if self._unchanged < STILL_LOOKS:
                return numbers_in(self._folder)
        return set()


def _watch(*folders: Path) -> Any:
    """Return an inotify that watches folders, or None where the system has none, or no more of it."""
    with contextlib.suppress(ImportError, OSError):
        from inotify_simple import INotify, flags

        inotify = INotify()
        try:
            for folder in folders:
                inotify.add_watch(folder, flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE)
        except OSError:
            inotify.close()
            raise
        return inotify
    return None

"""Hears of the files that agents write: by inotify where there is one, and by a slow look at every file always."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trailblazer.signals.suite import Suite, number_of

RESCAN_SECONDS = 1.0  # a network folder tells nothing of what other machines write
POLL_SECONDS = 0.25  # where there is no inotify


class Mailbox:
    """Tells who waits for a signal that a file of it may be new. One thread serves all the signals of a suite.

    What is told is a hint: whoever is told looks for himself. The watch is set before `expect` returns.
    """

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._waiting: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._inotify: Any = None
        self._wake: tuple[int, int] | None = None

    def expect(self, dispatch_id: int, tell: Callable[[], None]) -> None:
        """Call `tell`, in a thread of the mailbox, whenever a file of a signal may be new."""
        with self._lock:
            self._waiting[dispatch_id] = tell
            if self._wake is None:
                self._suite.make()
                self._inotify = _watch(self._suite.artifacts, self._suite.taken)
                self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                threading.Thread(target=self._listen, args=(self._wake[0],), name="mailbox", daemon=True).start()

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

    def _listen(self, wake: int) -> None:
        pause = POLL_SECONDS if self._inotify is None else RESCAN_SECONDS
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if self._inotify is not None:
            poll.register(self._inotify.fd, select.POLLIN)
        due = time.monotonic() + pause
        while not any(handle == wake for handle, _ in poll.poll(max(0.0, 1000 * (due - time.monotonic())))):
            if time.monotonic() >= due:
                with self._lock:
                    told = list(self._waiting.values())
                due = time.monotonic() + pause
            else:
                numbers = dict.fromkeys(self._heard())
                with self._lock:
                    told = [self._waiting[number] for number in numbers if number in self._waiting]
            for tell in told:
                tell()
        os.close(wake)
        if self._inotify is not None:
            self._inotify.close()

    def _heard(self) -> Iterator[int]:
        for event in self._inotify.read(timeout=0):
            if (number := number_of(event.name)) is not None:
                yield number


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

"""Starts a program that leaves a job behind which must outlive it, and perhaps us: no group and no mark ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from trailblazer.processes.identity import start_ticks
from trailblazer.processes.spawning import Block, spawn

LOOK_SECONDS = 0.05


class Launched:
    """A program that was started with its output in files. Its orphans may become our children: they are reaped."""

    def __init__(
        self, argv: tuple[str, ...], environment: Block, files: tuple[Path, Path], mark: str, tree: str
    ) -> None:
        """Start a program in a session of its own; one that cannot start raises OSError.

        `files` get its stdout and stderr; `mark` is that of its processes, empty for none.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handles = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        try:
            handles += [os.open(file, flags, 0o600) for file in files]
            self.pid = spawn(argv, environment, (handles[0], handles[1], handles[2]), mark, tree)
        finally:
            for handle in handles:
                os.close(handle)
        self._code: int | None = None
        self._is_gone = self.was_killed = False

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or None while it runs."""
        if self._code is None and not self._is_gone:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
                    self._is_gone = True
        return self._code

    def wait(self, seconds: float) -> int | None:
        """Return its exit code once it has ended, or None when it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return self._code

    def kill(self) -> None:
        """End the program with its process group, so that it starts nothing late."""
        if self.poll() is None:
            self.was_killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait(1.0)


def reap(pid: int) -> bool:
    """Reap a process that has ended if it is our child, and return whether it was.

    Until then a program that asks whether the process lives is told that it does.
    """
    if start_ticks(pid) is None:
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False

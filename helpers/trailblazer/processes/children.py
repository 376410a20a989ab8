"""The only module that starts and ends processes: each child has its own session, and ends with all it started."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from trailblazer.processes.identity import Identity, boot_id, now_in_ticks, start_ticks
from trailblazer.processes.marks import become_subreaper, end_marked, end_orphans_of
from trailblazer.processes.spawning import Block, spawn

GRACE_SECONDS = 5.0
WATCH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code or the signal that ended it, why we ended it, and what it used.

    `why` is empty when the child ended by itself, else the word that `Children.end` was given, or `timeout`.
    """

    exit_code: int | None
    signal: int | None
    why: str
    user_seconds: float
    system_seconds: float
    peak_memory_kib: int


class Child:
    """A running process that leads its own session. Children ends it at its `deadline` (monotonic seconds)."""

    def __init__(self, identity: Identity, mark: str) -> None:
        self.identity, self.mark = identity, mark
        self.pid = identity.pid
        self.deadline: float | None = None
        self.why = ""
        self.kill_at: float | None = None
        self.has_exited = False

    def limit(self, seconds: float | None) -> None:
        """End the child `seconds` from now; None is no limit."""
        self.deadline = None if seconds is None else time.monotonic() + seconds


class Children:
    """The children of one dispatch. Each has a mark in its environment that begins with `mark`.

    A thread asks a child to end at its deadline, and kills it after a grace. A group gets a signal only while its
    leader is not yet reaped: until then no other process can have the pid. Processes that a child leaves behind,
    daemons too, become our children (we are the subreaper) and are ended.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._lock = threading.Lock()
        self._running: dict[int, Child] = {}
        self._over = threading.Event()
        become_subreaper()
        # Started before the first child: later the slots may have taken every thread that the system gives.
        threading.Thread(target=self._keep_limits, name="children", daemon=True).start()

    def start(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        environment: Block,
        name: str = "",
        limit_seconds: float | None = None,
        folder: str = "",
    ) -> Child:
        """Start a command in its own session with three descriptors; a command that cannot start raises OSError.

        The mark of the child is that of the dispatch and then `name`; `folder` is where it works, empty for ours.
        """
        mark = self._mark + name
        before = now_in_ticks()
        pid = spawn(argv, environment, (stdin, stdout, stderr), mark, folder)
        # A child that started within one tick needs no read of /proc.
        ticks = before if before == now_in_ticks() else start_ticks(pid) or 0
        child = Child(Identity(pid, ticks, boot_id()), mark)
        child.limit(limit_seconds)
        with self._lock:
            self._running[pid] = child
        return child

    def wait(self, child: Child) -> Ended:
        """Wait until a child has ended, end what it left behind, and return how it ended."""
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            child.has_exited = True
            signal_group(child.pid, signal.SIGKILL)
            _, status, used = os.wait4(child.pid, 0)
            del self._running[child.pid]
        end_orphans_of(child.mark, self._running)
        code = os.waitstatus_to_exitcode(status)
        return Ended(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            why=child.why,
            user_seconds=used.ru_utime,
            system_seconds=used.ru_stime,
            peak_memory_kib=used.ru_maxrss,
        )

    def end(self, child: Child, why: str, grace: float = GRACE_SECONDS) -> None:
        """Ask a child's process group to end, and kill it after `grace` seconds."""
        with self._lock:
            self._end(child, why, grace)

    def _end(self, child: Child, why: str, grace: float) -> None:
        if child.has_exited:
            return
        kill_at = time.monotonic() + grace
        if child.kill_at is None:
            child.why = why
            signal_group(child.pid, signal.SIGTERM)
            child.kill_at = kill_at
        child.kill_at = min(child.kill_at, kill_at)

    def _keep_limits(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            now = time.monotonic()
            with self._lock:
                for child in self._running.values():
                    if child.deadline is not None and now >= child.deadline:
                        self._end(child, "timeout", GRACE_SECONDS)
                    if child.kill_at is not None and now >= child.kill_at and not child.has_exited:
                        signal_group(child.pid, signal.SIGKILL)

    def close(self) -> int:
        """End every process that still carries the mark, and return their number."""
        self._over.set()
        return end_marked(self._mark)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group, if it still exists."""
    try:  # noqa: SIM105 - this is the hot path
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def start_failure(error: OSError, command: str) -> str:
    """Return in one line why a command could not be started."""
    if error.errno == errno.ENOENT:
        return f"command not found: {command}"
    if error.errno == errno.E2BIG:
        return "the argument list is too long for this system: pass it in a file or on stdin"
    return f"cannot start {command}: {error.strerror}"

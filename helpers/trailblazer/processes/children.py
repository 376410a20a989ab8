"""The only place that starts and ends processes: each child has its own session, and dies with all it started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trailblazer.errors import Trouble, storage_trouble
from trailblazer.processes.identity import Identity, boot_id, is_running, start_ticks
from trailblazer.processes.spawning import Block, spawn

GRACE_SECONDS = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


def _now_in_ticks() -> int:
    """Return the present as `start_ticks` tells it. Who began and ended a start in one tick need not read /proc."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000


def end_leftovers(identities: Iterable[Identity]) -> int:
    """End the groups of children whose parent was killed, by identity and never by name; return how many there were."""
    left = [identity for identity in identities if is_running(identity)]
    for identity in left:
        _signal_group(identity.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(is_running, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for identity in left:
        _signal_group(identity.pid, signal.SIGKILL)
    while any(map(is_running, left)):
        time.sleep(0.01)
    return len(left)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code or the signal that ended it, why we ended it, and what it used.

    `why` is empty when it ended by itself, else `timeout` or `cancelled`. Times in seconds, memory in KiB.
    """

    exit_code: int | None
    signal: int | None
    why: str
    user_seconds: float
    system_seconds: float
    peak_memory_kib: int


class Child:
    """A running process that leads its own session; ended by its Children when its time is up."""

    def __init__(self, identity: Identity, deadline: float | None) -> None:
        self.identity = identity
        self.pid = identity.pid
        self.deadline = deadline
        self.why = ""
        self.kill_at: float | None = None
        self.has_exited = False


class Children:
    """The children of one dispatch. `look` is called now and then, and ends those whose time is up.

    A group is signalled only while its leader is not yet reaped, so that a pid can never mean somebody else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, Child] = {}
        self._closed_for: str | None = None

    def start(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        environment: Block,
        limit_seconds: float | None = None,
    ) -> Child:
        """Start a command in its own session with three descriptors; a command that cannot start raises OSError."""
        before = _now_in_ticks()
        pid = spawn(argv, environment, (stdin, stdout, stderr))
        ticks = before if before == _now_in_ticks() else start_ticks(pid) or 0
        child = Child(Identity(pid, ticks, boot_id()), time.monotonic() + limit_seconds if limit_seconds else None)
        with self._lock:
            self._running[pid] = child
            if self._closed_for:
                self._end(child, self._closed_for, GRACE_SECONDS)
        return child

    def wait(self, child: Child) -> Ended:
        """Wait until a child has ended, end what it left behind in its group, and return how it went."""
        while True:
            try:
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                break
            except InterruptedError:
                continue
        with self._lock:
            child.has_exited = True
            _signal_group(child.pid, signal.SIGKILL)
            _, status, used = os.wait4(child.pid, 0)
            self._running.pop(child.pid, None)
        code = os.waitstatus_to_exitcode(status)
        return Ended(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            why=child.why,
            user_seconds=used.ru_utime,
            system_seconds=used.ru_stime,
            peak_memory_kib=used.ru_maxrss,
        )

    def end(self, child: Child, why: str) -> None:
        """Ask a child's group to end; it is killed when it has not gone within the grace."""
        with self._lock:
            self._end(child, why, GRACE_SECONDS)

    def end_all(self, why: str, *, grace: float = GRACE_SECONDS) -> None:
        """Ask every group to end, those that are about to start too; with no grace they are killed at once."""
        with self._lock:
            self._closed_for = why
            for child in self._running.values():
                self._end(child, why, grace)

    def _end(self, child: Child, why: str, grace: float) -> None:
        if child.has_exited:
            return
        kill_at = time.monotonic() + grace
        if child.kill_at is None:
            child.why = why
            _signal_group(child.pid, signal.SIGTERM)
            child.kill_at = kill_at
        child.kill_at = min(child.kill_at, kill_at)

    def look(self) -> None:
        """End those whose time is up, and kill those that were asked to end and did not."""
        now = time.monotonic()
        with self._lock:
            for child in self._running.values():
                if child.deadline is not None and now >= child.deadline:
                    self._end(child, "timeout", GRACE_SECONDS)
                if child.kill_at is not None and now >= child.kill_at and not child.has_exited:
                    _signal_group(child.pid, signal.SIGKILL)


def start_failure(error: OSError, command: str) -> str:
    """Return in one line why a command could not be started."""
    if error.errno == errno.ENOENT:
        return f"command not found: {command}"
    if error.errno == errno.E2BIG:
        return "the argument list is too long for this system: pass it in a file or on stdin"
    return f"cannot start {command}: {error.strerror}"


def ask_git(folder: Path, *words: str) -> str | None:
    """Return what git answers about a folder, or None when it is no checkout or there is no git.

    Hooks and the file-system monitor are off: a folder that others write in could have a program planted there.
    """
    argv = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "PAGER": "cat"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=10, check=False, env=environment, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


class Lock:
    """The exclusive right to a folder on this machine, freed when its holder dies."""

    def __init__(self, file: Path, refusal: Trouble) -> None:
        import fcntl

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
        with contextlib.suppress(OSError):  # who holds it is only told; a full disk must not take the lock away
            os.ftruncate(self._handle, 0)
            who = f"pid {os.getpid()} since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
            os.pwrite(self._handle, who.encode(), 0)

    def free(self) -> None:
        """Give the folder back."""
        os.close(self._handle)

"""Who a process is: its pid, when it started and in which boot, and the name under which it holds claims."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process and no other: a pid can be used again, but not with the same start (clock ticks) in the same boot."""

    pid: int
    ticks: int
    boot: str


@functools.cache
def boot_id() -> str:
    """Return the id of this boot of the machine, or an empty text where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@functools.cache
def pid_namespace() -> str:
    """Return the pid namespace of this process, or an empty text: in another one a pid means another process."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(handle, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(handle)
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def now_in_ticks() -> int:
    """Return the time since boot in clock ticks, as `start_ticks` does."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000


def own_identity() -> Identity:
    """Return the identity of this process."""
    return Identity(os.getpid(), start_ticks(os.getpid()) or 0, boot_id())


def is_running(identity: Identity) -> bool:
    """Say whether exactly this process still runs."""
    return identity.boot == boot_id() and start_ticks(identity.pid) == identity.ticks


def holder_name(host: str | None = None, pid: int | None = None) -> str:
    """Return the name that a process signs its claims with, host/pid; by default that of this process (B1)."""
    return f"{os.uname().nodename if host is None else host}/{os.getpid() if pid is None else pid}"

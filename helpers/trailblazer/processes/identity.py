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
    """Which process a pid means: its start time in clock ticks and the boot it belongs to survive a pid's reuse."""

    pid: int
    ticks: int
    boot: str


@functools.cache
def boot_id() -> str:
    """Return the id of this boot of the machine, or nothing where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@functools.cache
def pid_namespace() -> str:
    """Return the namespace of this process's pids, which mean others in another container; nothing where unknown."""
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
    """Return the present as `start_ticks` gives it: a start that begins and ends in one tick needs no read of /proc."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000


def own_identity() -> Identity:
    """Return who this process is."""
    return Identity(os.getpid(), start_ticks(os.getpid()) or 0, boot_id())


def is_running(identity: Identity) -> bool:
    """Say whether the very process that was written down still runs."""
    return identity.boot == boot_id() and start_ticks(identity.pid) == identity.ticks


def holder_name(host: str | None = None, pid: int | None = None) -> str:
    """Return how a process signs its claims: host/pid; without words it is this process (B1)."""
    return f"{os.uname().nodename if host is None else host}/{os.getpid() if pid is None else pid}"

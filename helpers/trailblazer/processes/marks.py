"""Finds the processes of a dispatch, by a mark in their environment or by identity, and ends them (rule 5).

Every child has the mark from its first instruction, and the processes that it starts inherit the mark. So a process of
a killed dispatcher is found even if no journal names it. A program that clears its environment loses the mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from trailblazer.processes.identity import Identity, is_running, start_ticks
from trailblazer.processes.spawning import VARIABLE

GRACE_SECONDS = 5.0
MOST_ROUNDS = 20  # each ends what was started during the one before
_SET_CHILD_SUBREAPER, _SET_PARENT_DEATH_SIGNAL = 36, 1  # from <sys/prctl.h>


def become_subreaper() -> None:
    """Make the orphans of our children our own children, where the system can do that (Linux)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Have the system kill this process when the thread that started it ends; end at once if it has ended already.

    The parent passes its own pid: `getppid` may already return the process that adopted this one.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def end_orphans_of(mark: str, known: Collection[int]) -> None:
    """Kill and reap the orphans of one ended child, which are our children now. It costs one read of /proc.

    The children in `known` are not touched: another thread waits for each. The children of what is killed become ours
    as well: it is looked again until there is none.
    """
    if not _has_own_children():
        return
    deadline = time.monotonic() + GRACE_SECONDS
    while _kill_orphans(mark, known) and time.monotonic() < deadline:
        time.sleep(0.001)


def _kill_orphans(mark: str, known: Collection[int]) -> bool:
    """Kill and reap once, and say whether anything of that mark was found."""
    has_found = False
    for pid in _own_children():
        if pid in known:
            continue
        if _carries(pid, mark, whole=True):
            has_found = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if start_ticks(pid) is None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return has_found


def _has_own_children() -> bool:
    handle = _list_of_children(os.getpid())
    return handle is not None and bool(os.pread(handle, 1, 0))


def _own_children() -> list[int]:
    """Return the pids of our main thread's children: it also gets orphans, and the children of threads that ended."""
    handle = _list_of_children(os.getpid())
    return [int(pid) for pid in os.pread(handle, 1 << 16, 0).split()] if handle is not None else []


@functools.lru_cache(1)
def _list_of_children(pid: int) -> int | None:
    """Return an open handle on the list of a process's children. It stays open because every item reads it."""
    try:
        return os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def end_marked(mark: str, identities: Collection[Identity] = (), *, grace: float = GRACE_SECONDS) -> int:
    """End every process whose mark begins with `mark`, and the groups of `identities`; return their number.

    They are asked to end, and killed after the grace (in seconds). The next round finds what they started meanwhile.
    """
    groups = [identity.pid for identity in identities if is_running(identity)]
    found = set(_marked(mark)) | set(groups)
    ended = len(found)
    for number in range(MOST_ROUNDS):
        if not found:
            break
        _end(found, groups, grace if number == 0 else 0.0)
        found = set(_marked(mark))
        ended += len(found)
    return ended


def is_carried(mark: str) -> bool:
    """Say whether a live process has a mark that begins with `mark`."""
    return bool(_marked(mark))


def _end(pids: Iterable[int], groups: Collection[int], grace: float) -> None:
    left = [Identity(pid, ticks, "") for pid in pids if (ticks := start_ticks(pid)) is not None]
    for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, GRACE_SECONDS)):
        for one in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if one.pid in groups else os.kill)(one.pid, number)
        deadline = time.monotonic() + wait
        while (left := [one for one in left if _lives(one)]) and time.monotonic() < deadline:
            time.sleep(0.01)


def _lives(one: Identity) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(one.pid, os.WNOHANG)
    return start_ticks(one.pid) == one.ticks


def _marked(mark: str) -> list[int]:
    if not Path("/proc/self/environ").exists():
        return []
    pids = {int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()} - {os.getpid()}
    return [pid for pid in sorted(pids) if _carries(pid, mark)]


def _carries(pid: int, mark: str, *, whole: bool = False) -> bool:
    """Say whether a live process has a mark that begins with `mark`, or with `whole` exactly this mark."""
    wanted = b"\0" + os.fsencode(f"{VARIABLE}={mark}") + (b"\0" if whole else b"")
    try:
        handle = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        environment = b"\0"
        while piece := os.read(handle, 1 << 16):
            environment += piece
    except OSError:
        return False
    finally:
        os.close(handle)
    return wanted in environment

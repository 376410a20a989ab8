"""This machine as a place: runs orders as child processes and keeps their logs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trailblazer.places.watching import Watch
from trailblazer.processes.children import GRACE_SECONDS, Child, Children
from trailblazer.processes.identity import Identity
from trailblazer.processes.marks import end_marked
from trailblazer.processes.spawning import Block, environment_block
from trailblazer.providers.order import Finished, Order

CUT_SECONDS = 0.1


class Local:
    """Runs the orders of one dispatch. `folder` is that of the dispatch: its path marks every process.

    `environment` holds the variables that every order gets beside those that it names.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark = mark_of(folder)
        self.children = Children(self._mark)
        self._added = dict(environment)
        self._blocks: dict[tuple[str, ...], Block] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._logs: dict[int, tuple[int, bool]] = {}  # open logs: their cap, and whether they were cut
        self._watches: dict[int, Watch] = {}  # by the log of stdout
        self._lock = threading.Lock()
        self._over = threading.Event()
        # Started before the first order: later the slots may have taken every thread that the system gives.
        threading.Thread(target=self._keep_caps, name="log-caps", daemon=True).start()

    def start(self, order: Order, name: str) -> Process:
        """Start an order and return at once. `name` marks its processes; what cannot start raises OSError."""
        stdin = self._null if order.stdin is None else os.open(order.stdin, os.O_RDONLY | os.O_CLOEXEC)
        logs = (self._null, self._null)
        try:
            logs = self._open_logs(order)
            began = time.monotonic()
            child = self.children.start(
                order.argv,
                stdin=stdin,
                stdout=logs[0],
                stderr=logs[1],
                environment=self._environment(order),
                name=name,
                limit_seconds=order.limit_seconds,
                folder=order.tree,
            )
            self._watch(order, child, logs)
        except BaseException:
            self._close_logs(logs)
            raise
        finally:
            if stdin != self._null:
                os.close(stdin)
        return Process(self, child, logs, began)

    def _watch(self, order: Order, child: Child, logs: tuple[int, int]) -> None:
        if order.idle_seconds is None and order.final is None:
            return
        if logs[0] != self._null:
            with self._lock:
                self._watches[logs[0]] = Watch(order, logs, lambda why: self.children.end(child, why))

    def _environment(self, order: Order) -> Block:
        names = order.environment
        if order.variables or order.tree:
            place = {"PWD": order.tree} if order.tree else {}
            return environment_block({**_ours(names), **self._added, **place, **order.variables})
        block = self._blocks.get(names)
        if block is None:
            block = self._blocks[names] = environment_block({**_ours(names), **self._added})
        return block

    def _open_logs(self, order: Order) -> tuple[int, int]:
        if order.log_cap is None:
            return self._null, self._null
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        stdout = os.open(f"{order.folder}/worker.stdout", flags, 0o600)
        try:
            logs = stdout, os.open(f"{order.folder}/worker.stderr", flags, 0o600)
        except BaseException:
            os.close(stdout)
            raise
        with self._lock:
            self._logs[logs[0]] = self._logs[logs[1]] = order.log_cap, False
        return logs

    def _keep_caps(self) -> None:
        while not self._over.wait(CUT_SECONDS):
            self._cut()
            with self._lock:
                for watch in self._watches.values():
                    watch.look()

    def _cut(self) -> None:
        """Cut logs that have grown past their cap: the head stays, and what comes next is appended behind it."""
        with self._lock:
            for log, (cap, _) in self._logs.items():
                if os.fstat(log).st_size > cap:
                    os.ftruncate(log, cap)
                    self._logs[log] = cap, True

    def wait(self, child: Child, logs: tuple[int, int], began: float) -> Finished:
        """Wait for a child; return how it ended and what its logs hold."""
        ended = self.children.wait(child)
        sizes, truncated = [0, 0], False
        if logs[0] != self._null:
            sizes = [os.fstat(log).st_size for log in logs]
            if max(sizes) > self._logs[logs[0]][0]:
                self._cut()
                sizes = [os.fstat(log).st_size for log in logs]
            truncated = self._logs[logs[0]][1] or self._logs[logs[1]][1]
        self._close_logs(logs)
        return Finished(
            exit_code=ended.exit_code,
            signal=ended.signal,
            why=ended.why,
            seconds=time.monotonic() - began,
            user_seconds=ended.user_seconds,
            system_seconds=ended.system_seconds,
            peak_memory_kib=ended.peak_memory_kib,
            stdout_bytes=sizes[0],
            stderr_bytes=sizes[1],
            truncated=truncated,
        )

    def _close_logs(self, logs: tuple[int, int]) -> None:
        if logs[0] == self._null:
            return
        with self._lock:
            self._watches.pop(logs[0], None)
            for log in logs:
                self._logs.pop(log, None)
                os.close(log)

    def end(self, child: Child, why: str, grace: float) -> None:
        """Ask a child to end."""
        self.children.end(child, why, grace)

    def close(self) -> None:
        """End whatever of the dispatch still lives."""
        self._over.set()
        self.children.close()
        os.close(self._null)


class Process:
    """An order that runs. `handle` finds the process again after a restart."""

    def __init__(self, place: Local, child: Child, logs: tuple[int, int], began: float) -> None:
        self._place, self._child, self._logs, self._began = place, child, logs, began
        identity = child.identity
        self.handle: Mapping[str, Any] = {"pid": identity.pid, "ticks": identity.ticks, "boot": identity.boot}

    def wait(self) -> Finished:
        """Wait until it has ended, by itself, by its limit, or because it was asked to."""
        return self._place.wait(self._child, self._logs, self._began)

    def end(self, why: str, grace: float = GRACE_SECONDS) -> None:
        """Ask it to end; it is killed after the grace (in seconds)."""
        self._place.end(self._child, why, grace)


def _ours(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return our variables of these names; `*` is all of them."""
    return os.environ if "*" in names else {name: os.environ[name] for name in names if name in os.environ}


def mark_of(folder: Path) -> str:
    """Return how the mark of every process of a dispatch begins."""
    return f"{folder.resolve()}#"


def end_survivors(folder: Path, handles: list[Mapping[str, Any]]) -> int:
    """End the processes that a killed dispatcher left behind, by mark and by identity; return how many there were."""
    known = [
        Identity(one["pid"], one["ticks"], one["boot"]) for one in handles if {"pid", "ticks", "boot"} <= one.keys()
    ]
    return end_marked(mark_of(folder), known)

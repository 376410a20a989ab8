"""Warm worker processes: an exchange takes an idle one or starts one, and returns it at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from trailblazer.errors import ServiceDown, Trouble
from trailblazer.places.local import mark_of
from trailblazer.processes.children import Child, Children, Ended
from trailblazer.processes.spawning import environment_block


class WorkerEnded(Trouble):
    """A worker was ended before it answered: `why` is timeout or cancelled."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


class Workers:
    """Processes of one command that answer lines with lines. Their stderr goes into `folder`, that of the dispatch.

    A worker that gives no sign of life for `limit_seconds` is ended. A dispatch that has other children as well gives
    its `children`: only one may wait for them.
    """

    def __init__(
        self,
        argv: list[str],
        folder: Path,
        environment: Mapping[str, str],
        limit_seconds: float,
        *,
        children: Children | None = None,
        name: str = "worker",
    ) -> None:
        self._argv, self._folder, self._limit, self._name = argv, folder, limit_seconds, name
        self._children = children or Children(mark_of(folder))
        self._environment = environment_block(without_working_folder(environment))
        # A worker asks to die with the thread that started it: that thread lives as long as the dispatcher does.
        self._starter = ThreadPoolExecutor(1, "workers")
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []
        self._started = 0

    def exchange(self, request: bytes, limit_seconds: float | None = None) -> Exchange:
        """Send a line to a worker and return at once; the exchange yields the answers.

        The first answer may have another limit than the others.
        """
        with self._lock:
            worker = self._idle.pop() if self._idle else self._start_from_its_thread()
        worker.child.limit(limit_seconds or self._limit)
        with contextlib.suppress(OSError):  # a worker that died answers nothing: the exchange notices
            worker.requests.write(request)
            worker.requests.flush()
        return Exchange(self, worker)

    def _start_from_its_thread(self) -> _Worker:
        try:
            return self._starter.submit(self._start).result()
        except RuntimeError:
            raise WorkerEnded("the dispatch has ended", "cancelled") from None

    def _start(self) -> _Worker:
        self._started += 1
        log = os.open(
            self._folder / f"{self._name}_{self._started}.stderr",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        their_stdin, requests = os.pipe2(os.O_CLOEXEC)
        replies, their_stdout = os.pipe2(os.O_CLOEXEC)
        try:
            child = self._children.start(
                self._argv,
                stdin=their_stdin,
                stdout=their_stdout,
                stderr=log,
                environment=self._environment,
                name=f"{self._name}-{self._started}",
            )
        finally:
            for handle in (their_stdin, their_stdout, log):
                os.close(handle)
        worker = _Worker(child, os.fdopen(requests, "wb"), os.fdopen(replies, "rb"))
        self._all.append(worker)
        return worker

    def keep(self, worker: _Worker) -> None:
        """Take back a worker that has answered everything."""
        worker.child.limit(None)
        with self._lock:
            self._idle.append(worker)

    def renew_limit(self, worker: _Worker) -> None:
        """Start the time limit of a worker again after a sign of life."""
        worker.child.limit(self._limit)

    def remove(self, worker: _Worker) -> Trouble:
        """Remove a worker that ended, and return why it ended. The next exchange starts another worker."""
        with self._lock:
            if worker in self._all:
                self._all.remove(worker)
        worker.close()
        ended = worker.wait(self._children)
        if ended.why == "timeout":
            return WorkerEnded(f"took longer than {self._limit:g} s and was ended", "timeout")
        if ended.why:
            return WorkerEnded("ended before it was done", "cancelled")
        by = f"signal {ended.signal}" if ended.signal else f"exit code {ended.exit_code}"
        return ServiceDown(f"the {self._name} process died ({by})", f"See {self._name}_*.stderr in {self._folder}.")

    def end(self, worker: _Worker, why: str, grace: float) -> None:
        """Ask a worker to end."""
        self._children.end(worker.child, why, grace)

    def close(self, *, at_once: bool = False) -> None:
        """Close the stdin of every worker, or end it `at_once`, and wait until each has ended."""
        with self._lock:
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            if at_once:
                self._children.end(worker.child, "cancelled", 0)
            else:
                worker.requests.close()
        for worker in workers:
            worker.wait(self._children)
            worker.close()
        self._children.close()
        self._starter.shutdown()


class Exchange:
    """A request that a worker is answering."""

    def __init__(self, workers: Workers, worker: _Worker) -> None:
        self._workers, self._worker = workers, worker
        identity = worker.child.identity
        self.handle: Mapping[str, Any] = {"pid": identity.pid, "ticks": identity.ticks, "boot": identity.boot}

    def answers(self) -> Iterator[bytes]:
        """Yield the answers as they come. The caller stops after the last one and calls `over`.

        A worker that dies raises ServiceDown; a worker that was ended raises WorkerEnded.
        """
        while True:
            try:
                line = self._worker.replies.readline()
            except (OSError, ValueError):
                line = b""
            if not line.endswith(b"\n"):
                raise self._workers.remove(self._worker)
            self._workers.renew_limit(self._worker)
            yield line

    def over(self) -> None:
        """Give the worker back after its last answer."""
        self._workers.keep(self._worker)

    def end(self, why: str, grace: float) -> None:
        """Ask the worker to end."""
        self._workers.end(self._worker, why, grace)


class _Worker:
    def __init__(self, child: Child, requests: IO[bytes], replies: IO[bytes]) -> None:
        self.child, self.requests, self.replies = child, requests, replies
        self._lock = threading.Lock()
        self._ended: Ended | None = None

    def wait(self, children: Children) -> Ended:
        """Wait until it has ended; two threads may wait at once: the one that closes and the one that asked."""
        with self._lock:
            self._ended = self._ended or children.wait(self.child)
            return self._ended

    def close(self) -> None:
        for stream in (self.requests, self.replies):
            with contextlib.suppress(OSError):
                stream.close()


def without_working_folder(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose PYTHONPATH has only whole paths: an empty one, or `.`, means the working folder."""
    whole = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if Path(path).is_absolute()]
    others = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    return others | ({"PYTHONPATH": os.pathsep.join(whole)} if whole else {})


def python_module(module: str) -> list[str]:
    """Return the argv that runs a module of ours with this Python, without the working folder on its path (rule 6)."""
    return [sys.executable, "-P", "-m", module]

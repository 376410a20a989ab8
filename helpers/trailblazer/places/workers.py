"""Warm worker processes: each thread that asks has one of its own, started when first asked and again when it died."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from trailblazer import errors
from trailblazer.errors import ServiceDown, Trouble
from trailblazer.processes.children import Child, Children
from trailblazer.processes.identity import Identity
from trailblazer.processes.spawning import environment_block
from trailblazer.record.outcomes import AttemptEnded, Status


class Workers:
    """Processes of one command that answer requests, one JSON object a line; one a thread."""

    def __init__(
        self, argv: list[str], children: Children, logs: Path, environment: Mapping[str, str], limit_seconds: float
    ) -> None:
        self._argv, self._children, self._logs = argv, children, logs
        self._environment, self._limit = environment_block(environment), limit_seconds
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._all: list[_Worker] = []

    def identity(self) -> Identity:
        """Return which process answers this thread."""
        return self._worker().identity

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply to a request; a Trouble that the worker met is raised here.

        A worker that dies is ServiceDown; one that took too long or was cancelled is AttemptEnded. The next request
        starts another.
        """
        worker = self._worker()
        worker.child.deadline = time.monotonic() + self._limit
        try:
            worker.requests.write(json.dumps(request).encode() + b"\n")
            worker.requests.flush()
            line = worker.replies.readline()
        except OSError:
            line = b""
        worker.child.deadline = None
        if not line.endswith(b"\n"):
            raise self._lost(worker)
        reply: dict[str, Any] = json.loads(line)
        if "trouble" in reply:
            kind = getattr(errors, reply["trouble"], Trouble)
            raise kind(reply["what"], reply["hint"])
        return reply

    def close(self) -> None:
        """Let every worker end, and wait for it."""
        with self._lock:
            for worker in self._all:
                worker.requests.close()
            for worker in self._all:
                self._children.wait(worker.child)
                worker.replies.close()
            self._all.clear()

    def _worker(self) -> _Worker:
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            with self._lock:
                worker = self._start(len(self._all) + 1)
                self._all.append(worker)
            self._mine.worker = worker
        return worker

    def _start(self, number: int) -> _Worker:
        log = os.open(
            self._logs / f"worker_{number}.stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        their_stdin, requests = os.pipe2(os.O_CLOEXEC)
        replies, their_stdout = os.pipe2(os.O_CLOEXEC)
        try:
            child = self._children.start(
                self._argv, stdin=their_stdin, stdout=their_stdout, stderr=log, environment=self._environment
            )
        finally:
            for handle in (their_stdin, their_stdout, log):
                os.close(handle)
        return _Worker(child, child.identity, os.fdopen(requests, "wb"), os.fdopen(replies, "rb"))

    def _lost(self, worker: _Worker) -> Trouble:
        self._mine.worker = None
        with self._lock:
            self._all.remove(worker)
        worker.replies.close()
        with contextlib.suppress(OSError):
            worker.requests.close()
        ended = self._children.wait(worker.child)
        if ended.why == "timeout":
            return AttemptEnded(f"took longer than {self._limit:g} s and was ended", Status.TIMEOUT)
        if ended.why:
            return AttemptEnded("ended before it was done", Status.CANCELLED)
        by = f"signal {ended.signal}" if ended.signal else f"exit code {ended.exit_code}"
        return ServiceDown(f"the worker process died ({by})", f"See worker_*.stderr in {self._logs}.")


class _Worker:
    def __init__(self, child: Child, identity: Identity, requests: IO[bytes], replies: IO[bytes]) -> None:
        self.child, self.identity, self.requests, self.replies = child, identity, requests, replies


def python_module(module: str) -> list[str]:
    """Return the words that run a module of ours with this Python."""
    return [sys.executable, "-m", module]

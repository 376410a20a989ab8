"""Runs one command after the other: what it prints goes to the log, its time is limited, a TERM goes on to it."""

from __future__ import annotations

import os
import queue
import selectors
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from trailblazer.cron.log import LONGEST_LINE, DatedLog
from trailblazer.plain import one_line
from trailblazer.processes.children import Child, Children, start_failure
from trailblazer.processes.spawning import environment_block

GRACE_SECONDS = 30.0
"""How long a command may take to end after a TERM: a dispatch ends its attempts, writes its summary and its seal."""
NOT_STARTED = 126
TIMED_OUT = 124
_OVER = 0
_READ_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Carried:
    """How a command ended: the exit code that cron sees, why it was ended (or ""), seconds, last line on stderr."""

    exit_code: int
    why: str
    seconds: float
    last_words: str


class Carrier:
    """Runs commands whose processes carry `mark`. While it is entered INT, TERM and HUP end the command that runs.

    A second signal kills it. Only the main thread may enter it.
    """

    def __init__(self, mark: str, log: DatedLog) -> None:
        self._log = log
        self._children = Children(mark)
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Carrier:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)

    def __exit__(self, *_: object) -> None:
        self._children.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(
        self, argv: Sequence[str], *, limit_seconds: float, environment: Mapping[str, str], stdin: int | None = None
    ) -> Carried:
        """Run a command to its end. One that cannot be started has the exit code 126 and says why in its last words."""
        began = time.monotonic()
        output = _Output(self._log)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            child = self._children.start(
                argv,
                stdin=null if stdin is None else stdin,
                stdout=output.stdout,
                stderr=output.stderr,
                environment=environment_block(environment),
            )
        except (OSError, ValueError) as error:
            output.finish()
            words = start_failure(error, argv[0]) if isinstance(error, OSError) else str(error)
            return Carried(NOT_STARTED, "", 0.0, one_line(words))
        finally:
            os.close(null)
        output.close_ends()
        watch = threading.Thread(target=self._watch, args=(child, limit_seconds), name="watch", daemon=True)
        watch.start()
        ended = self._children.wait(child)
        self._signals.put(_OVER)
        watch.join()
        output.finish()
        code = 128 + ended.signal if ended.signal else ended.exit_code or 0
        return Carried(
            TIMED_OUT if ended.why == "timeout" else code,
            ended.why,
            round(time.monotonic() - began, 1),
            self._log.without_secrets(one_line(output.last_words)),
        )

    def _watch(self, child: Child, limit_seconds: float) -> None:
        """End a child at its limit, or when a signal comes."""
        left: float | None = limit_seconds
        grace = GRACE_SECONDS
        while True:
            try:
                number = self._signals.get(timeout=left)
            except queue.Empty:
                self._log.note(f"the limit of {limit_seconds:g} s is reached: ending it")
                self._children.end(child, "timeout", GRACE_SECONDS)
                left = None
                continue
            if number == _OVER:
                return
            self._log.note(f"{signal.Signals(number).name} came: ending it")
            self._children.end(child, "cancelled", grace)
            left, grace = None, 0.0


class _Output:
    """Two pipes for a command, and a thread that writes what comes out of them to the log."""

    def __init__(self, log: DatedLog) -> None:
        self._log = log
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        self._ends = [self.stdout, self.stderr]
        self._pending: dict[int, bytes] = {out: b"", err: b""}
        self._err = err
        self._is_over = threading.Event()
        self.last_words = ""
        for pipe in self._pending:
            os.set_blocking(pipe, False)
        self._reader = threading.Thread(target=self._read, name="output", daemon=True)
        self._reader.start()

    def close_ends(self) -> None:
        """Close our copies of the ends that the command writes to."""
        while self._ends:
            os.close(self._ends.pop())

    def finish(self) -> None:
        """Write what is left. A process that we did not start may hold a pipe open: it is not waited for."""
        self.close_ends()
        self._is_over.set()
        self._reader.join()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for pipe in self._pending:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                is_over = self._is_over.is_set()
                ready = selector.select(0 if is_over else _READ_SECONDS)
                for key, _ in ready:
                    if not self._take(key.fd):
                        selector.unregister(key.fd)
                if is_over and not ready:
                    break
        for pipe, rest in self._pending.items():
            self._write(pipe, rest)
            os.close(pipe)

    def _take(self, pipe: int) -> bool:
        """Write the whole lines that a pipe holds; say whether more may come."""
        piece = os.read(pipe, 1 << 16)
        *lines, rest = (self._pending[pipe] + piece).split(b"\n")
        while len(rest) > LONGEST_LINE:  # not longer: how much one read brings does not decide what is in the log
            lines, rest = [*lines, rest[:LONGEST_LINE]], rest[LONGEST_LINE:]
        for line in lines:
            for start in range(0, len(line), LONGEST_LINE):
                self._write(pipe, line[start : start + LONGEST_LINE])
        self._pending[pipe] = rest
        return bool(piece)

    def _write(self, pipe: int, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if not text.strip():
            return
        self._log.write(text)
        if pipe == self._err and not text.startswith((" ", "\t")):
            self.last_words = text

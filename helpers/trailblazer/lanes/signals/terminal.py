"""`--dispatch stdin`: each prompt is printed, and a person or a script types the answer."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import orjson

from trailblazer import schemas
from trailblazer.errors import StorageTrouble
from trailblazer.plain import one_line, plain
from trailblazer.signals.artifacts import MOST_BYTES
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.files import Result
from trailblazer.signals.suite import Suite
from trailblazer.streams import put_out

TICK_SECONDS = 0.1


class Terminal:
    """Asks on stdout and reads from stdin, one question after the other; `timeout` is in seconds."""

    def __init__(self, suite: Suite, timeout: float) -> None:
        self._suite, self._timeout = suite, timeout
        self._left = b""

    def post(self, contexts: Sequence[Context]) -> Asked:
        """Return questions, which are asked when their results are waited for."""
        return Asked(self, contexts, tuple(self._suite.next_ids(len(contexts))))

    def ask(self, context: Context, number: int, over: threading.Event) -> Result:
        """Print a prompt and return the answer: one JSON object, in one line or until it is whole."""
        try:
            put_out(f"{plain(context.prompt)}\n\nSignal {number}: {context.case_id}, {context.step}. Answer (JSON): ")
        except StorageTrouble as trouble:
            return Result(context, number, "error", error=trouble.what)
        text, deadline = b"", time.monotonic() + self._timeout
        while True:
            line = self._read_line(deadline, over)
            if line is None:
                is_late = time.monotonic() >= deadline
                why = f"no answer came within {self._timeout:g} s" if is_late else "nobody waits for it any more"
                return Result(context, number, "timeout" if is_late else "cancelled", error=why)
            text += line
            try:
                return self._result(context, number, text)
            except ValueError as error:
                if not line or not line.strip() or len(text) > MOST_BYTES:
                    why = (
                        one_line(str(error), 200) if text.strip() else "stdin has ended" if not line else "it is empty"
                    )
                    return Result(context, number, "error", error=f"the answer is not accepted: {why}")

    def _result(self, context: Context, number: int, text: bytes) -> Result:
        answer = schemas.parse_json(text)
        if isinstance(answer, dict) and {"dispatch_id", "data"} <= answer.keys():
            answer = answer["data"]
        if not isinstance(answer, dict):
            return Result(context, number, "error", error="the answer is not a JSON object")
        artifact = orjson.dumps({"dispatch_id": number, "data": answer}, option=orjson.OPT_APPEND_NEWLINE)
        return Result(context, number, "done", artifact, answer)

    def _read_line(self, deadline: float, over: threading.Event) -> bytes | None:
        """Return the next line with its end, empty at the end of stdin, None when nobody waits any more."""
        while b"\n" not in self._left:
            if over.is_set() or time.monotonic() >= deadline:
                return None
            if select.select([sys.stdin], [], [], TICK_SECONDS)[0]:
                piece = os.read(sys.stdin.fileno(), 1 << 16)
                if not piece:
                    line, self._left = self._left, b""
                    return line
                self._left += piece
        line, newline, self._left = self._left.partition(b"\n")
        return line + newline


class Asked:
    """Questions on a terminal."""

    def __init__(self, terminal: Terminal, contexts: Sequence[Context], numbers: tuple[int, ...]) -> None:
        self._terminal, self._contexts, self.numbers = terminal, contexts, numbers
        self._over = threading.Event()

    def results(self) -> Iterator[Result]:
        """Ask one question after the other, and yield the answers."""
        for context, number in zip(self._contexts, self.numbers, strict=True):
            yield self._terminal.ask(context, number, self._over)

    def end(self) -> None:
        """Wait no longer for an answer."""
        self._over.set()

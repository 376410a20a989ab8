"""Short questions to other programs (G0): an answer within a time limit, or none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from trailblazer.processes.children import signal_group, start_failure

ASK_SECONDS = 10.0
LOOK_SECONDS = 0.1
MOST_BYTES = 8 << 20  # of each stream


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said: its exit code, stdout and stderr. A time-out has the code 124, a missing program 127.

    A program may end with those codes by itself: `is_late` says that it was ended because it did not answer.
    """

    code: int
    out: str
    err: str
    is_late: bool = False


def ask(
    argv: Sequence[str],
    *,
    seconds: float = ASK_SECONDS,
    environment: Mapping[str, str] | None = None,
    over: threading.Event | None = None,
    most_bytes: int = MOST_BYTES,
    **options: Any,
) -> Answer:
    """Return what a program answers. It has a session of its own and reads nothing unless `options` give it a stdin.

    A program that has not ended in time, or when `over` is set, is killed with its whole process group. Only the
    program itself is waited for: what it leaves running in the background holds no answer back. What it prints beyond
    `most_bytes` on a stream is cut.
    """
    from plumbum import local

    variables = dict(os.environ if environment is None else environment)
    program = shutil.which(argv[0], path=variables.get("PATH", os.defpath))
    if program is None:
        return Answer(127, "", f"command not found: {argv[0]}")
    given = {"stdin": subprocess.DEVNULL, "new_session": True, "env": variables}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process: Any = local[program].popen(tuple(argv[1:]), **{"stdout": out, "stderr": err, **given, **options})
        except OSError as error:
            return Answer(126, "", start_failure(error, argv[0]))
        is_late = True
        try:
            is_late = not _has_ended(process, seconds, over)
        finally:
            if is_late:
                signal_group(process.pid, signal.SIGKILL)
                process.wait()
        if is_late:
            return Answer(124, _said(out, most_bytes), f"{argv[0]} did not answer within {seconds:g} s", is_late=True)
        return Answer(process.returncode, _said(out, most_bytes), _said(err, most_bytes))


def _has_ended(process: Any, seconds: float, over: threading.Event | None) -> bool:
    """Wait for a process; return whether it has ended before its time was up and before `over` was set."""
    deadline = time.monotonic() + seconds
    while not (over is not None and over.is_set()):
        left = max(deadline - time.monotonic(), 0.0)
        try:
            process.wait(left if over is None else min(left, LOOK_SECONDS))
            return True
        except subprocess.TimeoutExpired:
            if not left:
                return False
    return False


def _said(file: IO[bytes], most_bytes: int) -> str:
    file.seek(0)
    return file.read(most_bytes).decode("utf-8", "replace")

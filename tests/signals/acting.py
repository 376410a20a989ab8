"""What the tests of signals share: agents that answer with raw files, and dispatchers that wait beside the test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lanes.embed.project import wait_for
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.suite import Suite

Answer = TypeVar("Answer")
LIMIT = 60.0


def contexts(count: int) -> list[Context]:
    """Return units of work: case c0, c1, …"""
    return [Context(f"c{number}", "triage", f"What is wrong with case {number}?") for number in range(count)]


def answer_to(number: int, **data: object) -> bytes:
    """Return the artifact of a signal, as an agent may write it."""
    return json.dumps({"dispatch_id": number, "data": data}, indent=1).encode()


def put(target: Path, content: bytes) -> None:
    """Write a file as an agent should: under another name, then renamed into place."""
    draft = target.with_name(f"{target.name}.draft")
    draft.write_bytes(content)
    draft.rename(target)


def reply(suite: Suite, number: int, **data: object) -> bytes:
    """Answer a signal, and return what was written."""
    content = answer_to(number, **data)
    put(suite.artifact(number), content)
    return content


@contextmanager
def beside(act: Callable[[], Answer]) -> Iterator[Future[Answer]]:
    """Do something in a thread beside the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(act)


def reasons(suite: Suite) -> list[str]:
    """Return why artifacts were rejected."""
    return [json.loads(file.read_bytes())["reason"] for file in sorted(suite.rejected.glob("*.reason.json"))]


def wait_for_signals(suite: Suite, count: int) -> list[int]:
    """Return the numbers of the signals, when there are so many."""

    def found() -> list[int]:
        return sorted(int(file.parent.name) for file in suite.signals.glob("*/signal.json"))

    wait_for(lambda: len(found()) >= count, f"{count} signals")
    return found()


def run_script(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)

"""Ratios for a noisy machine: both commands take turns, and each turn has its own ratio."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Compared(NamedTuple):
    """The median of our measurements, that of theirs, and the median of the ratios of the turns (ours / theirs)."""

    ours: float
    theirs: float
    ratio: float


def compare(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Compared:
    """Measure both in turns. One more turn at the start warms up and does not count."""
    turns = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    return Compared(
        statistics.median(turn[0] for turn in turns),
        statistics.median(turn[1] for turn in turns),
        statistics.median(a / b for a, b in turns),
    )


def processor_seconds() -> float:
    """Return the processor time of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds_of(command: Sequence[str], **given: object) -> float:
    """Return how many seconds a command takes as a whole process, in an environment without our settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PYTHON"))}
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment, **given)  # type: ignore[call-overload]
    return time.perf_counter() - started

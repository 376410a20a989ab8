"""What one costs at several sizes: the points of a curve, and how a command is measured for one."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _turns import processor_seconds


@dataclass(frozen=True, slots=True)
class Point:
    """What a size of a curve came to. `curve` names the verb; `peak_mib` is 0 where memory is not what is asked.

    `seconds` are those of the clock. `microseconds` are for one item, run, step or chunk: processor time of a command
    and its children, which other work on the machine changes little.
    """

    curve: str
    size: int
    seconds: float
    microseconds: float
    peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """The seconds of a whole command, its processor time and that of its children, and the peak memory of itself."""

    seconds: float
    processor: float
    peak_mib: float

    def at(self, curve: str, size: int) -> Point:
        """Return the point of a curve at a size of so many items."""
        return Point(curve, size, self.seconds, 1e6 * self.processor / size, self.peak_mib)


def spent_by(command: Sequence[str], folder: Path) -> Spent:
    """Carry a command out in a folder, without our settings; the kernel shows its peak while it lives."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PYTHON"))}
    null, peak = subprocess.DEVNULL, 0
    begun, used = time.perf_counter(), processor_seconds()
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=null, stdout=null, stderr=null) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            with contextlib.suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
                peak = int(found[1]) if found else peak
            time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Spent(time.perf_counter() - begun, processor_seconds() - used, peak / 1024)

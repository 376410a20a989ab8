"""The memory of a dispatch does not grow with its plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FEW, MANY, MOST = 100, 20_000, 1.5


def _peak_kib(folder: Path, items: int) -> int:
    """Return the peak memory of carrying out, closing and sealing a dispatch of `items` items, in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), str(items)],
        cwd=Path(__file__).parents[1],
        env={"PYTHONPATH": f".:{Path(__file__).parents[2] / 'helpers'}", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert 0 == done.returncode, done.stderr
    return int(done.stdout)


_PROGRAM = "import sys; from pathlib import Path; from dispatch.engine_alone import main\n" + (
    "sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))"
)


def test_memory_does_not_grow_with_the_plan(tmp_path: Path) -> None:
    """With 20,000 items the engine takes at most 1.5 times the memory that it takes with 100."""
    few, many = (_peak_kib(tmp_path / str(items), items) for items in (FEW, MANY))
    assert many <= MOST * few, f"{many} KiB at {MANY} items, {few} KiB at {FEW}"

"""Many small runs: chunked and embedded, skipped when nothing changed, and preflighted.

Run as `python benchmarks/runs.py`. Each row is a whole command as a user types it, on a warm embedded database; every
run is one short document. Rates are in runs a second, per round, with the processor time that the command and its
children took; the server's is not in it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _turns import seconds_of

from trailblazer.database import server, vitals
from trailblazer.paths import Places

RUNS = 1_500
ROUNDS = 3
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))


@dataclass(frozen=True, slots=True)
class Row:
    """A verb, what must have come before each round (words of another verb), and the rate to reach in runs a second."""

    what: str
    words: tuple[str, ...]
    before: tuple[str, ...] = ()
    reach: str = ""


ROWS = (
    Row("run", ("run",), ("runs", "reset", "--scope", "all", "--yes"), ">= 300 runs/s"),
    Row("dispatch skip-unchanged", ("dispatch", "plan=plan.txt", "skip-unchanged"), (), ">= 1,000 runs/s"),
    Row("embed plan-preflight", ("embed", "plan-preflight")),
    Row("dispatch", ("dispatch", "plan=plan.txt")),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        try:
            _make_runs(folder, RUNS)
            print(f"{f'{RUNS:,} runs of one short document':<30} {'seconds':>8} {'rate':>12} {'processor':>12}")
            for row in ROWS:
                _measure(row, folder)
        finally:
            server.stop(vitals.base_of(Places(folder, folder / "var")))


def _make_runs(folder: Path, count: int) -> None:
    (folder / "config").mkdir()
    (folder / "config/.trailblazer.yaml").touch()
    for number in range(count):
        source = folder / "pages" / f"{number:06d}"
        source.mkdir(parents=True)
        (source / "page.md").write_text(f"# Page {number}\n\nThe pump of house {number} is serviced in spring.\n")
    _carry_out(folder, ("normalize", "pages", "--run", "page"))
    (folder / "plan.txt").write_text("".join(f"page-{number:06d}\n" for number in range(count)))


def _carry_out(folder: Path, words: tuple[str, ...]) -> float:
    return seconds_of([PROGRAM, *words, "--quiet"], cwd=folder, stderr=subprocess.DEVNULL)


def _measure(row: Row, folder: Path) -> None:
    spent = []
    for _ in range(ROUNDS):
        if row.before:
            _carry_out(folder, row.before)
        before = _processor_seconds()
        spent.append((_carry_out(folder, row.words), _processor_seconds() - before))
    seconds, processor = (statistics.median(column) for column in zip(*spent, strict=True))
    rate, each = f"{RUNS / seconds:,.0f} runs/s", f"{1000 * processor / RUNS:.2f} ms a run"
    print(f"trailblazer {row.what:<18} {seconds:>8.2f} {rate:>12} {each:>12}   {row.reach}", flush=True)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

"""Many small runs: chunked and embedded, skipped when nothing changed, and preflighted.

Run as `python benchmarks/runs.py`. Each row is a whole command as a user types it, on a warm embedded database; every
run is one short document. Each round is in a new project: after many deletions ext4 makes files slowly for a while.
Rates are in runs a second, the median of the rounds, with the processor time that the command and its children took;
the server's is not in it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _turns import processor_seconds, seconds_of

from trailblazer.database import server, vitals
from trailblazer.paths import Places

RUNS = 1_500
ROUNDS = 3
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))


@dataclass(frozen=True, slots=True)
class Row:
    """A verb, its words, and the rate to reach."""

    what: str
    words: tuple[str, ...]
    reach: str = ""


ROWS = (
    Row("run", ("run",), ">= 300 runs/s"),
    Row("dispatch skip-unchanged", ("dispatch", "plan=plan.txt", "skip-unchanged"), ">= 1,000 runs/s"),
    Row("embed plan-preflight", ("embed", "plan-preflight")),
    Row("dispatch", ("dispatch", "plan=plan.txt")),
)


def main() -> None:
    """Measure and print."""
    spent: dict[str, list[tuple[float, float]]] = {row.what: [] for row in ROWS}
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        for number in range(ROUNDS):
            folder = Path(name, str(number))
            try:
                _make_runs(folder, RUNS)
                _carry_out(folder, ("db", "start"))
                os.sync()
                for row in ROWS:
                    before = processor_seconds()
                    spent[row.what].append((_carry_out(folder, row.words), processor_seconds() - before))
            finally:
                server.stop(vitals.base_of(Places(folder, folder / "var")))
    print(f"{f'{RUNS:,} runs of one short document':<36} {'time':>10} {'rate':>14} {'processor':>16}")
    for row in ROWS:
        seconds, processor = (statistics.median(column) for column in zip(*spent[row.what], strict=True))
        rate, each = f"{RUNS / seconds:,.0f} runs/s", f"{1000 * processor / RUNS:.2f} ms a run"
        print(f"trailblazer {row.what:<24} {seconds:>8.2f} s {rate:>14} {each:>16}   {row.reach}")


def _make_runs(folder: Path, count: int) -> None:
    (folder / "config").mkdir(parents=True)
    (folder / "config/.trailblazer.yaml").touch()
    for number in range(count):
        source = folder / "pages" / f"{number:06d}"
        source.mkdir(parents=True)
        (source / "page.md").write_text(f"# Page {number}\n\nThe pump of house {number} is serviced in spring.\n")
    _carry_out(folder, ("normalize", "pages", "--run", "page"))
    (folder / "plan.txt").write_text("".join(f"page-{number:06d}\n" for number in range(count)))


def _carry_out(folder: Path, words: tuple[str, ...]) -> float:
    return seconds_of([PROGRAM, *words, "--quiet"], cwd=folder, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

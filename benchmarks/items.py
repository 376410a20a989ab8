"""Items through a command, against xargs and GNU parallel, and the memory of the dispatcher.

Run as `python benchmarks/items.py`. The ratios are those of whole commands, each in an empty folder.
"""

from __future__ import annotations

import functools
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _points import spent_by
from _turns import compare, seconds_of

ITEMS = 2_000
MANY, FEW = 100_000, 100
ROUNDS = 7
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))
TRUE = shutil.which("true") or "/bin/true"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        _write_items(folder / "items", ITEMS)
        print(f"{f'{ITEMS:,} x true, with folders, logs, results, journal':<58} {'ours':>8} {'theirs':>8} {'ratio':>7}")
        for slots in (2, 38):
            _race(folder, slots)
        _parts(folder)
        _memory(folder)


def _race(folder: Path, slots: int) -> None:
    logs = f"{TRUE} {{}} >{{}}.out 2>{{}}.err"
    contests = [
        ("xargs with sh -c, two logs an item", f"xargs -P{slots} -I{{}} sh -c '{logs}' <../items", "<= 1.0 x"),
        ("bare xargs -n1", f"xargs -P{slots} -n1 {TRUE} <../items", "<= 1.3 x"),
    ]
    if shutil.which("parallel"):
        words = f"parallel --will-cite -j{slots} --joblog joblog --results results {TRUE} {{}} <../items"
        contests.append(("GNU parallel with --joblog and --results", words, "<= 0.2 x"))
    else:
        print("GNU parallel is not installed: not measured")
    ours = functools.partial(_fresh, folder, _batch(folder / "items", slots))
    for who, words, reach in contests:
        found = compare(ours, functools.partial(_fresh, folder, ["sh", "-c", words]), 3 if "GNU" in who else ROUNDS)
        what = f"  {slots:>2} slots / {who}"
        print(f"{what:<58} {found.ours:>6.2f} s {found.theirs:>6.2f} s {found.ratio:>6.2f}x   {reach}", flush=True)


def _parts(folder: Path) -> None:
    """Print where our processor time goes: start and close, the children themselves, and our work for each item."""
    _write_items(folder / "one", 1)
    whole, fixed, children = (
        statistics.median(_in_fresh_folder(folder, functools.partial(_processor_seconds, words)) for _ in range(ROUNDS))
        for words in (
            _batch(folder / "items", 2),
            _batch(folder / "one", 2),
            ["sh", "-c", f"xargs -P2 -n1 {TRUE} <../items"],
        )
    )
    ours = whole - fixed - children
    print(f"   2 slots / processor time {whole:.2f} s: start and close {fixed:.2f} s, what xargs needs as well "
          f"{children:.2f} s, ours {ours:.2f} s = {1000 * ours / ITEMS:.2f} ms an item")  # fmt: skip


def _memory(folder: Path) -> None:
    peaks = {}
    for count in (FEW, MANY):
        _write_items(folder / "items", count)
        command = _batch(folder / "items", 2)
        peaks[count] = _in_fresh_folder(folder, functools.partial(_peak, command))
    few, many = peaks[FEW], peaks[MANY]
    print(f"memory of the dispatcher at {MANY:,} items / at {FEW}: {many:.0f} MiB / {few:.0f} MiB = "
          f"{many / few:.2f}x   <= 1.3 x")  # fmt: skip


def _batch(items: Path, slots: int) -> list[str]:
    how = ["--items", str(items), "--max-workers", str(slots), "--quiet"]
    return [PROGRAM, "batch", "run", *how, "--", TRUE, "{{ item }}"]


def _write_items(file: Path, count: int) -> None:
    file.write_text("".join(f"{number}\n" for number in range(count)))


def _in_fresh_folder(folder: Path, measure: Callable[[Path], float]) -> float:
    """Measure in a new folder. It stays until the end: after many deletions ext4 makes files slowly for a while."""
    return measure(Path(tempfile.mkdtemp(dir=folder)))


def _fresh(folder: Path, command: list[str]) -> float:
    return _in_fresh_folder(folder, lambda fresh: seconds_of(command, cwd=fresh))


def _processor_seconds(command: list[str], folder: Path) -> float:
    return spent_by(command, folder).processor


def _peak(command: list[str], folder: Path) -> float:
    return spent_by(command, folder).peak_mib


if __name__ == "__main__":
    main()

"""How cost grows: items, runs, claims and documents at sizes far apart, printed as a table and drawn as a picture.

Run as `just bench growth [CURVE ...] [FILE.svg]`: the curves are items, runs, claims and documents, by default all;
with a file the picture is written there. All take up to twenty minutes. A curve does not bend upward when one costs at
most 1.2 times what it cost at the cheapest of the smaller sizes.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from _curves import draw
from _documents import documents
from _points import Point, spent_by

from trailblazer.database import server, vitals
from trailblazer.paths import Places

ITEMS = (2_000, 20_000, 200_000)
RUNS = (100, 1_500, 20_000)
ROWS = (10_000, 1_000_000)
STEPS, TURNS = 300, 9  # of claims, in a table of each size
REACH = 1.2
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))
TRUE = shutil.which("true") or "/bin/true"


def main() -> None:
    """Measure, print, and draw."""
    points = []
    print(f"{'verb':<44} {'size':>9} {'seconds':>9} {'each':>11} {'memory':>9}   by a smaller one")
    curves = {"items": _items, "runs": _runs, "claims": _claims, "documents": documents}
    files = [word for word in sys.argv[1:] if word.endswith(".svg")]
    chosen = [word for word in sys.argv[1:] if word not in files] or list(curves)
    for point in itertools.chain.from_iterable(curves[word]() for word in chosen):
        points.append(point)
        smaller = [one.microseconds for one in points if one.curve == point.curve and one is not point]
        memory = f"{point.peak_mib:,.0f} MiB" if point.peak_mib else "–"
        by = f"{point.microseconds / min(smaller):.2f}x   <= {REACH} x" if smaller else ""
        each = f"{point.microseconds:,.0f} µs"
        print(f"{point.curve:<44} {point.size:>9,} {point.seconds:>9.2f} {each:>11} {memory:>9}   {by}", flush=True)
    for file in files:
        Path(file).write_text(draw(points), encoding="utf-8")


def _items() -> Iterator[Point]:
    for size in ITEMS:
        with _folder() as name:
            Path(name, "items").write_text("".join(f"{number}\n" for number in range(size)))
            how = ["--items", "items", "--max-workers", "2", "--quiet"]
            spent = spent_by([PROGRAM, "batch", "run", *how, "--", TRUE, "{{ item }}"], Path(name))
            yield spent.at("batch run: items through true", size)


def _runs() -> Iterator[Point]:
    """Yield what `run` costs for new runs of one line each, and `dispatch` for the same runs, unchanged."""
    for size in RUNS:
        with _folder() as name:
            folder = Path(name)
            names = _write_runs(folder, size)
            try:
                spent_by([PROGRAM, "db", "start"], folder)
                yield spent_by([PROGRAM, "run", "--quiet"], folder).at("run: small runs", size)
                (folder / "plan.txt").write_text("\n".join(names))
                skip = [PROGRAM, "dispatch", "plan=plan.txt", "skip-unchanged", "--quiet"]
                yield spent_by(skip, folder).at("dispatch skip-unchanged: small runs", size)
            finally:
                server.stop(vitals.base_of(Places(folder, folder / "var")))


def _write_runs(folder: Path, count: int) -> list[str]:
    (folder / "config").mkdir()
    (folder / "config/.trailblazer.yaml").touch()
    names = [f"page-{number:06d}" for number in range(count)]
    for name in names:
        target = folder / "var/runs" / name / "normalize"
        target.mkdir(parents=True)
        text = f'{{"id": "{name}", "title": "Page", "text_md": "The pump of house {name} is serviced in spring."}}\n'
        (target / "normalized.ndjson").write_text(text)
    return names


def _claims() -> Iterator[Point]:
    """Yield what a step of `run` costs, which completes a run and claims the next; in the large table most are done.

    The tables take turns, and the median of the turns counts: a step takes less than a millisecond.
    """
    from _server import Bench
    from claims import plan_from, put_runs, walk

    from trailblazer.database.connection import connect

    with _folder() as name:
        bench = Bench(Path(name))
        try:
            plans, steps = {}, {size: list[float]() for size in ROWS}
            for size in ROWS:
                bench.make_database(f"rows_{size}")
                with connect(bench.config(f"rows_{size}")) as connection:
                    connection.execute("ALTER TABLE processed_runs SET (autovacuum_enabled = off)")
                    put_runs(connection, min(ROWS), size - min(ROWS))
                plans[size] = plan_from(size - min(ROWS) + 1)
            for _, size in itertools.product(range(TURNS), ROWS):
                steps[size].append(walk(bench.config(f"rows_{size}"), plans[size], STEPS, 1))
            for size, turns in steps.items():
                each = 1000 * statistics.median(turns)
                yield Point("run: a step in a table of so many runs", size, 1e-6 * each * STEPS, each)
        finally:
            server.stop(bench.base)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trailblazer-bench-")


if __name__ == "__main__":
    main()

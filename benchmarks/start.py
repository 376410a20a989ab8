"""How long a start takes, against bare Python, and a plan of 100,000 ids, against `sort -u`; ratios of whole processes.

Run as `python benchmarks/start.py`.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path

from _turns import Compared, compare, seconds_of

from trailblazer.cli import VERBS

ROUNDS = 15
IDS = 100_000
PLAN = """
import sys, time
from pathlib import Path
from trailblazer.record import proof
from trailblazer.record import folder as record
from trailblazer.paths import Places
from trailblazer.lanes.embed.plan import Asked, choose_plan
root = Path(sys.argv[1])
places = Places(root, root / "var")
plan = choose_plan(Asked(file=root / "ids.txt"), places)
seed = {"planPreflightDir": None, "planFileUsed": str(plan.file), "runsPlanned": len(plan.items), "provider": "local",
        "model": "l2-supercat-256", "dimension": 256, "workers": 2, "batchSize": 256, "gitCommit": None, "qaDir": None,
        "notes": "", "mode": "embed"}
opened = record.open_record(places, seed, planned=len(plan.items), parameters={})
record.write_plan(opened.folder, plan.items)
opened.publish(inputs=[proof.archive_file(plan.file, opened.folder / "plan")])
"""


def main() -> None:
    """Measure and print."""
    python = sys.executable
    program = str(Path(python).with_name("trailblazer"))
    bare = [python, "-c", "pass"]
    print(f"{'what':<34} {'median':>9} {'ratio':>7}   reach")
    for words in (["--help"], *([verb, "--help"] for verb in VERBS)):
        ours, _, ratio = against([program, *words], bare)
        print(f"{'trailblazer ' + ' '.join(words):<34} {1000 * ours:>6.0f} ms {ratio:>6.2f}x   <= 3 x python -c pass")
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        ids = [f"run-{number:06d}" for number in range(IDS)]
        random.Random(1).shuffle(ids)
        (Path(name) / "ids.txt").write_text("\n".join(ids) + "\n")
        sort = [shutil.which("sort") or "sort", "-u", f"{name}/ids.txt"]
        ours, _, ratio = against([python, "-c", PLAN, name], sort)
        print(f"{'plan of 100,000 ids':<34} {1000 * ours:>6.0f} ms {ratio:>6.2f}x   <= 10 x sort -u")


def against(ours: list[str], theirs: list[str]) -> Compared:
    """Compare two commands, as whole processes."""
    return compare(lambda: seconds_of(ours), lambda: seconds_of(theirs), ROUNDS)


if __name__ == "__main__":
    main()

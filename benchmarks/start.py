"""How long a start takes, against bare Python, and a plan of 100,000 ids, against `sort -u`.

Run as `python benchmarks/start.py`. The ratios are those of whole processes.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _turns import Compared

ROUNDS = 15
IDS = 100_000


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--plan"]:
        _open_dispatch(Path(sys.argv[2]))
        return
    # Here and not above: the process that is measured needs none of it.
    import random
    import shutil
    import tempfile

    from trailblazer.words.grammar import VERBS

    python = sys.executable
    program = str(Path(python).with_name("trailblazer"))
    bare = [python, "-c", "pass"]
    print(f"{'what':<34} {'median':>9} {'ratio':>7}   reach")
    for words in (["--help"], *([verb, "--help"] for verb in VERBS)):
        ours, _, ratio = against([program, *words], bare)
        print(f"{'trailblazer ' + ' '.join(words):<34} {1000 * ours:>6.0f} ms {ratio:>6.2f}x   <= 2 x python -c pass")
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        ids = [f"run-{number:06d}" for number in range(IDS)]
        random.Random(1).shuffle(ids)
        (Path(name) / "ids.txt").write_text("\n".join(ids) + "\n")
        sort = [shutil.which("sort") or "sort", "-u", f"{name}/ids.txt"]
        ours, _, ratio = against([python, str(Path(__file__).resolve()), "--plan", name], sort)
        print(f"{'plan of 100,000 ids':<34} {1000 * ours:>6.0f} ms {ratio:>6.2f}x   <= 5 x sort -u")


def against(ours: list[str], theirs: list[str]) -> Compared:
    """Compare two commands, as whole processes."""
    from _turns import compare, seconds_of

    return compare(lambda: seconds_of(ours), lambda: seconds_of(theirs), ROUNDS)


def _open_dispatch(root: Path) -> None:
    """Open a dispatch of the ids in ids.txt: read, sort and archive the plan, and write the manifest."""
    gc.set_threshold(50_000)  # as __main__ has it
    # Here and not above: the other measurements need none of it.
    from trailblazer.lanes.embed.plan import Asked, choose_plan
    from trailblazer.lanes.embed.runs import steps_of, write_steps
    from trailblazer.paths import Places
    from trailblazer.record.folder import open_record
    from trailblazer.record.manifest import Seed
    from trailblazer.record.proof import archive_file

    file, places = root / "ids.txt", Places(root, root / "var")
    plan = choose_plan(Asked(file=file), places)
    seed = Seed(
        plan_preflight_dir=None,
        plan_file_used=str(file),
        runs_planned=len(plan.items),
        provider="local",
        model="l2-supercat-256",
        dimension=256,
        workers=2,
        batch_size=256,
        git_commit=None,
        qa_dir=None,
        notes="",
        mode="embed",
    )
    opened = open_record(places, seed, planned=len(plan.items), parameters={})
    write_steps(opened.folder, steps_of(plan.items))
    opened.publish(inputs=(archive_file(file, opened.folder / "plan"),))


if __name__ == "__main__":
    main()

"""How much of a dispatch of runs is done, in chunks (E11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trailblazer.lanes.embed.measure import Measure
from trailblazer.paths import Places
from trailblazer.pipeline.messages import Reply
from trailblazer.record.outcomes import Item, Outcome, Refusal, Status
from trailblazer.reports.monitoring import read_work


def _measure(folder: Path, chunks: dict[str, Any], done: list[str] | None = None) -> Measure:
    """Return the measure of runs whose chunk_assurance.json holds these counts; None is a run without one."""
    for run, count in chunks.items():
        file = folder / "var" / "runs" / run / "chunk" / "chunk_assurance.json"
        file.parent.mkdir(parents=True)
        if count is not None:
            file.write_text(json.dumps({"totalChunks": count}))
    return Measure(folder, Places(folder, folder / "var"), chunks, done or [])


def _item(run: str, phase: str = "embed") -> Item:
    return Item(0, run, phase=phase)


def _good(total: int) -> Outcome:
    return Outcome(Status.SUCCESS, details={"total_chunks": total})


def test_a_run_that_nobody_counted_is_the_mean_of_the_others(tmp_path: Path) -> None:
    """A missing, foreign or absurd count is not believed; what chunking or embedding says takes its place."""
    measure = _measure(tmp_path, {"a": 10, "b": 30, "c": None, "d": "many", "e": -5})
    assert (100, 0) == (measure.planned, measure.done)
    measure.settled(_item("c", "chunk"), _good(5))
    measure.progressed(_item("d"), Reply("d", "progress", chunks=7, embedded=2, kept=1))
    assert (10 + 30 + 5 + 7 + 13, 3) == (measure.planned, measure.done)


def test_what_is_settled_is_done_and_what_is_cancelled_or_taken_again_is_not(tmp_path: Path) -> None:
    """Good, refused and failed runs need no more work; a held run that comes again does, and so does a second try."""
    measure = _measure(tmp_path, dict.fromkeys("abcdef", 10), ["f"])
    measure.settled(_item("a"), _good(10))
    measure.settled(_item("b"), Outcome(Status.SKIPPED, "blocked"))
    measure.settled(_item("c"), Outcome(Status.SKIPPED, "held", Refusal.HELD))
    measure.settled(_item("d"), Outcome(Status.CANCELLED))
    assert 40 == measure.done
    measure.progressed(_item("c"), Reply("c", "progress", chunks=10, embedded=6))
    assert 36 == measure.done
    measure.progressed(_item("c"), Reply("c", "progress", chunks=10, embedded=2, kept=4))
    document = measure.write(is_over=True)
    assert document is not None
    assert (60, 36, None) == tuple(document[name] for name in ("planned", "done", "etaSeconds"))
    assert [{"item": "c", "done": 6, "of": 10}] == document["running"]
    assert document == json.loads((tmp_path / "progress.json").read_text())


def test_without_any_count_the_runs_are_shown(tmp_path: Path) -> None:
    """Of a dispatch of which nobody knows a chunk the file says only whether it is paused."""
    document = _measure(tmp_path, {"a": None}).write(is_paused=True)
    assert document is not None
    assert (True, 0) == (document["paused"], document["planned"])
    assert read_work(tmp_path) is None

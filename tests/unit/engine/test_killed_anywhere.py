"""A dispatch that is killed at any write, rename or flush is resumed to its end, and does nothing twice (rule 10)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trailblazer import record, summary
from trailblazer.dispatching import Limits
from trailblazer.outcomes import Item, Outcome, Status
from trailblazer.paths import Places
from trailblazer.record import Record
from trailblazer.verification import verify_folder
from unit.engine.told_lane import DONE, ToldLane, carry, opened_for

ITEMS = 3


def _carry_out(opened: Record, shared: Path) -> str:
    """Do what every dispatch does from its opened record to the seal; each attempt leaves a line behind."""

    def do(item: Item, _number: int) -> Outcome:
        with shared.open("ab", buffering=0) as file:
            file.write(b"%d\n" % item.index)
        return DONE

    with summary.SummaryKeeper(opened.folder):
        carry(ToldLane(opened, do), ITEMS, Limits(1))
    opened.complete(0, "")
    summary.write_summary(opened.folder)
    return opened.seal()


def _die_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill this process at the n-th of the calls that change what is on the disk."""
    count = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **named: Any) -> Any:
            count[0] += 1
            if count[0] == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **named)

        return counting

    for name in ("write", "replace", "rename", "fsync", "fdatasync", "ftruncate", "mkdir", "unlink", "sync"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


def test_a_kill_at_any_moment_loses_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each moment: what was settled before the kill is not done again, the rest is, and the folder verifies."""
    moment, survived = 1, False
    while not survived:
        root, shared = tmp_path / str(moment), tmp_path / f"shared-{moment}"
        places = Places(root, root / "var")
        child = os.fork()
        if child == 0:  # pragma: no cover - it is killed, or ends here
            with contextlib.suppress(BaseException), monkeypatch.context() as patched:
                _die_at(moment, patched)
                _carry_out(opened_for(places, ITEMS), shared)
                os._exit(0)
            os._exit(1)
        survived = os.waitpid(child, 0)[1] == 0
        if folders := record.dispatch_folders(places):
            before, _, _ = record.read_standing(folders[0])
            ran_before = Counter(shared.read_text().split()) if shared.exists() else Counter[str]()
            again = record.reopen_record(folders[0])
            seal = _carry_out(again, shared)
            ran = Counter(shared.read_text().split())
            assert [Status.SUCCESS] * ITEMS == [again.standing.of(index) for index in range(ITEMS)], moment
            for index in range(before.planned):
                if before.of(index) is Status.SUCCESS:
                    assert 1 == ran[str(index)] == ran_before[str(index)], moment
            assert [] == verify_folder(folders[0], seal, "here").findings, moment
            assert [] == [file.name for file in folders[0].iterdir() if file.name.endswith(".tmp")], moment
        moment += 1
    assert moment > 30

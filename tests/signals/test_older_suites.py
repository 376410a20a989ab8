"""Suites that earlier programs keep in .asterisk/calibrate/ are found, read and answered (S9)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trailblazer.errors import PlanUnusable
from trailblazer.paths import Places
from trailblazer.signals.agents import Taker, find_signal, signals_of, submit
from trailblazer.signals.choosing import choose_suite
from trailblazer.signals.suite import Suite

AT = "2026-02-18T10:00:00.123456789+02:00"


def write_case(root: Path, case: str, number: int, *, status: str = "waiting", artifact: str = "") -> Path:
    """Write a signal as an earlier program does: paths count from the root of the project."""
    folder = root / ".asterisk" / "calibrate" / "ptp-1" / case
    folder.mkdir(parents=True)
    below = f".asterisk/calibrate/ptp-1/{case}"
    (folder / "prompt-triage.md").write_text(f"Look at {case}.")
    signal = {
        "status": status,
        "dispatch_id": number,
        "case_id": case,
        "step": "F0_RECALL",
        "prompt_path": f"{below}/prompt-triage.md",
        "artifact_path": artifact or f"{below}/recall-result.json",
        "timestamp": AT,
    }
    (folder / "signal.json").write_text(json.dumps(signal))
    return folder


def suite_of(root: Path) -> Suite:
    """Return the suite without a name."""
    return choose_suite(Places(root, root / "var"), None)


def test_an_older_suite_is_answered(tmp_path: Path) -> None:
    """The first signal that waits is taken once, and answered where it says."""
    write_case(tmp_path, "C1", 1, status="done")
    folder = write_case(tmp_path, "C2", 2)
    suite = suite_of(tmp_path)
    assert ["C1", "C2"] == [found.signal.case_id for found in signals_of(suite)]
    found = Taker(suite).take()
    assert found is not None
    assert (2, "Look at C2.") == (found.number, found.prompt())
    assert Taker(suite).take() is None
    submit(find_signal(suite, 2), {"match": True})
    assert {"dispatch_id": 2, "data": {"match": True}} == json.loads((folder / "recall-result.json").read_text())


@pytest.mark.parametrize("artifact", ["../../../outside.json", "/tmp/outside.json", ".asterisk/calibrate/other/x.json"])
def test_nothing_leads_out_of_an_older_suite(tmp_path: Path, artifact: str) -> None:
    """A signal whose files lie elsewhere is none; a folder that is a link leads nowhere."""
    write_case(tmp_path, "C1", 1, artifact=artifact)
    suite = suite_of(tmp_path)
    assert [] == list(signals_of(suite))
    with pytest.raises(PlanUnusable):
        find_signal(suite, 1)


def test_links_of_an_older_suite_are_not_followed(tmp_path: Path) -> None:
    """A link in the place of a case's folder of files leads out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = write_case(tmp_path, "C1", 1, artifact=".asterisk/calibrate/ptp-1/C1/link/x.json")
    (folder / "link").symlink_to(outside)
    assert [] == list(signals_of(suite_of(tmp_path)))


def test_the_newest_suite_with_an_open_signal_is_meant(tmp_path: Path) -> None:
    """A suite in which all signals have ended is not the one that an agent works for."""
    write_case(tmp_path, "C1", 1)
    ended = Suite(tmp_path / "var" / "calibrate" / "20261121T000000Z")
    ended.make()
    assert "ptp-1" == suite_of(tmp_path).folder.name
    assert "20261121T000000Z" == choose_suite(Places(tmp_path, tmp_path / "var"), "20261121T000000Z").folder.name

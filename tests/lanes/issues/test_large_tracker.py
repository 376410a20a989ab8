"""A tracker of 1,900 issues is read whole, and bd and the file say the same of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lanes.issues.trackers import NEW, OLD, BdProject, FileProject
from stand_ins.beads_store import Store
from stand_ins.make_tracker import issues_of, kinds_of

COUNT, SEED = 1900, 11


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_large_tracker_is_read_whole(tmp_path: Path, version: str) -> None:
    """Nothing of 1,900 issues is missing: open, blocked, claimed and odd ones, and those that are the same twice."""
    issues = issues_of(COUNT, SEED)
    made = kinds_of(issues)
    tracker = BdProject(tmp_path / "project", version, issues).open()
    listing = tracker.list_open()
    assert () == listing.refused
    assert made.issues - made.closed == len(listing.issues)
    assert made.claimed == sum(bool(issue.assignee) for issue in listing.issues)
    assert made.blocked == sum(issue.status == "open" and bool(issue.blocked_by) for issue in listing.issues)
    assert made.open - made.blocked == sum(issue.is_ready for issue in listing.issues)
    assert made.duplicates == len(tracker.duplicates()) or version == OLD
    assert all(issue.headline().isprintable() and len(issue.headline()) <= 120 for issue in listing.issues)


def test_bd_and_the_file_agree(tmp_path: Path) -> None:
    """The same issues are ready, and blocked by the same, in both kinds of tracker."""
    issues = issues_of(COUNT, SEED)
    found = [
        [
            (issue.id, issue.title, issue.is_ready, issue.blocked_by, issue.labels)
            for issue in tracker.list_open().issues
        ]
        for tracker in (
            BdProject(tmp_path / "bd", NEW, issues).open(),
            FileProject(tmp_path / "file", issues).open(),
        )
    ]
    assert found[0] == found[1]


def test_the_same_seed_makes_the_same_tracker(tmp_path: Path) -> None:
    """The script makes a tracker that can be made again, and says what is in it."""
    made = subprocess.run(
        [sys.executable, "tests/stand_ins/make_tracker.py", "50", "3", str(tmp_path / "made")],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"issues": 50' in made.stdout
    assert [issue["id"] for issue in issues_of(50, 3)] == Store(tmp_path / "made" / ".beads").ids()
    project = FileProject(tmp_path / "project")
    project.configure(source=str(tmp_path / "made" / "issues.json"))
    shown = project.open().show("tb-1")
    assert shown is not None
    assert issues_of(50, 3)[0]["title"] == shown.title

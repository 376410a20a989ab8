"""A night is steered while it runs: it stops in order, and takes no more issues than it may."""

from __future__ import annotations

import json

import pytest

from dispatch.steered import wait_for
from lanes.issues.nights import Nights, issue

pytestmark = pytest.mark.proof


def test_a_night_is_paused_and_drained(nights: Nights) -> None:
    """A paused night takes no further issue; a drained one settles what runs, and a resume takes the rest."""
    nights.configure("stub", issues=[issue(1), issue(2), issue(3)], max_parallel=1)
    nights.script(rest={"seconds": 3})
    with nights.running("nightly") as process:
        wait_for(lambda: nights.ran, "an agent to begin")
        assert 0 == nights.run("control", "pause").code
        wait_for(lambda: nights.statuses, "the first issue to be done")
        assert 0 == nights.run("control", "first", "t-3").code
        assert 0 == nights.run("control", "cancel", "t-2").code
        assert 5 == nights.run("control", "add", "issues.json").code
        assert 0 == nights.run("control", "resume").code
        out, err = process.communicate(timeout=60)
    assert ["t-1", "t-3"] == nights.ran, err
    assert {"t-1": "success", "t-2": "cancelled", "t-3": "success"} == nights.statuses
    assert 2 == out.count("DISPATCH_SUCCESS")
    assert 6 == process.returncode, err


def test_first_takes_no_more_issues_than_a_night_may(nights: Nights) -> None:
    """An issue that was moved to the head counts as one that the night takes."""
    nights.configure("stub", issues=[issue(1), issue(2), issue(3)], max_parallel=1, max_dispatch=2)
    nights.script(rest={"seconds": 2})
    with nights.running("nightly", "--json") as process:
        wait_for(lambda: nights.ran, "an agent to begin")
        assert 0 == nights.run("control", "first", "t-3").code
        out, err = process.communicate(timeout=60)
    assert ["t-1", "t-3"] == nights.ran, err
    lines = out.splitlines()
    assert ("launch", "done") == (json.loads(lines[0])["event"], json.loads(lines[-1])["event"])
    assert 2 == out.count("DISPATCH_SUCCESS")

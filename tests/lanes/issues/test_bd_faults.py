"""A bd that hangs, fails, or says what nobody can read is one clear error within its time limit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lanes.issues.trackers import NEW, OLD, OURS, BdProject
from trailblazer.errors import GateClosed, ServiceDown, Trouble
from trailblazer.lanes.issues.tracker import Tracker

pytestmark = pytest.mark.proof

QUESTIONS: dict[str, Callable[[Tracker], object]] = {
    "check": lambda tracker: tracker.check(),
    "list": lambda tracker: tracker.list_open(),
    "show": lambda tracker: tracker.show("bd-1"),
    "held": lambda tracker: tracker.claimed_by("trailblazer@"),
    "duplicates": lambda tracker: tracker.duplicates(),
}
LIMIT = 1.0  # seconds, where every call hangs
PATIENCE = 8.0  # where the other calls must answer, on a busy machine too


@pytest.fixture(params=[OLD, NEW])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> BdProject:
    """A project with an old and a new bd."""
    return BdProject(tmp_path / "project", request.param)


def refusal(tracker: Tracker, question: str) -> Trouble:
    """Return how a question is refused."""
    with pytest.raises(Trouble) as caught:
        QUESTIONS[question](tracker)
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 600
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("fault", ["no_json", "error_with_0", "fail", "deep"])
@pytest.mark.parametrize("question", ["check", "list", "show", "held"])
def test_an_answer_that_nobody_can_read_is_exit_8(project: BdProject, question: str, fault: str) -> None:
    """No JSON, an error with exit 0 and deep nesting are no empty list."""
    project.fault(fault)
    trouble = refusal(project.open(), question)
    assert isinstance(trouble, ServiceDown)
    assert 8 == trouble.exit_code
    assert "bd" in trouble.what
    if fault in {"error_with_0", "fail"}:
        assert "database is locked" in trouble.what


@pytest.mark.parametrize("question", ["list", "show"])
def test_endless_output_is_exit_8(tmp_path: Path, question: str) -> None:
    """More than anybody can read is refused, not cut."""
    project = BdProject(tmp_path / "project")
    project.fault("huge")
    trouble = refusal(project.open(), question)
    assert isinstance(trouble, ServiceDown)
    assert "more than 64 MiB" in trouble.what


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_call_that_hangs_is_ended(tmp_path: Path, question: str) -> None:
    """A bd that waits for ever is ended at the limit, and that is said."""
    project = BdProject(tmp_path / "project")
    project.configure(**{**project.settings, "timeout_seconds": LIMIT})
    project.fault("hang")
    trouble = refusal(project.open(), question)
    assert isinstance(trouble, ServiceDown)
    assert f"did not answer within {LIMIT:g} s" in trouble.what


@pytest.mark.parametrize("fault", ["no_json", "error_with_0", "fail", "deep"])
@pytest.mark.parametrize("command", ["show", "update"])
def test_any_error_means_not_claimed(project: BdProject, command: str, fault: str) -> None:
    """A claim whose calls fail is not held, the answer says why, and nothing of it is left."""
    project.fault(f"{fault}={command}")
    tracker = project.open()
    answer = tracker.claim("bd-1", OURS)
    assert not answer.is_held
    assert answer.reason.isprintable()
    assert answer.reason
    project.fault()
    issue = project.store.get("bd-1")
    assert ("open", "", {}) == (issue["status"], issue["assignee"], issue["metadata"])
    assert tracker.claim("bd-1", "Ada").is_held


def test_a_claim_that_fails_after_it_was_made_is_given_back(project: BdProject) -> None:
    """bd claims, and says an error: the issue is open again, and not held."""
    project.fault("locked_after_claim")
    answer = project.open().claim("bd-1", OURS)
    assert not answer.is_held
    assert "database is locked" in answer.reason
    issue = project.store.get("bd-1")
    assert ("open", "", {}) == (issue["status"], issue["assignee"], issue["metadata"])


def test_a_claim_that_hangs_after_it_was_made_is_given_back(project: BdProject) -> None:
    """bd claims, and does not come back: the issue is open again, and not held."""
    project.configure(**{**project.settings, "timeout_seconds": PATIENCE})
    project.fault("hang_after_claim")
    answer = project.open().claim("bd-1", OURS)
    assert not answer.is_held
    assert "did not answer" in answer.reason
    issue = project.store.get("bd-1")
    assert ("open", "", {}) == (issue["status"], issue["assignee"], issue["metadata"])


def test_a_tracker_that_stops_answering_is_waited_for_a_few_limits(tmp_path: Path) -> None:
    """A claim, a release and a sign of life end after a known number of limits, and raise nothing."""
    project = BdProject(tmp_path / "project")
    patient = project.open()
    assert patient.claim("bd-1", OURS).is_held
    project.configure(**{**project.settings, "timeout_seconds": LIMIT})
    tracker = project.open()
    project.fault("hang")
    began = time.monotonic()
    assert not tracker.claim("bd-2", OURS).is_held
    assert not tracker.release("bd-1", OURS).is_released
    assert () == tracker.keep_alive(["bd-1"], OURS)
    assert time.monotonic() - began < 60
    project.fault()
    assert patient.release("bd-1", OURS).is_released


@pytest.mark.parametrize("fault", ["hang=cas", "fail=cas", "error_with_0=cas"])
def test_a_fence_that_does_not_answer_is_no_claim(tmp_path: Path, fault: str) -> None:
    """Without an answer of `cas` nothing is claimed."""
    project = BdProject(tmp_path / "project")
    project.configure(**{**project.settings, "timeout_seconds": PATIENCE})
    project.fault(fault)
    answer = project.open().claim("bd-1", OURS)
    project.fault()
    if answer.is_held:  # exit 0 says that it is set
        assert "error_with_0=cas" == fault
    else:
        assert "open" == project.store.get("bd-1")["status"]
        assert project.open().claim("bd-1", "Ada").is_held


def test_a_bd_that_is_not_installed_closes_the_gate(tmp_path: Path) -> None:
    """A command that is not there is exit 5, and the hint names the setting."""
    project = BdProject(tmp_path / "project")
    project.configure(command=["no-such-bd"])
    trouble = refusal(project.open(), "check")
    assert isinstance(trouble, GateClosed)
    assert "command not found: no-such-bd" in trouble.what
    assert "tracker.command" in trouble.hint


def test_a_folder_without_a_tracker_closes_the_gate(tmp_path: Path) -> None:
    """A bd without a database, and a folder that is not there, are exit 5."""
    project = BdProject(tmp_path / "project")
    (project.beads / "stand_in.db").unlink()
    trouble = refusal(project.open(), "check")
    assert isinstance(trouble, GateClosed)
    assert "no beads database found" in trouble.what
    project.configure(**project.settings, folder="nowhere")
    trouble = refusal(project.open(), "check")
    assert isinstance(trouble, GateClosed)
    assert "tracker.folder" in trouble.what


def test_the_tracker_may_lie_in_another_folder(tmp_path: Path) -> None:
    """bd is called in `tracker.folder`, counted from the project."""
    other = BdProject(tmp_path / "other", issues=[{"id": "x-1", "title": "Elsewhere"}])
    project = BdProject(tmp_path / "project")
    project.configure(**project.settings, folder=f"../{other.folder.name}")
    assert ["x-1"] == [issue.id for issue in project.open().list_open().issues]


def test_a_bad_issue_does_not_spoil_the_list(tmp_path: Path) -> None:
    """An issue of bd whose id is an option is refused; the others stay; a title of 100 KB is shown short."""
    issues = [{"id": "--all", "title": "t"}, {"id": "bd-1", "title": "\x1b[31m" + "long " * 20_000}]
    listing = BdProject(tmp_path / "project", issues=issues).open().list_open()
    assert ["issue 1"] == [refused.place for refused in listing.refused]
    assert listing.issues[0].headline().startswith("^[[31mlong long")
    assert 120 == len(listing.issues[0].headline())


def test_an_issue_that_bd_shows_badly_is_not_claimed(tmp_path: Path) -> None:
    """An issue whose record breaks the schema is refused by itself."""
    project = BdProject(tmp_path / "project", issues=[{"id": "bd-1", "title": "One", "priority": 9}])
    answer = project.open().claim("bd-1", OURS)
    assert not answer.is_held
    assert "$.priority" in answer.reason
    assert {} == json.loads(json.dumps(project.store.get("bd-1")["metadata"]))

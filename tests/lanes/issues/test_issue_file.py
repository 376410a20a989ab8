"""A file of issues is a tracker: it is never written, and claims are files beside it that one process can make."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lanes.issues.trackers import OURS, FileProject, dead_holder, foreign_holder
from trailblazer.errors import PlanUnusable
from trailblazer.lanes.issues.tracker import ClaimAnswer, HeldIssue, LostClaim


@pytest.fixture
def project(tmp_path: Path) -> FileProject:
    """A project with a file of three issues."""
    return FileProject(tmp_path / "pro ject é")


def claim_file(project: FileProject, issue_id: str) -> Path:
    """Return the file of a claim."""
    return next((project.folder / "var" / "claims").glob(f"*/{issue_id}.json"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"id": "a-1", "title": "One"}]'),
        ("a.json", '\ufeff{"issues": [{"id": "a-1", "title": "One"}]}'),
        ("a.jsonl", '{"id": "a-1", "title": "One"}\n\n'),
        ("a.yaml", "issues:\n- id: a-1\n  title: One\n"),
        ("a.yml", "- {id: a-1, title: One}\n"),
        ("a", '[{"id": "a-1", "title": "One"}]'),
    ],
)
def test_a_file_may_be_json_or_yaml(project: FileProject, name: str, text: str) -> None:
    """JSON, NDJSON and YAML hold the same issues."""
    project.configure(source=name)
    (project.folder / name).write_text(text)
    tracker = project.open()
    tracker.check()
    assert [("a-1", "One")] == [(issue.id, issue.title) for issue in tracker.list_open().issues]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "", "not JSON"),
        ("a.yaml", "", "no list of issues"),
        ("a.yaml", "- {id: a-1, title: !!python/object:os.system x}", "not plain YAML"),
        ("a.yaml", "- {id: a-1, title: 2026-13-41}", "not plain YAML"),
        ("a.json", "[{", "unexpected end"),
        ("a.json", '{"error": "no"}', "no list of issues"),
        ("a.json", "[" * 100_000 + "]" * 100_000, "nested"),
        ("a.json", "[" + '{"a":' * 200 + "1" + "}" * 200 + "]", "nested"),
        ("a.jsonl", '{"id": "a-1", "title": "One"}\n{"id": ', "line 2 is not JSON"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "[" * 500 + "]" * 500, "nested"),
        ("a.yaml", "hello", "no list of issues"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(project: FileProject, name: str, text: str, why: str) -> None:
    """Half a file, deep nesting and another document are exit 4, with the name of the file."""
    project.configure(source=name)
    (project.folder / name).write_text(text)
    with pytest.raises(PlanUnusable) as caught:
        project.open().check()
    assert name in caught.value.what
    assert why in caught.value.what
    assert caught.value.what.isprintable()
    assert 4 == caught.value.exit_code


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "huge"])
def test_a_file_that_is_no_file_is_refused(project: FileProject, kind: str) -> None:
    """A missing file, a folder, a pipe and a huge file are refused without reading them."""
    file = project.folder / "other.json"
    if kind == "folder":
        file.mkdir()
    if kind == "pipe":
        os.mkfifo(file)
    if kind == "huge":
        file.touch()
        os.truncate(file, 65 << 20)
    project.configure(source="other.json")
    with pytest.raises(PlanUnusable, match=r"cannot read .*other.json"):
        project.open().check()


def test_the_list_says_what_blocks(project: FileProject) -> None:
    """Closed issues are left out, and each other one says what blocks it."""
    project.write(
        [
            {"id": "a-1", "title": "One", "dependencies": ["a-2", "a-3"]},
            {"id": "a-2", "title": "Two", "status": "closed"},
            {"id": "a-3", "title": "Three"},
            {"id": "/etc", "title": "Path"},
        ]
    )
    listing = project.open().list_open()
    assert [("a-1", ("a-3",), False), ("a-3", (), True)] == [
        (issue.id, issue.blocked_by, issue.is_ready) for issue in listing.issues
    ]
    assert ["issue 4"] == [refused.place for refused in listing.refused]


def test_a_change_of_the_file_is_seen(project: FileProject) -> None:
    """A night that runs sees an issue that was closed, and one that vanished."""
    tracker = project.open()
    assert tracker.show("bd-1") is not None
    project.write([{"id": "bd-1", "title": "One", "status": "closed"}])
    closed = tracker.show("bd-1")
    assert closed is not None
    assert "closed" == closed.status
    assert tracker.show("bd-2") is None
    assert "the issue is closed" == tracker.claim("bd-1", OURS).reason
    assert "no issue bd-2" in tracker.claim("bd-2", OURS).reason


def test_a_claim_is_held_once(project: FileProject) -> None:
    """The first holder has the issue, the second is told who has it, and the first may claim again."""
    tracker = project.open()
    assert tracker.claim("bd-1", OURS).is_held
    second = tracker.claim("bd-1", "Ada Lovelace")
    assert not second.is_held
    assert OURS == second.held_by
    assert second.reason == f"already claimed by {OURS}"
    assert tracker.claim("bd-1", OURS).is_held
    shown = tracker.show("bd-1")
    assert shown is not None
    assert ("in_progress", OURS, False) == (shown.status, shown.assignee, shown.is_ready)


def test_the_file_of_issues_is_never_written(project: FileProject) -> None:
    """A claim, a release and a check leave the file as it was; the claim is private."""
    before = (project.file.read_bytes(), project.file.stat().st_mtime_ns)
    tracker = project.open()
    tracker.check()
    tracker.claim("bd-1", OURS)
    assert 0o600 == stat.S_IMODE(claim_file(project, "bd-1").stat().st_mode)
    tracker.release("bd-1", OURS)
    assert before == (project.file.read_bytes(), project.file.stat().st_mtime_ns)
    assert [] == sorted((project.folder / "var" / "claims").glob("*/*.json"))


def test_only_the_holder_releases(project: FileProject) -> None:
    """The release of somebody else changes nothing; a release of nothing is fine."""
    tracker = project.open()
    tracker.claim("bd-1", OURS)
    assert not tracker.release("bd-1", "Ada").is_released
    assert tracker.release("bd-1", OURS).is_released
    assert tracker.release("bd-1", OURS).is_released
    assert tracker.claim("bd-1", "Ada").is_held


def test_what_the_file_says_is_taken_counts(project: FileProject) -> None:
    """An issue with an assignee, or in another state than open, is not claimed."""
    project.write(
        [{"id": "a-1", "title": "One", "assignee": "Ada at home"}, {"id": "a-2", "title": "Two", "status": "blocked"}]
    )
    tracker = project.open()
    assert "Ada at home" == tracker.claim("a-1", OURS).held_by
    assert "the issue is blocked" == tracker.claim("a-2", OURS).reason


@pytest.mark.parametrize("bad", ["", "-x", "../../x", "a/b", "x" * 201])
def test_a_bad_id_reaches_no_path(project: FileProject, bad: str) -> None:
    """A claim and a release under an id that is a path or an option do nothing."""
    tracker = project.open()
    assert "the id" in tracker.claim(bad, OURS).reason
    assert not tracker.release(bad, OURS).is_released
    assert tracker.show(bad) is None


def test_the_claim_of_a_dead_process_is_broken_at_once(project: FileProject) -> None:
    """A killed night holds nothing up: its claims count as open, and the next one takes them."""
    tracker = project.open()
    dead = dead_holder()
    assert tracker.claim("bd-1", dead).is_held
    assert (HeldIssue("bd-1", dead),) == tracker.claimed_by("trailblazer@")
    shown = tracker.show("bd-1")
    assert shown is not None
    assert shown.is_ready
    assert tracker.claim("bd-1", OURS).is_held
    assert (LostClaim("bd-1", f"it is claimed by {OURS}"),) == tracker.keep_alive(["bd-1"], dead)


def test_nobody_claims_while_a_claim_is_taken_over(project: FileProject) -> None:
    """Between the look at a dead claim and the new one nobody else can claim; who waits too long is told."""
    dead = dead_holder()
    project.open().claim("bd-1", dead)
    project.configure(source="issues.json", timeout_seconds=0.1)
    others: list[ClaimAnswer] = []

    def meanwhile(_issue_id: str, _holder: str) -> bool:
        others.append(project.open().claim("bd-1", "Ada"))
        return True

    tracker = project.open(meanwhile)
    assert tracker.claim("bd-1", OURS).is_held
    assert "has had the lock" in others[0].reason


def test_work_that_outlives_its_process_keeps_its_claim(project: FileProject) -> None:
    """Where the lane says that the work of a dead process is not over, its claim stands."""
    tracker = project.open(lambda _issue_id, _holder: False)
    dead = dead_holder()
    tracker.claim("bd-1", dead)
    assert dead == tracker.claim("bd-1", OURS).held_by
    age(project, "bd-1", hours=30)
    assert dead == tracker.claim("bd-1", OURS).held_by


def age(project: FileProject, issue_id: str, *, hours: float) -> None:
    """Make the last sign of life of a claim older."""
    file = claim_file(project, issue_id)
    document = json.loads(file.read_text())
    document["alive_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    file.write_text(json.dumps(document))


def test_a_claim_of_another_host_expires(project: FileProject) -> None:
    """A holder on another host has the issue for the lease after his last sign of life."""
    tracker = project.open()
    foreign = foreign_holder()
    tracker.claim("bd-1", foreign)
    age(project, "bd-1", hours=2.9)
    assert foreign == tracker.claim("bd-1", OURS).held_by
    age(project, "bd-1", hours=3.1)
    assert () == tracker.keep_alive(["bd-1"], foreign)
    assert foreign == tracker.claim("bd-1", OURS).held_by
    age(project, "bd-1", hours=3.1)
    assert tracker.claim("bd-1", OURS).is_held


def test_a_living_process_of_this_host_never_expires(project: FileProject) -> None:
    """A process that lives has its claim however long it was silent."""
    tracker = project.open()
    tracker.claim("bd-1", OURS)
    age(project, "bd-1", hours=300)
    assert OURS == tracker.claim("bd-1", "Ada").held_by


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"issue": "bd-1"}', "\xff\xfe", '{"a":' * 500])
def test_a_claim_file_that_nobody_can_read_is_a_claim(project: FileProject, text: str) -> None:
    """What somebody wrote over a claim holds the issue until the lease is over, and spoils nothing else."""
    tracker = project.open()
    tracker.claim("bd-1", OURS)
    file = claim_file(project, "bd-1")
    file.write_text(text, "latin-1")
    assert "a claim file that cannot be read" == tracker.claim("bd-1", OURS).held_by
    assert tracker.claim("bd-2", OURS).is_held
    os.utime(file, (0, 0))
    assert tracker.claim("bd-1", OURS).is_held


def test_a_claim_that_is_a_link_is_not_followed(project: FileProject) -> None:
    """A link in the folder of claims is a claim that cannot be read; what it points to is not touched."""
    tracker = project.open()
    tracker.claim("bd-1", OURS)
    file = claim_file(project, "bd-1")
    kept = file.rename(project.folder / "kept.json")
    file.symlink_to(kept)
    assert not tracker.claim("bd-1", "Ada").is_held
    assert OURS == json.loads(kept.read_text())["holder"]


def test_drafts_of_killed_processes_are_removed(project: FileProject) -> None:
    """What a process that was killed in the middle of a claim left is no claim, and goes with the next check."""
    tracker = project.open()
    tracker.claim("bd-2", OURS)
    draft = claim_file(project, "bd-2").with_name(".draft.1.0123abcd.tmp")
    draft.write_text("half")
    tracker.check()
    assert not draft.exists()
    assert tracker.claim("bd-1", OURS).is_held


def test_a_disk_that_refuses_is_an_answer(project: FileProject) -> None:
    """A claim that cannot be written is a claim that failed, with the reason."""
    (project.folder / "var").write_text("no folder")
    answer = project.open().claim("bd-1", OURS)
    assert not answer.is_held
    assert "cannot make the folder" in answer.reason


def test_two_files_have_claims_of_their_own(tmp_path: Path) -> None:
    """The same id in another file is another issue."""
    project = FileProject(tmp_path / "p")
    project.open().claim("bd-1", OURS)
    (project.folder / "other").mkdir()
    (project.folder / "other" / "issues.json").write_bytes(project.file.read_bytes())
    project.configure(source="other/issues.json")
    assert project.open().claim("bd-1", "Ada").is_held


def test_a_file_knows_no_duplicates(project: FileProject) -> None:
    """Nothing is guessed: the file names no duplicates."""
    assert () == project.open().duplicates()


def test_what_is_wrong_with_one_issue_is_said_plain(project: FileProject) -> None:
    """The reason of a refusal is one plain line, whatever is in the issue."""
    bad: dict[str, Any] = {"id": "a\x1b[31m-1", "title": "t"}
    project.write([bad, {"id": "a-1", "title": ["\x1b[2J"] * 1000}])
    refused = project.open().list_open().refused
    assert 2 == len(refused)
    assert all(one.reason.isprintable() and len(one.reason) <= 300 for one in refused)

"""What bd says is read in its old and new versions, and a claim is held only when bd shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.issues.trackers import ATOMIC, NEW, OLD, OURS, VERSIONS, BdProject, dead_holder, foreign_holder
from trailblazer.lanes.issues.bd_claims import claimed_by_in
from trailblazer.lanes.issues.holder import own_prefix
from trailblazer.lanes.issues.tracker import DuplicatePair, HeldIssue, LostClaim
from trailblazer.processes.ask import Answer

ADA = "Ada Lovelace at home"
KEY = "trailblazer.claim"


@pytest.fixture(params=VERSIONS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> BdProject:
    """A project with bd in each version."""
    return BdProject(tmp_path / "pro ject é", request.param)


@pytest.fixture
def old(tmp_path: Path) -> BdProject:
    """A project with a bd that has no cas, no unclaim and no heartbeat."""
    return BdProject(tmp_path / "old", OLD)


@pytest.fixture
def new(tmp_path: Path) -> BdProject:
    """A project with a bd that has them."""
    return BdProject(tmp_path / "new", NEW)


def test_the_check_names_the_version(project: BdProject) -> None:
    """After the check the tracker is called by its version, and nothing was claimed."""
    tracker = project.open()
    tracker.check()
    assert f"bd {(project.beads / 'version').read_text()}" == tracker.name
    assert ["list --limit 1 --json"] == project.calls()


def test_every_issue_is_listed(tmp_path: Path) -> None:
    """A list goes on after 50 issues, and `ready` after 10 or 100."""
    for version in (OLD, NEW):
        many = BdProject(tmp_path / version, version, [{"id": f"bd-{n}", "title": "t"} for n in range(300)])
        listing = many.open().list_open()
        assert 300 == len(listing.issues)
        assert all(issue.is_ready for issue in listing.issues)


def test_the_list_says_what_blocks(project: BdProject) -> None:
    """Each version names what blocks an issue: old ones list no dependencies, and are asked what is blocked."""
    project.store.add(
        [
            {"id": "bd-3", "title": "Three", "dependencies": ["bd-1", "bd-4"]},
            {"id": "bd-4", "title": "Four", "status": "closed"},
            {"id": "bd-5", "title": "Five", "status": "in_progress", "assignee": ADA},
        ]
    )
    issues = {issue.id: issue for issue in project.open().list_open().issues}
    assert {"bd-1", "bd-12", "bd-2", "bd-3", "bd-5"} == set(issues)
    assert ("bd-1",) == issues["bd-3"].blocked_by
    assert "bd-1" in issues["bd-3"].dependencies
    assert ["bd-1", "bd-12", "bd-2"] == sorted(issue.id for issue in issues.values() if issue.is_ready)
    assert ADA == issues["bd-5"].assignee


def test_show_says_what_blocks(project: BdProject) -> None:
    """The dependencies of a shown issue are open or closed as bd says."""
    project.store.add([{"id": "bd-3", "title": "Three", "dependencies": ["bd-1", "bd-2"]}])
    project.change("bd-2", status="closed")
    shown = project.open().show("bd-3")
    assert shown is not None
    assert ("bd-1", "bd-2") == shown.dependencies
    assert ("bd-1",) == shown.blocked_by


@pytest.mark.parametrize("envelope", ["BD_JSON_ENVELOPE=1", "lists_in=issues", "warns"])
def test_lists_in_an_envelope_are_read(project: BdProject, envelope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An envelope around a list, and a warning before it, change nothing."""
    if "=1" in envelope:
        monkeypatch.setenv("BD_JSON_ENVELOPE", "1")
    else:
        project.fault(envelope)
    tracker = project.open()
    assert ["bd-1", "bd-12", "bd-2"] == [issue.id for issue in tracker.list_open().issues]
    assert tracker.claim("bd-1", OURS).is_held
    assert not tracker.claim("bd-1", "Ada").is_held
    assert tracker.release("bd-1", OURS).is_released


def test_an_abbreviation_reaches_no_other_issue(project: BdProject) -> None:
    """bd completes bd-12 from `12` and from a vanished bd-1; neither is shown, claimed, released or kept alive."""
    tracker = project.open()
    project.store.delete("bd-1")
    for given in ("12", "bd-1"):
        assert tracker.show(given) is None
        assert f"there is no issue {given} any more" == tracker.claim(given, OURS).reason
        assert tracker.release(given, OURS).is_released
        assert (LostClaim(given, "the issue is gone"),) == tracker.keep_alive([given], OURS)
    untouched = tracker.show("bd-12")
    assert untouched is not None
    assert ("open", "") == (untouched.status, untouched.assignee)
    assert [] == [words for words in project.calls() if "--claim" in words or words.startswith(("cas set", "unclaim"))]


@pytest.mark.parametrize("bad", ["", "-x", "--all", "../x", "a b", "x" * 201])
def test_a_bad_id_reaches_no_command(old: BdProject, bad: str) -> None:
    """bd is never called with an id that is empty, an option or a path."""
    tracker = old.open()
    assert tracker.show(bad) is None
    assert "the id" in tracker.claim(bad, OURS).reason
    assert "the id" in tracker.release(bad, OURS).reason
    assert not (old.beads / "calls").exists() or [] == old.calls()


@pytest.mark.parametrize("bad", ["", "-x", "--actor=x", "a\nb", "a\x1b[31m", "x" * 251])
def test_a_bad_holder_reaches_no_command(new: BdProject, bad: str) -> None:
    """A holder's name is one word of a command, never an option or a control character."""
    assert "is no name" in new.open().claim("bd-1", bad).reason


def test_a_claim_is_held_once(project: BdProject) -> None:
    """The first holder has the issue under his full name, the second is told who has it, the first may claim again."""
    tracker = project.open()
    assert tracker.claim("bd-1", OURS).is_held
    shown = tracker.show("bd-1")
    assert shown is not None
    assert ("in_progress", OURS) == (shown.status, shown.assignee)
    second = tracker.claim("bd-1", "Ada")
    assert (False, OURS) == (second.is_held, second.held_by)
    assert tracker.claim("bd-1", OURS).is_held


@pytest.mark.parametrize("name", [ADA, "x y z", "Renée 'at' 9", "already claimed by me"])
@pytest.mark.parametrize("fault", ["", "says_when"])
def test_the_name_of_another_holder_is_read_whole(project: BdProject, name: str, fault: str) -> None:
    """A name with spaces is told whole, whether or not bd says when."""
    project.fault(fault)
    project.assign("bd-1", name)
    answer = project.open().claim("bd-1", OURS)
    assert (False, name) == (answer.is_held, answer.held_by)


@pytest.mark.parametrize(
    ("out", "err", "name"),
    [
        ("", "Error claiming bd-1: already claimed by Ada Lovelace\n", "Ada Lovelace"),
        ("", "Error claiming bd-1: already claimed by Ada at home at 2026-11-21T03:17:04Z\nmore", "Ada at home"),
        ("issue already claimed by x y at 03:17:04 UTC", "", "x y"),
        ('{"error": "claiming bd-1: issue already claimed by x \\"y\\" z", "schema_version": 1}', "", 'x "y" z'),
        ('{"schema_version": 1, "data": {"error": "already claimed by Ada"}}', "a notice", "Ada"),
        ("Claimed", "", ""),
    ],
)
def test_already_claimed_by_is_found_on_both_streams(out: str, err: str, name: str) -> None:
    """The name ends at the end of its line, or before the time."""
    assert name == claimed_by_in(Answer(0, out, err))


def test_a_second_winner_is_found_out(project: BdProject) -> None:
    """bd says that we have the issue, and shows another holder: it is his."""
    project.fault(f"two_winners={ADA}")
    answer = project.open().claim("bd-1", OURS)
    assert (False, ADA) == (answer.is_held, answer.held_by)


def test_an_issue_that_vanishes_is_not_held(project: BdProject) -> None:
    """An issue that goes between list and claim, or during the claim, is said to be gone."""
    tracker = project.open()
    project.fault("vanished=bd-1", "vanishes_in_claim=bd-2")
    assert "bd-1" in [issue.id for issue in tracker.list_open().issues]
    assert "there is no issue bd-1 any more" == tracker.claim("bd-1", OURS).reason
    assert "the issue bd-2 vanished while it was claimed" == tracker.claim("bd-2", OURS).reason


@pytest.mark.parametrize("status", ["closed", "blocked", "in_progress", "deferred"])
def test_an_issue_in_another_state_is_not_claimed(project: BdProject, status: str) -> None:
    """Only an open issue is claimed, and bd is not asked to claim another."""
    project.change("bd-1", status=status)
    answer = project.open().claim("bd-1", OURS)
    assert (False, f"the issue is {status}") == (answer.is_held, answer.reason)
    assert [] == [words for words in project.calls() if "--claim" in words]


def test_a_release_opens_the_issue(project: BdProject) -> None:
    """After a release the issue is open, nobody's, without a fence, and can be claimed by anybody."""
    tracker = project.open()
    tracker.claim("bd-1", OURS)
    assert tracker.release("bd-1", OURS).is_released
    issue = project.store.get("bd-1")
    assert ("open", "", {}) == (issue["status"], issue["assignee"], issue["metadata"])
    assert tracker.claim("bd-1", "Ada").is_held


def test_only_what_is_ours_is_released(project: BdProject) -> None:
    """The issue of somebody else stays his, and what is open already is released."""
    tracker = project.open()
    project.assign("bd-1", ADA)
    answer = tracker.release("bd-1", OURS)
    assert (False, f"it is claimed by {ADA}") == (answer.is_released, answer.reason)
    assert ADA == project.store.get("bd-1")["assignee"]
    assert tracker.release("bd-2", OURS).is_released


def test_an_issue_that_the_agent_closed_stays_closed(project: BdProject) -> None:
    """A release never opens an issue that its work has closed, or put into another state."""
    tracker = project.open()
    for issue_id, status in (("bd-1", "closed"), ("bd-2", "blocked")):
        tracker.claim(issue_id, OURS)
        project.change(issue_id, status=status)
        answer = tracker.release(issue_id, OURS)
        assert (status == "closed", f"the issue is {status}") == (answer.is_released, answer.reason)
        assert status == project.store.get(issue_id)["status"]
        assert {} == project.store.get(issue_id)["metadata"]


def test_old_versions_release_by_update(old: BdProject) -> None:
    """Where there is no `unclaim`, state and assignee are set."""
    tracker = old.open()
    tracker.claim("bd-1", OURS)
    tracker.release("bd-1", OURS)
    assert f"--actor {OURS} update bd-1 --status open --assignee " in old.calls()


def test_the_release_command_is_the_users(new: BdProject) -> None:
    """The words of the configuration are run as they are, with the id and the holder in them."""
    command = [*new.settings["command"], "--actor", "{holder}", "unclaim", "{id}", "--reason", "given {up} by {holder}"]
    new.configure(**new.settings, release_command=command)
    tracker = new.open()
    tracker.claim("bd-1", OURS)
    assert tracker.release("bd-1", OURS).is_released
    assert f"--actor {OURS} unclaim bd-1 --reason given {{up}} by {OURS}" in new.calls()


def test_the_fence_names_the_holder(new: BdProject) -> None:
    """`bd cas` holds the name of the holder and the time."""
    tracker = new.open()
    assert tracker.claim("bd-1", OURS).is_held
    assert new.store.get("bd-1")["metadata"][KEY].startswith(f"{OURS} at 20")


def test_the_fence_of_a_living_holder_stands(new: BdProject) -> None:
    """An open issue whose fence somebody has is his: he is between fence and claim."""
    foreign = foreign_holder()
    for value in (foreign, ADA, f"{OURS} at 2001-01-01T00:00:00+00:00"):
        new.change("bd-1", metadata={KEY: value})
        answer = new.open().claim("bd-1", "Grace")
        assert (False, value.partition(" at 20")[0]) == (answer.is_held, answer.held_by)
        assert {KEY: value} == new.store.get("bd-1")["metadata"]
    assert [] == [words for words in new.calls() if "--claim" in words]


def test_an_old_fence_of_another_host_is_taken_over(new: BdProject) -> None:
    """When bd shows an issue as nobody's, a fence of another host stands for the lease, and no longer."""
    new.change("bd-1", metadata={KEY: f"{foreign_holder()} at 2001-01-01T00:00:00+00:00"})
    assert new.open().claim("bd-1", OURS).is_held
    new.change("bd-2", metadata={KEY: f"{foreign_holder()} at 2999-01-01T00:00:00+00:00"})
    assert foreign_holder() == new.open().claim("bd-2", OURS).held_by


def test_a_store_without_conditional_writes_is_claimed_all_the_same(new: BdProject) -> None:
    """Where `cas` exists and the store cannot do it, the claim file is the fence."""
    new.fault("no_conditional_writes")
    tracker = new.open()
    assert tracker.claim("bd-1", OURS).is_held
    assert not tracker.claim("bd-1", "Ada").is_held
    assert tracker.release("bd-1", OURS).is_released


def test_the_claim_of_a_killed_night_is_taken_over(project: BdProject) -> None:
    """A dead process of ours holds nothing up: its claim is released in its name, and ours follows."""
    dead, tracker = dead_holder(), project.open()
    assert tracker.claim("bd-1", dead).is_held
    assert tracker.claim("bd-1", OURS).is_held
    assert OURS == project.store.get("bd-1")["assignee"]
    assert (LostClaim("bd-1", f"it is claimed by {OURS}"),) == tracker.keep_alive(["bd-1"], dead)
    assert not tracker.release("bd-1", dead).is_released
    assert OURS == project.store.get("bd-1")["assignee"]


def test_work_that_outlives_its_process_keeps_its_claim(project: BdProject) -> None:
    """Where the lane says that the work of a dead process is not over, its claim stands."""
    dead, tracker = dead_holder(), project.open(lambda _issue_id, _holder: False)
    tracker.claim("bd-1", dead)
    assert dead == tracker.claim("bd-1", OURS).held_by
    assert dead == project.store.get("bd-1")["assignee"]


def test_a_killed_night_is_found_and_released(project: BdProject) -> None:
    """What dead processes of this host hold is found by their names, and can be released by another process."""
    dead, tracker = dead_holder(), project.open()
    tracker.claim("bd-1", dead)
    project.assign("bd-2", ADA)
    project.assign("bd-12", foreign_holder())
    assert (HeldIssue("bd-1", dead),) == project.open().claimed_by(own_prefix())
    assert project.open().release("bd-1", dead).is_released
    assert () == tracker.claimed_by(own_prefix())
    assert ("open", {}) == (project.store.get("bd-1")["status"], project.store.get("bd-1")["metadata"])


def test_a_fence_without_a_claim_is_found_and_released(new: BdProject) -> None:
    """A process that was killed between fence and claim has left only the fence."""
    dead = dead_holder()
    new.change("bd-1", metadata={KEY: f"{dead} at 2026-11-20T03:17:04+00:00", "other": "stays"})
    assert (HeldIssue("bd-1", dead),) == new.open().claimed_by(own_prefix())
    assert new.open().release("bd-1", dead).is_released
    assert {"other": "stays"} == new.store.get("bd-1")["metadata"]


def test_a_heartbeat_moves_the_lease(new: BdProject) -> None:
    """Where bd has leases a sign of life moves the lease; a claim that was reclaimed is told."""
    tracker = new.open()
    tracker.claim("bd-1", OURS)
    new.change("bd-1", lease_expires_at=1)
    assert () == tracker.keep_alive(["bd-1"], OURS)
    assert new.store.get("bd-1")["lease_expires_at"] > 1
    assert tracker.keep_alive_seconds < 300
    new.assign("bd-1", "", "open")
    assert (LostClaim("bd-1", "it was released"),) == tracker.keep_alive(["bd-1"], OURS)


def test_claims_without_a_lease_are_looked_at(old: BdProject) -> None:
    """Where bd has no leases a sign of life only looks whether the claim is still ours."""
    tracker = old.open()
    tracker.claim("bd-1", OURS)
    tracker.claim("bd-2", OURS)
    old.assign("bd-2", ADA)
    assert (LostClaim("bd-2", f"it is claimed by {ADA}"),) == tracker.keep_alive(["bd-1", "bd-2"], OURS)
    old.change("bd-1", status="closed")
    assert () == tracker.keep_alive(["bd-1"], OURS)


def test_duplicates_are_asked_for_free(tmp_path: Path) -> None:
    """The pairs come by similar words, all of them; an old bd names none."""
    twins = [{"id": f"bd-{n}", "title": "The same"} for n in range(120)]
    pairs = BdProject(tmp_path / "new", ATOMIC, twins).open().duplicates()
    assert 119 == len(pairs)
    assert DuplicatePair("bd-0", "bd-1", 1.0) == pairs[0]
    assert () == BdProject(tmp_path / "old", OLD, twins).open().duplicates()

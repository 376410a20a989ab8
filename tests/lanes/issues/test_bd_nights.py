"""Nights over bd, also when it hangs, prints no JSON, or loses an issue between the list and the claim."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lanes.issues.nights import Nights, issue
from lanes.issues.trackers import BD, OLD, VERSIONS, dead_holder
from stand_ins.beads_store import Store, make_store

pytestmark = pytest.mark.proof

TEN = [issue(number) for number in range(1, 11)]


@pytest.fixture
def store(nights: Nights) -> Store:
    """The issues in a stand-in for bd; t-1 and t-10 begin alike."""
    nights.configure("stub", issues=[], max_parallel=2)
    configuration = nights.folder / "config" / ".trailblazer.yaml"
    settings = yaml.safe_load(configuration.read_text())
    settings["tracker"] = {"command": [str(BD)], "timeout_seconds": 20}
    configuration.write_text(yaml.safe_dump(settings))
    return make_store(nights.folder, TEN)


def beads(nights: Nights, version: str = VERSIONS[-1], faults: str = "") -> dict[str, str]:
    """Return the variables of the stand-in."""
    folder = str(nights.folder / ".beads")
    return {"BEADS_DIR": folder, "BD_STAND_IN_VERSION": version, "BD_STAND_IN_FAULTS": faults}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_night_over_every_version_of_bd(nights: Nights, version: str) -> None:
    """Three issues are claimed under our name, worked on and kept; the next night takes the next three."""
    for _ in range(2):
        night = nights.night(**beads(nights, version))
        assert night.code == 0, night.err
        assert night.out.count("DISPATCH_SUCCESS") == 3
    assert len(nights.ran) == len(set(nights.ran)) == 6


@pytest.mark.usefixtures("store")
def test_a_failed_issue_is_open_again_in_bd(nights: Nights) -> None:
    """What failed is given back: the next night takes it."""
    nights.script(t_1={"kind": "failed"})
    words = ("t-1",)
    assert nights.night(*words, **beads(nights)).code == 6
    nights.script()
    assert nights.night(*words, **beads(nights)).code == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("no_json=list", 8, "bd"),
        ("fail=list", 8, "bd"),
        ("deep=list", 8, "bd"),
        ("vanished=t-1", 0, "Skipped"),
        ("fail=show", 8, "and a probe failed: `bd show`"),
    ],
)
def test_what_bd_does_is_one_line(nights: Nights, fault: str, code: int, said: str) -> None:
    """The night says what bd did, claims nothing in doubt, and runs nothing that it does not hold."""
    night = nights.night("max-dispatch=2", **beads(nights, faults=fault))
    assert (night.code, "Traceback" in night.err) == (code, False), night.err
    assert said in night.err
    if fault != "vanished=t-1":
        assert nights.ran == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("fault", ["no_json=show", "fail=show", "locked_after_claim", "error_with_0=update"])
def test_a_night_whose_tracker_fails_has_failed(nights: Nights, fault: str) -> None:
    """The exit code is not 0, and the line blames the tracker: neither a provider nor another holder."""
    night = nights.night("t-1", **beads(nights, faults=fault))
    assert (night.code, nights.ran) == (6, []), night.err
    assert "DISPATCH_FAILURE beads=t-1 provider=none code=claim_failed cause=tracker error=" in night.out


@pytest.mark.usefixtures("store")
def test_the_claim_of_another_checkout_is_not_taken_over(nights: Nights, store: Store) -> None:
    """Its process is dead, and its night is not among ours: the issue may be done there, or still be worked on."""
    with store.changing("t-1") as one:
        one.update(assignee=dead_holder("20251121T031700Z"), status="in_progress")
    night = nights.night("max-dispatch=20", **beads(nights))
    assert night.code == 0, night.err
    assert "t-1" not in nights.ran
    assert "t-1: not taken: already claimed by trailblazer@" in night.err


@pytest.mark.usefixtures("store")
def test_two_winners_of_an_old_bd_are_one(nights: Nights) -> None:
    """An old bd lets two in: after the claim somebody else has the issue, and no agent works on it."""
    night = nights.night("t-1", **beads(nights, OLD, "two_winners=Ann"))
    assert nights.ran == []
    assert "DISPATCH_FAILURE beads=t-1 provider=none code=claim_failed" in night.out
    assert "Ann" in night.err
    assert Path(nights.dispatch / "SHA256SUMS").is_file()

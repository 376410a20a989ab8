"""The engine, with a lane that follows the script of each test."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from dispatch.scripted_lane import DONE, SEED, ScriptedLane, carry, opened_for
from trailblazer.dispatch.halting import Halts
from trailblazer.dispatch.settling import Limits
from trailblazer.errors import AlreadyRunning, ProviderRefused, ServiceDown
from trailblazer.paths import Places
from trailblazer.record.folder import hold, reopen_record
from trailblazer.record.manifest import read_manifest
from trailblazer.record.outcomes import Item, Outcome, Status
from trailblazer.record.verification import verify_folder
from trailblazer.schemas import in_camel_case


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project of its own."""
    return Places(tmp_path, tmp_path / "var")


def test_items_start_in_order_and_never_more_at_once_than_slots(places: Places) -> None:
    """Items start in the order of the plan, and no more of them run at once than there are slots (rule 9)."""
    together = threading.Barrier(3, timeout=30)

    def meet(_item: Item, _number: int) -> Outcome:
        together.wait()  # only three at once can pass
        return DONE

    record, lane = opened_for(places, 12), ScriptedLane(meet)
    closing = carry(lane, record, Limits(3))
    assert 0 == closing.exit_code
    assert 3 == lane.most_at_once
    begun = [index for index, _ in lane.attempts]
    assert sorted(begun) == list(range(12))
    assert all(abs(place - index) < 3 for place, index in enumerate(begun))


def test_one_slot_keeps_the_order(places: Places) -> None:
    """With one slot the items run one after the other, in the order of the plan (G3)."""
    record, lane = opened_for(places, 20), ScriptedLane(lambda _item, _number: DONE)
    carry(lane, record, Limits(1))
    assert [(index, 1) for index in range(20)] == lane.attempts


def test_a_failure_never_stops_the_others(places: Places) -> None:
    """When one item fails the others still run, and the exit code is 6 (rule 4)."""
    bad = Outcome(Status.ERROR, "no")
    record, lane = opened_for(places, 10), ScriptedLane(lambda item, _number: bad if item.index == 3 else DONE)
    closing = carry(lane, record, Limits(2))
    assert 6 == closing.exit_code
    assert 9 == record.standing.good
    assert [3] == lane.released


def test_a_transient_refusal_is_retried_under_a_new_number(places: Places) -> None:
    """An item is retried after a transient refusal, and each attempt has a number of its own (rule 3)."""

    def away_once(_item: Item, number: int) -> Outcome:
        if number == 1:
            raise ServiceDown("away")
        return DONE

    record, lane = opened_for(places, 2), ScriptedLane(away_once)
    closing = carry(lane, record, Limits(1, retries=1, back_off_seconds=0))
    assert 0 == closing.exit_code
    assert [(0, 1), (0, 2), (1, 1), (1, 2)] == lane.attempts


def test_a_plain_failure_is_not_retried(places: Places) -> None:
    """An item that failed for a reason of its own is tried once, unless failures are retried as well."""
    bad = Outcome(Status.ERROR, "no")
    record, lane = opened_for(places, 1), ScriptedLane(lambda _item, _number: bad)
    carry(lane, record, Limits(1, retries=2, back_off_seconds=0))
    assert [(0, 1)] == lane.attempts
    record, lane = opened_for(places, 1), ScriptedLane(lambda _item, _number: bad)
    carry(lane, record, Limits(1, retries=2, retry_failures=True, back_off_seconds=0))
    assert [(0, 1), (0, 2), (0, 3)] == lane.attempts


def test_a_final_refusal_stops_the_dispatch(places: Places) -> None:
    """After a final refusal the provider is asked for no other item; the exit code is 8."""

    def refuse(_item: Item, _number: int) -> Outcome:
        raise ProviderRefused("401")

    record, lane = opened_for(places, 50), ScriptedLane(refuse)
    closing = carry(lane, record, Limits(1))
    assert 8 == closing.exit_code
    assert len(lane.attempts) <= 2


def test_five_failures_at_the_start_stop_the_dispatch(places: Places) -> None:
    """When the first N items all fail no more start, and the others are settled as cancelled (P4)."""
    record, lane = opened_for(places, 50), ScriptedLane(lambda _item, _number: Outcome(Status.ERROR, "no"))
    closing = carry(lane, record, Limits(1, halts=Halts(5)))
    assert 6 == closing.exit_code
    assert "the first 5 items all failed" in closing.why
    assert record.standing.counts[Status.CANCELLED] >= 44
    assert 0 == record.standing.unrun


def test_all_refused_by_the_gate_is_exit_5(places: Places) -> None:
    """When the gate refuses every item nothing was spent, and the exit code is 5."""
    record, lane = opened_for(places, 2), ScriptedLane(lambda _item, _number: DONE)
    closing = carry(lane, record, Limits(1), {0: "closed", 1: "closed"})
    assert 5 == closing.exit_code
    assert [] == lane.attempts


def test_a_resumed_dispatch_runs_only_items_without_a_good_result(places: Places) -> None:
    """A resume skips good results, takes the next attempt number, and leaves a folder that verifies (rule 10)."""
    opened = opened_for(places, 4)
    lane = ScriptedLane(lambda item, _number: Outcome(Status.ERROR, "no") if item.index == 2 else DONE)
    carry(lane, opened, Limits(1))
    opened.complete(6, "one failed")
    opened.seal()
    opened.close()
    again = reopen_record(opened.folder, hold(opened.folder))
    lane = ScriptedLane(lambda _item, _number: DONE)
    closing = carry(lane, again, Limits(1))
    assert [(2, 2)] == lane.attempts
    assert 0 == closing.exit_code
    again.complete(0, "")
    verdict = verify_folder(again.folder, again.seal().sha256, "here")
    assert [] == verdict.findings


def test_a_running_dispatch_cannot_be_resumed(places: Places) -> None:
    """A resume of a running dispatch is refused, and the refusal names the pid of the process that runs it (exit 7)."""
    opened = opened_for(places, 1)
    with pytest.raises(AlreadyRunning, match="pid"):
        reopen_record(opened.folder, hold(opened.folder))


def test_the_traceback_of_a_bug_is_kept(places: Places) -> None:
    """A bug in a lane stops the dispatch with exit code 1, and its traceback is in the folder (rule 4)."""

    def stumble(_item: Item, _number: int) -> Outcome:
        raise ZeroDivisionError

    record, lane = opened_for(places, 20), ScriptedLane(stumble)
    closing = carry(lane, record, Limits(1))
    assert 1 == closing.exit_code
    assert "ZeroDivisionError" in (record.folder / "traceback.txt").read_text()


def test_the_manifest_exists_before_anything_runs(places: Places) -> None:
    """Before the first item starts the folder holds a valid manifest with the status running (E5)."""
    opened = opened_for(places, 3)
    manifest = read_manifest(opened.folder)
    assert "running" == manifest.status
    assert ["dispatchTs", *in_camel_case(asdict(SEED))] == list(manifest.document())[:13]


def test_two_dispatches_of_one_second_have_folders_of_their_own(places: Places) -> None:
    """Dispatches that begin in the same second have different folders (E4)."""
    names = {opened_for(places, 1).dispatch_id for _ in range(5)}
    assert 5 == len(names)


def test_a_retry_of_failures_leaves_what_was_never_run(places: Places) -> None:
    """Only what failed is tried again, also where it is interrupted; what had no turn waits for a resume: exit 6."""
    opened = opened_for(places, 4)
    opened.settle(Item(0, "item-0"), 1, DONE)
    opened.settle(Item(1, "item-1"), 1, Outcome(Status.ERROR, "no"))
    opened.close()
    again = reopen_record(opened.folder, hold(opened.folder), only_failed=True)
    lane = ScriptedLane(lambda _item, _number: DONE)
    closing = carry(lane, again, Limits(1))
    assert [(1, 2)] == lane.attempts
    assert (6, 2, 2) == (closing.exit_code, again.standing.good, again.standing.unrun)
    assert "2 items still without an outcome" in closing.why

"""A dispatch is steered while it runs: each word does what it says, and the journal keeps it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dispatch.scripted_lane import DONE, ScriptedLane, carry, opened_for
from dispatch.steered import HeldLane, SteeredDispatch, wait_for
from trailblazer.dispatch.lane import Held, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.steering import ACTIONS, Refusal, Steering, read_steering, words_of
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.paths import Places
from trailblazer.record.admission import Room
from trailblazer.record.folder import JOURNAL, hold, reopen_record
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import Steered
from trailblazer.record.outcomes import Outcome, Status

Begin = Callable[..., SteeredDispatch]
BAD = Outcome(Status.ERROR, "no")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project of its own."""
    return Places(tmp_path, tmp_path / "var")


@pytest.fixture
def begin(places: Places) -> Begin:
    """Return a function that makes a dispatch of so many items and slots."""

    def make(planned: int, slots: int = 1, group: int = 1) -> SteeredDispatch:
        return SteeredDispatch(opened_for(places, planned), HeldLane(group), Limits(slots))

    return make


def test_a_pause_starts_nothing_and_a_resume_goes_on(begin: Begin) -> None:
    """While it is paused what runs goes on and nothing starts; after a resume the next item starts."""
    with begin(3) as dispatch:
        dispatch.wait_begun(0)
        assert dispatch.steer("pause").startswith("paused: nothing new starts; what runs goes on (1 item)")
        dispatch.lane.finish(0)
        wait_for(lambda: dispatch.status(0), "the first item to end")
        assert "it was paused already" == dispatch.steer("pause")
        assert [(0, 1)] == dispatch.lane.begun
        dispatch.steer("resume")
        dispatch.wait_begun(0, 1)
        assert "it was not paused" == dispatch.steer("resume")
        assert 0 == dispatch.end().exit_code


def test_a_paused_dispatch_that_has_nothing_left_ends(begin: Begin) -> None:
    """A pause holds back what waits; when nothing waits the dispatch ends as always."""
    with begin(1) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("pause")
        assert 0 == dispatch.end().exit_code


def test_an_interrupt_works_while_paused(begin: Begin) -> None:
    """Ctrl-C ends a paused dispatch."""
    with begin(2) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("pause")
        dispatch.interrupts.stop()
        assert 130 == dispatch.ended().exit_code


def test_a_pause_holds_back_what_waits_for_room(begin: Begin) -> None:
    """An item that waited for its provider does not start when the provider serves again during a pause."""
    dispatch = begin(1)
    dispatch.lane.space = Room(0, "quota")
    with dispatch:
        wait_for(lambda: dispatch.lane.asked > 2, "the lane to be asked for room")
        dispatch.steer("pause")
        dispatch.lane.space = Room(9)
        asked = dispatch.lane.asked
        dispatch.steer("resume")
        assert asked + 1 >= dispatch.lane.asked
        dispatch.wait_begun(0)


def test_drain_lets_what_runs_finish(begin: Begin) -> None:
    """After drain nothing starts, what runs ends well, the rest is cancelled, and the exit code says interrupted."""
    with begin(4, slots=2) as dispatch:
        dispatch.wait_begun(0, 1)
        assert "what runs finishes (2 items)" in dispatch.steer("drain")
        closing = dispatch.end()
    assert (130, "drained by ada: what ran has finished") == (closing.exit_code, closing.why)
    assert [Status.SUCCESS] * 2 + [Status.CANCELLED] * 2 == [dispatch.status(index) for index in range(4)]


def test_drain_of_the_last_items_is_a_good_end(begin: Begin) -> None:
    """When nothing waited a drained dispatch has done its plan: exit 0."""
    with begin(1) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("drain")
        assert 0 == dispatch.end().exit_code


def test_a_resume_runs_what_a_drain_left(begin: Begin) -> None:
    """--resume after a drain runs just the rest."""
    with begin(3) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("drain")
        dispatch.end()
    record = dispatch.record
    record.close()
    again, lane = reopen_record(record.folder, hold(record.folder)), ScriptedLane(lambda _item, _number: DONE)
    assert 0 == carry(lane, again, Limits(1)).exit_code
    assert [(1, 1), (2, 1)] == lane.attempts


def test_stop_ends_what_runs(begin: Begin) -> None:
    """Stop is Ctrl-C from elsewhere: attempts are ended, and the exit code is 130."""
    with begin(2) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("stop")
        assert 130 == dispatch.ended().exit_code
        assert [Status.CANCELLED] * 2 == [dispatch.status(index) for index in range(2)]


def test_more_workers_start_at_once(begin: Begin) -> None:
    """`workers 3` starts two more items beside the first, and the lane is told."""
    with begin(5) as dispatch:
        dispatch.wait_begun(0)
        assert "3 at once instead of 1" == dispatch.steer("workers", "3")
        dispatch.wait_begun(0, 1, 2)
        assert [3] == dispatch.lane.widened


class HastyLane(HeldLane):
    """A lane whose first attempt has the dispatch steered while its slots are being started."""

    def __init__(self) -> None:
        super().__init__()
        self.haste: Callable[[], object] = lambda: None

    def begin(self, held: Sequence[Held]) -> Running:
        """Steer, then begin."""
        haste, self.haste = self.haste, lambda: None
        haste()
        return super().begin(held)


def test_more_workers_start_however_early_they_are_asked_for(places: Places) -> None:
    """A steering that comes while the first slot is being started counts as well: twenty times."""
    for _ in range(20):
        lane = HastyLane()
        dispatch = SteeredDispatch(opened_for(places, 3), lane, Limits(1))
        lane.haste = functools.partial(dispatch.steer, "workers", "3")
        with dispatch:
            dispatch.wait_begun(0, 1, 2)


def test_fewer_workers_finish_what_they_have(begin: Begin) -> None:
    """`workers 1` ends nothing: what runs above that finishes, and then one item runs at once."""
    with begin(6, slots=3) as dispatch:
        dispatch.wait_begun(0, 1, 2)
        assert "finishes first" in dispatch.steer("workers", "1")
        dispatch.lane.finish(0, 1)
        wait_for(lambda: dispatch.status(0) and dispatch.status(1), "two items to end")
        assert 3 == len(dispatch.lane.begun)
        dispatch.lane.finish(2)
        dispatch.wait_begun(0, 1, 2, 3)


def test_a_running_item_is_cancelled(begin: Begin) -> None:
    """Cancel ends the attempt at an item; it is not retried, and the others go on."""
    with begin(3) as dispatch:
        dispatch.wait_begun(0)
        assert "item-0 is ended" == dispatch.steer("cancel", "item-0")
        dispatch.wait_begun(0, 1)
        closing = dispatch.end()
    assert (6, "1 of 3 items was cancelled") == (closing.exit_code, closing.why)
    assert [Status.CANCELLED, Status.SUCCESS, Status.SUCCESS] == [dispatch.status(index) for index in range(3)]


def test_a_waiting_item_is_cancelled(begin: Begin) -> None:
    """Cancel settles a waiting item at once, and it never starts."""
    with begin(3) as dispatch:
        dispatch.wait_begun(0)
        assert "item-1 is taken from the queue" == dispatch.steer("cancel", "task_1")
        assert Status.CANCELLED is dispatch.status(1)
        dispatch.lane.finish(0)
        dispatch.wait_begun(0, 2)
        with pytest.raises(Refusal, match="item-1 is done: cancelled: there is nothing to cancel"):
            dispatch.steer("cancel", "1")


def test_what_shared_a_worker_with_a_cancelled_item_goes_on(begin: Begin) -> None:
    """When one item of a group is cancelled its worker is ended; the others of the group are tried again."""
    with begin(3, group=3) as dispatch:
        dispatch.wait_begun(0, 1, 2)
        dispatch.steer("cancel", "item-1")
        wait_for(lambda: Status.CANCELLED is dispatch.status(1), "the item to be cancelled")
        assert 6 == dispatch.end().exit_code
        assert [Status.SUCCESS, Status.CANCELLED, Status.SUCCESS] == [dispatch.status(index) for index in range(3)]
        assert 1 == [index for index, _ in dispatch.lane.begun].count(1)


def test_a_failed_item_is_retried_at_once(begin: Begin) -> None:
    """Retry tries a failed item again in this dispatch under a new number, before those that wait."""
    with begin(3) as dispatch:
        dispatch.wait_begun(0)
        dispatch.lane.finish(0, answer=BAD)
        dispatch.wait_begun(0, 1)
        assert "tried again: item-0: attempt 2" == dispatch.steer("retry", "item-0")
        dispatch.lane.finish(1)
        wait_for(lambda: (0, 2) in dispatch.lane.begun, "the second attempt")
        with pytest.raises(Refusal, match="item-0 is running"):
            dispatch.steer("retry", "item-0")
        assert 0 == dispatch.end().exit_code
    assert [(0, 1), (1, 1), (0, 2), (2, 1)] == dispatch.lane.begun


def test_a_cancelled_item_is_retried(begin: Begin) -> None:
    """What was cancelled by mistake is tried again by retry."""
    with begin(2) as dispatch:
        dispatch.wait_begun(0)
        dispatch.steer("cancel", "1")
        dispatch.steer("retry", "1")
        assert 0 == dispatch.end().exit_code
    assert [(0, 1), (1, 1)] == dispatch.lane.begun


def test_an_item_that_waits_for_its_retry_starts_at_once(begin: Begin) -> None:
    """Retry ends the back-off of an item that failed."""
    dispatch = begin(1)
    limits = Limits(1, retries=1, retry_failures=True, back_off_seconds=3600)
    with SteeredDispatch(dispatch.record, dispatch.lane, limits) as dispatch:
        dispatch.wait_begun(0)
        dispatch.lane.finish(0, answer=BAD)
        wait_for(lambda: not dispatch.record.standing.running, "the first attempt to fail")
        wait_for(lambda: _is_retried(dispatch), "the item to be retried")
        dispatch.wait_begun(0, 0)


def _is_retried(dispatch: SteeredDispatch) -> bool:
    try:
        return "without a pause" in dispatch.steer("retry", "item-0")
    except Refusal:
        return False


def test_first_moves_an_item_to_the_head(begin: Begin) -> None:
    """First makes a waiting item the next that starts; no item starts twice."""
    with begin(4) as dispatch:
        dispatch.wait_begun(0)
        assert "next: item-3" == dispatch.steer("first", "item-3")
        assert "next: item-2" == dispatch.steer("first", "2")
        with pytest.raises(Refusal, match="item-0 is running: it does not wait"):
            dispatch.steer("first", "item-0")
        dispatch.end()
    assert [0, 2, 3, 1] == [index for index, _ in dispatch.lane.begun]


def test_an_unknown_item_is_refused_and_not_journalled(begin: Begin) -> None:
    """A steering that is refused changes nothing and leaves no line; the others are lines of the journal."""
    with begin(2) as dispatch:
        dispatch.wait_begun(0)
        with pytest.raises(PlanUnusable, match="the plan has no item nobody"):
            dispatch.steer("cancel", "nobody")
        with pytest.raises(Refusal, match="cannot grow"):
            dispatch.steer("add", "more.txt")
        dispatch.steer("first", "item-1")
    (line,) = [line for line in read_journal(dispatch.record.folder / JOURNAL) if isinstance(line, Steered)]
    assert ("first", "item-1", "ada", 1000, 4711, "next: item-1") == (
        line.action, line.word, line.by, line.uid, line.pid, line.answer,
    )  # fmt: skip


def test_a_dispatch_that_has_ended_takes_no_word(begin: Begin) -> None:
    """Before its items and after them a dispatch refuses to be steered."""
    dispatch = begin(1)
    with pytest.raises(Refusal, match="has not begun"):
        dispatch.steer("pause")
    with dispatch:
        dispatch.end()
        with pytest.raises(Refusal, match="is closing"):
            dispatch.steer("pause")


def test_many_steer_at_once_and_nothing_is_lost_or_run_twice(begin: Begin) -> None:
    """While eight threads reorder, cancel and retry, no item is lost and none begins twice under one number."""
    with begin(60, slots=4) as dispatch:
        dispatch.wait_begun(0, 1, 2, 3)
        dispatch.steer("pause")

        def meddle(offset: int) -> None:
            for index in range(offset, 60, 8):
                for action in ("first", "cancel", "retry", "first"):
                    try:
                        dispatch.steer(action, f"task_{index}")
                    except Refusal:
                        continue

        threads = [threading.Thread(target=meddle, args=[offset]) for offset in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        dispatch.steer("resume")
        dispatch.lane.finish_all()
        wait_for(lambda: dispatch.closing, "the dispatch to end")
    good = [index for index in range(60) if dispatch.status(index) is Status.SUCCESS]
    cancelled = [index for index in range(60) if dispatch.status(index) is Status.CANCELLED]
    assert 60 == len(good) + len(cancelled)
    assert set(cancelled) <= {0, 1, 2, 3}
    assert len(dispatch.lane.begun) == len(set(dispatch.lane.begun))


@pytest.mark.parametrize("words", [action.replace("N", "7").split() for action in ACTIONS])
def test_every_action_is_read_and_written(words: list[str]) -> None:
    """The words of a steering lead to it and back."""
    steering: Steering = read_steering(words)
    assert words == [word for word in words_of(steering) if word]


@pytest.mark.parametrize(
    "words", [[], [""], ["halt"], ["pause", "now"], ["workers"], ["workers", "0"], ["workers", "-1"], ["cancel"]]
)
def test_other_words_are_refused_with_the_list(words: list[str]) -> None:
    """What is no action, or lacks its word, is refused; the hint lists the actions."""
    with pytest.raises(WordsWrong) as refused:
        read_steering(words)
    assert "cancel ITEM" in refused.value.hint

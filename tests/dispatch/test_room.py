"""The contract of admission: a lane says how many groups may be busy, and the engine keeps to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatch.scripted_lane import DONE, Answer, Listed, ScriptedLane, Silent, carry, items_of, opened_for
from trailblazer.dispatch.engine import Closing, carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.settling import Limits
from trailblazer.errors import ServiceDown
from trailblazer.paths import Places
from trailblazer.record.admission import WIDE, Room, Switch
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Again, Item
from trailblazer.reports.course.reading import read_course


class NarrowLane(ScriptedLane):
    """A lane whose room is a function."""

    def __init__(self, rooms: Callable[[], Room], do: Callable[[Item, int], Answer] = lambda *_: DONE) -> None:
        super().__init__(do)
        self.rooms = rooms

    def room(self) -> Room:
        """Answer what the function does."""
        return self.rooms()


class Listening(Silent):
    """An audience that notes switches."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.has_heard = threading.Event()

    def switched(self, switch: Switch) -> None:
        """Note a switch."""
        self.heard.append(f"{switch.provider} {switch.to.value} {switch.reason}".strip())
        self.has_heard.set()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A record of eight items."""
    return opened_for(Places(tmp_path, tmp_path / "var"), 8)


def _carry(lane: ScriptedLane, record: Record, audience: Listening, interrupts: Interrupts | None = None) -> Closing:
    plan = Listed(lambda: items_of(record.standing.planned))
    return carry_out(plan, lane, record, Limits(slots=4), audience, interrupts or Interrupts())


def test_no_more_groups_are_busy_than_there_is_room_for(record: Record) -> None:
    """Four slots, room for two: two at once, and all items are done."""
    both = threading.Barrier(2, timeout=30)

    def do(_item: Item, _attempt: int) -> Answer:
        both.wait()
        return DONE

    lane = NarrowLane(lambda: Room(2), do)
    assert 0 == carry(lane, record, Limits(slots=4)).exit_code
    assert (2, 8) == (lane.most_at_once, record.standing.good)


def test_a_wait_is_said_once_and_ends_by_itself(record: Record) -> None:
    """Who is waited for is said once, however often the lane is asked, and then that the wait is over."""
    answers = iter([Room(0, "spent", 1.5e9, "alpha")] * 5)
    audience = Listening()
    assert 0 == _carry(NarrowLane(lambda: next(answers, WIDE)), record, audience).exit_code
    assert ["alpha waiting spent", "alpha waited"] == audience.heard


def test_a_new_reason_is_said(record: Record) -> None:
    """The moment and the reason of a wait may change."""
    rooms = [Room(0, "spent", 1.5e9, "alpha"), Room(0, "busy", 1.6e9, "beta"), Room(0, "busy", 1.6e9, "beta")]
    answers, audience = iter(rooms), Listening()
    _carry(NarrowLane(lambda: next(answers, WIDE)), record, audience)
    assert ["alpha waiting spent", "beta waiting busy", "beta waited"] == audience.heard


def test_an_interrupt_ends_a_wait(record: Record) -> None:
    """A dispatch that waits for days ends at once when it is asked to."""
    interrupts, audience = Interrupts(), Listening()

    def interrupt() -> None:
        audience.has_heard.wait(30)
        interrupts._count(2, None)

    thread = threading.Thread(target=interrupt)
    thread.start()
    lane = NarrowLane(lambda: Room(0, "spent", 9e9, "alpha"))
    assert 130 == _carry(lane, record, audience, interrupts).exit_code
    thread.join()
    assert [] == lane.attempts


def test_a_trouble_stops_the_dispatch_and_what_runs_ends_by_itself(record: Record) -> None:
    """Nobody can do the work: exit 8; the items that have not begun are cancelled, and nothing was claimed for them."""
    asked = iter([WIDE, WIDE])

    def room() -> Room:
        found = next(asked, None)
        if found is None:
            raise ServiceDown("no provider is available", "alpha: no key")
        return found

    lane = NarrowLane(room)
    closing = _carry(lane, record, Listening())
    assert (8, "alpha: no key") == (closing.exit_code, closing.hint)
    assert (2, 6) == (record.standing.good, record.standing.counted()["cancelled"])
    assert 2 == len(lane.attempts)


def test_an_item_that_waits_for_room_is_not_lost(record: Record) -> None:
    """Items that come back find their room again."""
    seen = set[int]()

    def do(item: Item, _attempt: int) -> Answer:
        if item.index in seen:
            return DONE
        seen.add(item.index)
        return Again(0, "closed")

    assert 0 == carry(NarrowLane(lambda: Room(1), do), record, Limits(slots=4)).exit_code
    assert 8 == record.standing.good


def test_the_end_of_the_plan_needs_no_room(record: Record) -> None:
    """A lane without room is not waited for when nothing is left to start."""
    left = iter([WIDE] * 8)
    assert 0 == _carry(NarrowLane(lambda: next(left, Room(0, "spent", 9e9, "alpha"))), record, Listening()).exit_code


def test_a_found_limit_is_in_the_journal_and_in_the_report(record: Record) -> None:
    """Each smaller limit is told at once, with the answers 429 so far, and the chart of the load has the least."""
    rooms = iter([WIDE, Room(4, name="alpha", limited=1, found=3), Room(4, name="alpha", limited=2, found=2)])
    lane, audience = NarrowLane(lambda: next(rooms, Room(4, name="alpha", limited=2, found=3))), Listening()
    assert 0 == _carry(lane, record, audience).exit_code
    assert ["alpha limited answers 429 so far: 1", "alpha limited answers 429 so far: 2"] == audience.heard
    course = read_course(record.folder / "journal.ndjson", is_running=False)
    assert [("found", 3), ("found", 2)] == [(limit.kind, limit.slots) for limit in course.timeline.limits]
    first, second = (event.text for event in course.switches)
    assert "alpha limited to 3 at once: answers 429 so far: 1" == first
    assert "alpha limited to 2 at once: answers 429 so far: 2" == second

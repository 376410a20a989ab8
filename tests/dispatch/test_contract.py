"""The contract between the engine and a lane: small lanes show what each side promises the other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dispatch.scripted_lane import DONE, Answer, ScriptedLane, carry, opened_for
from lanes.embed.project import wait_for
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Handle, Held, OwnedLane, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.errors import ServiceDown
from trailblazer.paths import Places
from trailblazer.processes.identity import start_ticks
from trailblazer.record.folder import JOURNAL, hold, reopen_record
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import Postponed, Retried, Settled, Warned
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refused, Status
from trailblazer.record.standing import read_standing
from trailblazer.reports.summary import make_summary

FAILED = Outcome(Status.ERROR, "no", usage={"costUSD": 1.0})


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project of its own."""
    return Places(tmp_path, tmp_path / "var")


class SleepingLane(OwnedLane):
    """A lane whose work is not a process: it sleeps until it is asked to end, or for ever when it is deaf."""

    def __init__(self, *, is_deaf: bool = False) -> None:
        self.is_deaf, self.begun, self.released = is_deaf, threading.Event(), list[int]()

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin to sleep."""
        self.begun.set()
        return _Sleeping(held[0], is_deaf=self.is_deaf)

    def let_go(self, held: Held, outcome: Outcome) -> None:  # noqa: ARG002 - the contract's words
        """Remember the index of a released item."""
        self.released.append(held.item.index)


class _Sleeping:
    def __init__(self, held: Held, *, is_deaf: bool) -> None:
        self.held, self.is_deaf, self.over = held, is_deaf, threading.Event()
        self.handle: Handle = {}

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        self.over.wait()
        yield self.held, Outcome(Status.CANCELLED, "woken up")

    def end(self, why: str, grace: float) -> None:  # noqa: ARG002 - the contract's words
        if not self.is_deaf:
            self.over.set()


def _interrupt_when(begun: threading.Event, times: int = 1) -> Interrupts:
    interrupts = Interrupts()

    def press() -> None:
        begun.wait()
        interrupts.signal, interrupts.count = signal.SIGINT, times

    threading.Thread(target=press, daemon=True).start()
    return interrupts


def _reasons(record_folder: Path) -> list[str]:
    return [line.reason for line in read_journal(record_folder / JOURNAL) if isinstance(line, Settled | Warned)]


def test_work_without_a_process_ends_when_it_is_asked_to(places: Places) -> None:
    """Ctrl-C calls `end` of work without a process; the answer of the work counts, and its item is released."""
    record, lane = opened_for(places, 2), SleepingLane()
    closing = carry(lane, record, Limits(1), interrupts=_interrupt_when(lane.begun))
    assert (130, "interrupted") == (closing.exit_code, closing.why)
    assert ["woken up", "not run"] == _reasons(record.folder)
    assert [0] == lane.released


def test_work_that_does_not_end_is_abandoned(places: Places) -> None:
    """The item of work that does not end within the grace and two seconds is settled as cancelled."""
    record, lane = opened_for(places, 1), SleepingLane(is_deaf=True)
    closing = carry(lane, record, Limits(1), interrupts=_interrupt_when(lane.begun, times=2))
    assert 130 == closing.exit_code
    assert ["did not end when it was asked to"] == _reasons(record.folder)


def test_the_journal_ends_with_its_close(places: Places) -> None:
    """What a thread of the dispatch says after the close would break the proof: the manifest has the last digest."""
    record = opened_for(places, 1)
    record.complete(130, "interrupted")
    record.warn("claims were not kept alive")
    record.settle(Item(0, "item-0"), 1, DONE)
    assert [] == _reasons(record.folder)
    assert record.manifest.journal_head == record.journal.head


def test_a_plan_grows(places: Places) -> None:
    """Items that join a plan stand beside the others, also in a record that is read again; a plan never shrinks."""
    record = opened_for(places, 2)
    record.settle(Item(0, "item-0"), 1, DONE)
    record.grow(3)
    record.grow(2)
    record.settle(Item(2, "item-2"), 1, DONE)
    again, _ = read_standing(record.folder / JOURNAL)
    for standing in (record.standing, again):
        assert {"planned": 3, "success": 2, "unrun": 1}.items() <= standing.counted().items()
        assert [Status.SUCCESS, None, Status.SUCCESS] == [standing.of(index) for index in range(3)]


def test_again_spends_no_attempt_and_its_usage_counts(places: Places) -> None:
    """Again releases an item and starts it later under a new number, without spending a retry; the costs add up."""

    def do(_item: Item, number: int) -> Answer:
        return Again(0.01, "quota", {"costUSD": 1.0}) if number < 3 else Outcome(Status.SUCCESS, usage={"costUSD": 1.0})

    record, lane = opened_for(places, 1), ScriptedLane(do)
    assert 0 == carry(lane, record, Limits(1, retries=0)).exit_code
    assert [(0, 1), (0, 2), (0, 3)] == lane.attempts
    assert [0, 0] == lane.released
    assert {"costUSD": 3.0} == record.standing.usage
    assert 2 == sum(isinstance(line, Postponed) for line in read_journal(record.folder / JOURNAL))


def test_an_item_that_waits_takes_no_slot(places: Places) -> None:
    """While an item waits in the queue, the others use its slot."""
    record = opened_for(places, 4)
    lane = ScriptedLane(lambda item, number: Again(0.2, "later") if (item.index, number) == (0, 1) else DONE)
    assert 0 == carry(lane, record, Limits(1)).exit_code
    assert [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2)] == lane.attempts


def test_the_usage_and_the_reason_of_every_try_are_kept(places: Places) -> None:
    """Two tries at US$ 1.00 each are US$ 2.00 in the manifest, and the summary has the reason of the first."""
    done = Outcome(Status.SUCCESS, usage={"costUSD": 1.0})
    record, lane = opened_for(places, 1), ScriptedLane(lambda _item, number: FAILED if number == 1 else done)
    carry(lane, record, Limits(1, retries=1, retry_failures=True, back_off_seconds=0))
    record.complete(0, "")
    assert {"costUSD": 2.0} == record.manifest.usage
    (item,) = json.loads(make_summary(record.folder).read_bytes())["items"]
    assert [{"attempt": 1, "status": "error", "reason": "no", "usage": {"costUSD": 1.0}}] == item["earlier"]
    assert 1 == sum(isinstance(line, Retried) for line in read_journal(record.folder / JOURNAL))


def test_groups_are_as_large_as_the_lane_says(places: Places) -> None:
    """A lane with `group` 4 gets 4 items at once, and the rest at the end; each item has an outcome of its own."""
    record, lane = (
        opened_for(places, 10),
        ScriptedLane(lambda item, _number: FAILED if item.index == 5 else DONE, group=4),
    )
    assert 6 == carry(lane, record, Limits(1)).exit_code
    assert [4, 4, 2] == lane.groups
    assert (9, [5]) == (record.standing.good, lane.released)


def test_left_work_is_neither_settled_nor_released_and_is_found_again(places: Places) -> None:
    """An item with the answer Left keeps its claim and has no outcome; a resume asks the lane to find it."""
    record, lane = (
        opened_for(places, 2),
        ScriptedLane(lambda item, _number: Left("fire and forget") if item.index else DONE),
    )
    assert 0 == carry(lane, record, Limits(1)).exit_code
    assert (1, 1, []) == (record.standing.good, record.standing.unrun, lane.released)
    record.close()

    class Collecting(ScriptedLane):
        def find(self, held: Sequence[Held], handle: Handle) -> Running | None:  # noqa: ARG002 - the contract's words
            return self.begin(held)

    again, collecting = reopen_record(record.folder, hold(record.folder)), Collecting(lambda _item, _number: DONE)
    assert 0 == carry(collecting, again, Limits(1)).exit_code
    assert ([(1, 1)], 2) == (collecting.attempts, again.standing.good)


class BadLane(ScriptedLane):
    """A lane that breaks one promise."""

    def __init__(self, promise: str) -> None:
        super().__init__(lambda _item, _number: DONE)
        self.promise = promise

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Answer for no item, or for another one."""
        if self.promise == "claims nothing":
            return []
        if self.promise == "claims another":
            return [*super().claim(items), Held(Item(99, "another"))]
        return [Held(item, 1) for item in items] if self.promise == "repeats a number" else super().claim(items)

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin work that answers too little or too much."""
        return _Bad(self.promise, held)


class _Bad:
    def __init__(self, promise: str, held: Sequence[Held]) -> None:
        self.promise, self.held = promise, held
        self.handle: Handle = {}

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        if self.promise == "answers nothing":
            return
        for one in self.held:
            yield one, FAILED if self.promise == "repeats a number" else DONE
            if self.promise == "answers twice":
                yield one, DONE

    def end(self, why: str, grace: float) -> None:
        """End nothing."""


@pytest.mark.parametrize(
    ("promise", "code", "named"),
    [
        ("claims nothing", 6, "the lane gave no answer to the claim"),
        ("claims another", 0, "the lane answered a claim that nobody made"),
        ("answers nothing", 6, "the lane gave no outcome"),
        ("answers twice", 0, "the lane answered twice, or for an attempt that nobody began"),
        ("repeats a number", 6, "attempt 1 is not newer than attempt 1: another database numbered the claims"),
    ],
)
def test_a_broken_promise_is_named(places: Places, promise: str, code: int, named: str) -> None:
    """When a lane breaks a promise, the journal says which one, and every item is settled all the same."""
    record = opened_for(places, 2)
    limits = Limits(1, retries=1, retry_failures=True, back_off_seconds=0)
    assert code == carry(BadLane(promise), record, limits).exit_code
    assert named in _reasons(record.folder)
    assert 0 == record.standing.unrun


SURVIVOR = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from dispatch.surviving_lane import SurvivingLane
from dispatch.scripted_lane import carry, opened_for
from trailblazer.dispatch.settling import Limits
from trailblazer.paths import Places
root = Path(sys.argv[1])
record = opened_for(Places(root, root / "var"), 1)
carry(SurvivingLane(root), record, Limits(1))
"""


def test_a_resume_finds_work_that_survives_a_kill(places: Places) -> None:
    """After kill -9 of the dispatcher a resume finds the work by the handle in the journal, and takes its answer."""
    from dispatch.surviving_lane import SurvivingLane

    helpers, tests = Path(__file__).parents[2] / "helpers", Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", SURVIVOR, str(places.root), str(helpers), str(tests)]) as dispatcher:
        wait_for((places.root / "working").exists, "the work has begun")
        journals = places.dispatches.glob("2*/journal.ndjson")
        journal = next(journals)
        wait_for(lambda: b'"begun"' in journal.read_bytes(), "its handle is in the journal")
        dispatcher.kill()
    pid = int((places.root / "working").read_text())
    try:
        assert start_ticks(pid) is not None
        (places.root / "go").touch()
        record = reopen_record(journal.parent, hold(journal.parent))
        assert 0 == carry(SurvivingLane(places.root), record, Limits(1)).exit_code
        assert (1, 1) == (record.standing.good, record.standing.attempt_of(0))
        assert "1\n" == (places.root / "diary").read_text(), "it was begun once"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class _Probed(ScriptedLane):
    """A lane whose provider is away for good from the second item on, or stumbles and answers a probe."""

    def __init__(self, *, is_away: bool) -> None:
        super().__init__(lambda item, _attempt: FAILED if item.index else DONE)
        self.is_away, self.probes = is_away, 0

    def probe(self) -> None:
        """Answer, or not."""
        self.probes += 1
        if self.is_away:
            raise ServiceDown("nobody answers")


@pytest.mark.parametrize(("is_away", "code", "probes", "tried"), [(True, 8, 1, 4), (False, 6, 3, 10)])
def test_a_lane_is_probed_after_failures_alike(
    places: Places, is_away: bool, code: int, probes: int, tried: int
) -> None:
    """In every lane: three failures alike in a row probe the provider once, and a failed probe stops with exit 8."""
    lane, record = _Probed(is_away=is_away), opened_for(places, 10)
    with contextlib.closing(record):
        closing = carry(lane, record, Limits(1, probe_after=3))
    assert (code, probes, tried) == (closing.exit_code, lane.probes, len(lane.attempts)), closing
    assert closing.why.endswith("a probe failed: nobody answers") is is_away
    assert 0 == record.standing.unrun

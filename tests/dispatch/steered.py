"""A dispatch in a thread that a test steers, with a lane whose attempts end when the test says so."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from dispatch.scripted_lane import DONE, Answer, Listed, Silent, items_of
from trailblazer.dispatch.door import Door
from trailblazer.dispatch.engine import Closing, carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Handle, Held, OwnedLane, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.steering import Operator, read_steering
from trailblazer.record.admission import WIDE, Room
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Outcome, Status

ADA = Operator("ada", 1000, 4711)


def wait_for(is_so: Callable[[], object], what: str) -> None:
    """Return when something is so; after half a minute the test fails with what was waited for."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.005)


class HeldLane(OwnedLane):
    """A lane whose attempts run until `finish`, or until they are ended; `begun` are (index, attempt) in order."""

    def __init__(self, group: int = 1) -> None:
        self.group = group
        self.space: Room = WIDE
        self.begun: list[tuple[int, int]] = []
        self.widened: list[int] = []
        self.answers: dict[int, Answer] = {}
        self.change = threading.Condition()
        self.is_free = False
        self.asked = 0

    def room(self) -> Room:
        """Return what the test set, and count how often it is asked."""
        self.asked += 1
        return self.space

    def widen(self, slots: int) -> None:
        """Remember the number."""
        self.widened.append(slots)

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin a group of attempts."""
        with self.change:
            self.begun += [(one.item.index, one.attempt) for one in held]
        return _Holding(self, held)

    def finish(self, *indices: int, answer: Answer = DONE) -> None:
        """Let the attempts at these items end with an answer."""
        with self.change:
            self.answers |= dict.fromkeys(indices, answer)
            self.change.notify_all()

    def finish_all(self) -> None:
        """Let every attempt end well from now on."""
        with self.change:
            self.is_free = True
            self.change.notify_all()


class _Holding:
    def __init__(self, lane: HeldLane, held: Sequence[Held]) -> None:
        self.lane, self.held, self.is_ended = lane, held, False
        self.handle: Handle = {}

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        for one in self.held:
            with self.lane.change:
                self.lane.change.wait_for(functools.partial(self._may_end, one.item.index))
                ended = Outcome(Status.CANCELLED, "ended") if self.is_ended else DONE
                answer = self.lane.answers.pop(one.item.index, ended)
            yield one, answer

    def _may_end(self, index: int) -> bool:
        return self.is_ended or self.lane.is_free or index in self.lane.answers

    def end(self, why: str, grace: float) -> None:  # noqa: ARG002 - the contract's words
        with self.lane.change:
            self.is_ended = True
            self.lane.change.notify_all()


class SteeredDispatch:
    """A dispatch that is carried out while this is entered; at the end everything is let finish."""

    def __init__(self, record: Record, lane: HeldLane, limits: Limits, plan: Listed | None = None) -> None:
        self.record, self.lane, self.door, self.interrupts = record, lane, Door(record), Interrupts()
        plan = plan or Listed(lambda: items_of(record.standing.planned))
        self.closing: Closing | None = None

        def carry() -> None:
            self.closing = carry_out(plan, lane, record, limits, Silent(), self.interrupts, self.door)

        self._thread = threading.Thread(target=carry, daemon=True)

    def __enter__(self) -> SteeredDispatch:
        self._thread.start()
        return self

    def steer(self, *words: str) -> str:
        """Steer the dispatch as Ada, and return the answer."""
        return self.door.steer(read_steering(words), ADA)

    def wait_begun(self, *indices: int) -> None:
        """Wait until exactly these items have begun; slots begin side by side, in no order."""
        wait_for(lambda: sorted(index for index, _ in self.lane.begun) == sorted(indices), f"{indices} to begin")

    def end(self) -> Closing:
        """Let everything finish, and return how the dispatch ended."""
        self.lane.finish_all()
        return self.ended()

    def ended(self) -> Closing:
        """Return how the dispatch ended."""
        self._thread.join(30)
        assert self.closing is not None, "the dispatch did not end"
        return self.closing

    def status(self, index: int) -> Status | None:
        """Return the outcome of an item."""
        return self.record.standing.of(index)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.lane.finish_all()
        self.interrupts.stop()
        self._thread.join(30)

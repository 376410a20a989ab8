"""A lane that follows the script of a test, and the record, plan and audience that any lane needs in a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from trailblazer.dispatch.engine import Closing, carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Dispatch, Handle, Held, Lane, OwnedLane, Running
from trailblazer.dispatch.queue import GivenPlan
from trailblazer.dispatch.settling import Limits
from trailblazer.paths import Places
from trailblazer.record.admission import Switch
from trailblazer.record.folder import Record, open_record
from trailblazer.record.manifest import Seed
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refused, Status
from trailblazer.record.standing import Standing

SEED = Seed(
    plan_preflight_dir=None,
    plan_file_used="list.txt",
    runs_planned=1,
    provider="test",
    model=None,
    dimension=None,
    workers=2,
    batch_size=None,
    git_commit=None,
    qa_dir=None,
    notes="",
    mode="batch",
)
DONE = Outcome(Status.SUCCESS)
Answer = Outcome | Again | Left


class Listed(GivenPlan):
    """A plan that has all its items from the start."""

    def __init__(self, items: Callable[[], Iterator[Item]]) -> None:
        self._items = items

    def items(self) -> Iterator[Item]:
        """Yield every item."""
        return self._items()

    def turns(self) -> Iterator[Item | None]:
        """Yield every item."""
        return self._items()


class Silent:
    """An audience that shows nothing."""

    def started(self, item: Item, attempt: int) -> None:
        """Show nothing."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Show nothing."""

    def switched(self, switch: Switch) -> None:
        """Show nothing."""

    def show(self, standing: Standing) -> None:
        """Show nothing."""


class ScriptedLane(OwnedLane):
    """A lane whose script is a function: it gets the item and the attempt's number, and returns the answer.

    The gate refuses every item whose body is "closed". The lane counts what the engine asks of it.
    """

    def __init__(self, do: Callable[[Item, int], Answer], group: int = 1) -> None:
        self.do, self.group = do, group
        self.attempts: list[tuple[int, int]] = []
        self.groups: list[int] = []
        self.released: list[int] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def gate(self, items: Sequence[Item]) -> list[Refused]:
        """Refuse items whose body is "closed"."""
        return [Refused(item, "closed") for item in items if item.body == "closed"]

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin; the script runs when the engine waits."""
        with self.lock:
            self.groups.append(len(held))
        return _Scripted(self, held)

    def let_go(self, held: Held, outcome: Outcome) -> None:  # noqa: ARG002 - the contract's words
        """Remember the index of a released item."""
        self.released.append(held.item.index)


class _Scripted:
    def __init__(self, lane: ScriptedLane, held: Sequence[Held]) -> None:
        self.lane, self.held = lane, held
        self.handle: Handle = {}

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        for one in self.held:
            with self.lane.lock:
                self.lane.attempts.append((one.item.index, one.attempt))
                self.lane.at_once += 1
                self.lane.most_at_once = max(self.lane.most_at_once, self.lane.at_once)
            try:
                yield one, self.lane.do(one.item, one.attempt)
            finally:
                with self.lane.lock:
                    self.lane.at_once -= 1

    def end(self, why: str, grace: float) -> None:
        """End nothing: a script ends by itself."""


def opened_for(places: Places, planned: int) -> Record:
    """Return a new record for `planned` items. It is locked until `close`; then `reopen_record` resumes it."""
    return open_record(places, SEED, planned=planned, parameters={})


def items_of(planned: int, bodies: dict[int, str] | None = None) -> Iterator[Item]:
    """Yield `planned` items; `bodies` holds the content of some, by index."""
    return (Item(index, f"item-{index}", (bodies or {}).get(index)) for index in range(planned))


def carry(
    lane: Lane,
    record: Record,
    limits: Limits,
    bodies: dict[int, str] | None = None,
    interrupts: Interrupts | None = None,
) -> Closing:
    """Check and open the lane, carry out every item of the record, and close the lane, as the story does."""
    plan = Listed(lambda: items_of(record.standing.planned, bodies))
    lane.check()
    lane.open(
        Dispatch(
            record.dispatch_id,
            record.folder,
            record.manifest.traceparent,
            is_resumed=bool(record.standing.resumes),
        )
    )
    try:
        return carry_out(plan, lane, record, limits, Silent(), interrupts or Interrupts())
    finally:
        lane.close()

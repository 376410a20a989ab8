"""A lane that does what a test tells it, and a record for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from trailblazer.dispatch.engine import Closing, carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Handle, Held, Lane, OwnedLane, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.paths import Places
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


class Listed:
    """A plan that is known from the start."""

    def __init__(self, items: Callable[[], Iterator[Item]]) -> None:
        self._items = items

    def items(self) -> Iterator[Item]:
        """Yield every item."""
        return self._items()

    def turns(self) -> Iterator[Item | None]:
        """Yield every item."""
        return self._items()


class Silent:
    """An audience that hears nothing."""

    def started(self, item: Item, attempt: int) -> None:
        """Hear that an attempt begins."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Hear an outcome."""

    def show(self, standing: Standing) -> None:
        """Show nothing."""


class ToldLane(OwnedLane):
    """A lane whose attempts are a function of the item and the attempt's number; it remembers what was asked."""

    def __init__(self, do: Callable[[Item, int], Answer], group: int = 1) -> None:
        self.do, self.group = do, group
        self.attempts: list[tuple[int, int]] = []
        self.groups: list[int] = []
        self.released: list[int] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def gate(self, item: Item) -> Refused | None:
        """Refuse items that are told to be refused."""
        return Refused(item, "closed") if item.body == "closed" else None

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin what was told."""
        with self.lock:
            self.groups.append(len(held))
        return _Told(self, held)

    def let_go(self, held: Held, outcome: Outcome) -> None:  # noqa: ARG002 - the contract's words
        """Remember who was released."""
        self.released.append(held.item.index)


class _Told:
    def __init__(self, lane: ToldLane, held: Sequence[Held]) -> None:
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
        """End nothing: what is told ends by itself."""


def opened_for(places: Places, planned: int) -> Record:
    """Return a new record for so many items."""
    return open_record(places, SEED, planned=planned, parameters={})


def items_of(planned: int, bodies: dict[int, str] | None = None) -> Iterator[Item]:
    """Yield so many items."""
    return (Item(index, f"item-{index}", (bodies or {}).get(index)) for index in range(planned))


def carry(
    lane: Lane,
    record: Record,
    limits: Limits,
    bodies: dict[int, str] | None = None,
    interrupts: Interrupts | None = None,
) -> Closing:
    """Carry out all items of a record."""
    plan = Listed(lambda: items_of(record.standing.planned, bodies))
    return carry_out(plan, lane, record, limits, Silent(), interrupts or Interrupts())

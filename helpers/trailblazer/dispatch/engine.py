"""The engine: carries a plan out, whatever its items are. Start reading at `carry_out`."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from trailblazer.atomic import write_whole
from trailblazer.dispatch.halting import Halts
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.throttle import Throttle
from trailblazer.errors import ProviderRefused, ServiceDown, StorageTrouble, Trouble
from trailblazer.plain import one_line
from trailblazer.processes.children import Children
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import FAILED, AttemptEnded, Item, Outcome, Refusal, Standing, Status

LOOK_SECONDS = 0.1
COMMIT_SECONDS = 0.5


class Lane(Protocol):
    """The answers in which kinds of work differ. All but `look` are called in a slot, many at a time.

    A Trouble that an answer raises is that item's outcome: ServiceDown is transient, ProviderRefused final.
    """

    def gate(self, item: Item) -> Outcome | None:
        """Return why an item is refused, or None when it may run. Free: nothing is spent by asking."""

    def claim(self, item: Item) -> int | Outcome:
        """Return the number of the attempt that now holds the item, or the outcome that says who else holds it."""

    def attempt(self, item: Item, number: int) -> Outcome:
        """Do the work, under the attempt's number."""

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        """Let go of an item that was not finished."""

    def look(self) -> None:
        """Be called now and then, to keep claims alive."""


class Audience(Protocol):
    """Who is told how it goes."""

    def started(self, item: Item, number: int) -> None:
        """An attempt begins."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """An item has an outcome."""

    def look(self, standing: Standing) -> None:
        """Be called now and then."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many at once, how often again, when to stop early, and when the next may start.

    An item is tried again when its no was transient; with `retry_failures` after any failure. `stopping` is set when no
    more items shall start, for whoever makes items while others run.
    """

    slots: int
    retries: int = 0
    retry_failures: bool = False
    back_off_seconds: float = 1.0
    halts: Halts = field(default_factory=Halts)
    throttle: Throttle = field(default_factory=Throttle)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a dispatch ended: its exit code and, when it stopped early, why."""

    exit_code: int
    why: str = ""
    hint: str = ""


def carry_out(
    items: Iterable[Item], lane: Lane, record: Record, children: Children, limits: Limits, audience: Audience
) -> Closing:
    """Gate, claim, attempt and settle each item in order, up to `limits.slots` at once; return how it ended.

    Ctrl-C and TERM stop it: no new items, children ended, claims given back. What has a good outcome in the
    record already is passed over. Every outcome is in the journal before anything else is said of it.
    """
    engine = _Engine(items, lane, record, children, limits, audience)
    with engine.interrupts, engine.clock():
        for slot in engine.start_slots():
            slot.join()
        engine.cancel_rest()
    return engine.closing()


class _Engine:
    def __init__(
        self, items: Iterable[Item], lane: Lane, record: Record, children: Children, limits: Limits, audience: Audience
    ) -> None:
        self.lane, self.record, self.children, self.limits, self.audience = lane, record, children, limits, audience
        self.items: Iterator[Item] = iter(items)
        self.line = threading.Lock()
        self.lock = threading.Lock()
        self.stopping = limits.stopping
        self.interrupts = Interrupts()
        self.halted: Closing | None = None

    def start_slots(self) -> list[threading.Thread]:
        """Start no more slots than there are items, nor more than the system gives: those that run do the work."""
        slots: list[threading.Thread] = []
        for number in range(min(self.limits.slots, self.record.standing.planned)):
            slot = threading.Thread(target=self.carry, name=f"slot-{number}")
            try:
                slot.start()
            except RuntimeError as error:
                if not slots:
                    self.halt_for(error)
                break
            slots.append(slot)
        return slots

    # -- one item ---------------------------------------------------------------------------------------------

    def carry(self) -> None:
        """Be a slot: carry the next item from gate to outcome, until there is none. Failure of an item is data."""
        try:
            while (item := self._next()) is not None:
                number, outcome = self._outcome_of(item)
                self._settle(item, number, outcome)
        except BaseException as error:  # noqa: BLE001 - what stops the line must be told, not lost in a thread
            self.halt_for(error)

    def _next(self) -> Item | None:
        """Return the item whose turn it is, None when no more shall start. Slots ask one by one: that is the order."""
        with self.line:
            for item in self.items:
                if not self.record.has_good_result(item.index):
                    self.limits.throttle.wait(self.stopping)
                    if not self.stopping.is_set() and not self.interrupts.signal:
                        return item
                    self.items = itertools.chain([item], self.items)
                    break
        return None

    def cancel_rest(self) -> None:
        """Settle what was not run as cancelled where the line was stopped, or as nothing after a second signal."""
        try:
            for item in self.items if self.stopping.is_set() or self.interrupts.signal else ():
                if self.interrupts.count > 1:
                    break
                if self.record.standing.of(item.index) is None:
                    self.record.settle(item, 0, Outcome(Status.CANCELLED, "not run"))
        except Exception as error:  # noqa: BLE001 - the record is closed and sealed even so
            self.halt_for(error)

    def _outcome_of(self, item: Item) -> tuple[int, Outcome]:
        repeat = 0
        while True:
            number, outcome = self._try_once(item)
            is_over = repeat >= self.limits.retries or not self._may_repeat(outcome)
            if is_over or self.stopping.wait(self.limits.back_off_seconds * 2**repeat):
                return number, outcome
            self.record.journal.append("retry", item=item.id, index=item.index, attempt=number, reason=outcome.reason)
            repeat += 1

    def _may_repeat(self, outcome: Outcome) -> bool:
        return outcome.refusal is Refusal.TRANSIENT or (self.limits.retry_failures and outcome.status in FAILED)

    def _try_once(self, item: Item) -> tuple[int, Outcome]:
        number = 0
        try:
            refused = self.lane.gate(item)
            if refused is not None:
                return number, refused
            claimed = self.lane.claim(item)
            if isinstance(claimed, Outcome):
                return number, claimed
            number = claimed
            self.audience.started(item, number)
            outcome = self.lane.attempt(item, number)
        except StorageTrouble:
            raise
        except Trouble as trouble:
            outcome = _failure(trouble)
        if number and outcome.status is not Status.SUCCESS:
            self._give_back(item, number, outcome)
        return number, outcome

    def _give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        try:
            self.lane.give_back(item, number, outcome)
        except Trouble as trouble:  # the claim expires by itself; the item's own reason must not be hidden
            self.record.journal.append("warning", item=item.id, reason=f"claim not given back: {trouble.what}")

    def _settle(self, item: Item, number: int, outcome: Outcome) -> None:
        with self.lock:
            self.record.settle(item, number, outcome)
            self.audience.settled(item, outcome, self.record.standing)
            verdict = self.limits.halts.judge(outcome, self.record.standing)
            if verdict is not None:
                hint = "Mend the cause, then resume."
                self.halt(Closing(verdict.exit_code, verdict.why, hint), now=verdict.now)

    # -- stopping ---------------------------------------------------------------------------------------------

    def halt(self, closing: Closing, *, now: bool) -> None:
        """Start no more items; with `now` end those that run."""
        self.halted = self.halted or closing
        self.stopping.set()
        if now:
            self.children.end_all("cancelled")

    def halt_for(self, error: BaseException) -> None:
        """Stop everything for a full disk, or for a bug, whose traceback is kept in the folder."""
        if isinstance(error, Trouble):
            closing = Closing(error.exit_code, error.what, error.hint)
        else:
            file = self.record.folder / "traceback.txt"
            with contextlib.suppress(StorageTrouble):
                write_whole(file, "".join(traceback.format_exception(error)))
            closing = Closing(1, f"a bug: {one_line(repr(error), 200)}", f"The traceback is in {file}.")
        self.halt(closing, now=True)

    def clock(self) -> _Clock:
        """While it is entered, limits are kept, claims kept alive, the journal committed and progress shown."""
        return _Clock(self)

    def look(self) -> None:
        """Do what has to be done now and then."""
        if self.interrupts.count and not self.stopping.is_set():
            self.halt(Closing(128 + self.interrupts.signal, "interrupted"), now=True)
        if self.interrupts.count > 1:
            self.children.end_all("cancelled", grace=0)
        self.children.look()
        self.lane.look()
        self.audience.look(self.record.standing)

    def closing(self) -> Closing:
        """Return how it ended."""
        self.record.journal.commit()
        if self.interrupts.signal:
            return Closing(128 + self.interrupts.signal, "interrupted")
        if self.halted:
            return self.halted
        standing = self.record.standing
        if standing.failed:
            return Closing(6, f"{standing.failed} of {standing.planned} items failed")
        if not standing.good and standing.refused[Refusal.GATE]:
            return Closing(5, "every item was refused by its gate: nothing was sent, nothing spent")
        return Closing(0)


def _failure(trouble: Trouble) -> Outcome:
    if isinstance(trouble, AttemptEnded):
        return Outcome(trouble.status, trouble.what)
    kind = Refusal.NONE
    if isinstance(trouble, ProviderRefused):
        kind = Refusal.FINAL
    elif isinstance(trouble, ServiceDown):
        kind = Refusal.TRANSIENT
    return Outcome(Status.ERROR, one_line(trouble.what), kind)


class _Clock:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def _tick(self) -> None:
        committed = time.monotonic()
        while not self._over.wait(LOOK_SECONDS):
            try:
                self._engine.look()
                if time.monotonic() - committed >= COMMIT_SECONDS:
                    self._engine.record.journal.commit()
                    committed = time.monotonic()
            except Exception as error:  # noqa: BLE001 - the clock must go on: it is what ends children
                self._engine.halt_for(error)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

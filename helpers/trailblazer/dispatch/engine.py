"""The engine: it carries out the plan of any lane. Start reading at `carry_out`."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from trailblazer.atomic import write_whole
from trailblazer.dispatch.admission import Admission, note_switch
from trailblazer.dispatch.attempts import Attempts
from trailblazer.dispatch.door import Door
from trailblazer.dispatch.halting import Verdict
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Held, Lane, Running
from trailblazer.dispatch.obeying import Ends, Obeying
from trailblazer.dispatch.queue import Plan, Queue, Task
from trailblazer.dispatch.settling import Audience, Limits, Settling
from trailblazer.errors import StorageTrouble, Trouble
from trailblazer.plain import counted, one_line
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Outcome, Refusal, Status

TICK_SECONDS = 0.1
GRACE_SECONDS = 5.0
PATIENCE_SECONDS = 1.0  # after the grace, before work that does not end is abandoned
NOT_RUN = Outcome(Status.CANCELLED, "not run")


@dataclass(frozen=True, slots=True)
class Closing:
    """How a dispatch ended: its exit code and, when it stopped early, why."""

    exit_code: int
    why: str = ""
    hint: str = ""


def carry_out(
    plan: Plan,
    lane: Lane,
    record: Record,
    limits: Limits,
    audience: Audience,
    interrupts: Interrupts,
    door: Door | None = None,
) -> Closing:
    """Gate, claim, begin and settle each item in order, in up to `limits.slots` slots at once; return how it ended.

    Items that are not due by the record are skipped. An interrupt stops the dispatch: no item starts any more,
    attempts are ended and claims released. The journal has every fact before the audience does. Through the door the
    dispatch is steered while it carries items out.
    """
    engine = _Engine(plan, lane, record, limits, audience, interrupts, door or Door(record))
    with engine.keeping_claims_alive():
        engine.find_earlier_attempts()
        engine.carry_out()
    engine.cancel_rest()
    return engine.closing()


class _Engine:
    def __init__(
        self,
        plan: Plan,
        lane: Lane,
        record: Record,
        limits: Limits,
        audience: Audience,
        interrupts: Interrupts,
        door: Door,
    ) -> None:
        self.plan, self.lane, self.record, self.limits, self.audience = plan, lane, record, limits, audience
        self.interrupts, self.door = interrupts, door
        self.stopping = threading.Event()
        self.halted: Closing | None = None
        self.queue = Queue(plan, record.is_due)
        self.settling = Settling(lane, record, limits, audience, self.queue, self.is_stopping, self.halt_by)
        self.attempts = Attempts(lane, record, self.settling, audience)
        self.admission = Admission(lane, limits.slots, functools.partial(note_switch, record, audience))
        self.slots: list[threading.Thread] = []
        self.started = 0  # how many slots were wanted when some were started last, or fewer since then
        self.has_drained = False
        self.found: list[tuple[list[Held], Running]] = []
        self.turn = threading.Lock()

    # -- slots ------------------------------------------------------------------------------------------------

    def find_earlier_attempts(self) -> None:
        """Ask the lane for attempts that an earlier process of this dispatch began and did not settle."""
        unfinished = self.record.standing.unfinished()
        wanted = {index for group in unfinished for index, _ in group.attempts if self.record.is_due(index)}
        items = {item.index: item for item in self.plan.items() if item.index in wanted} if wanted else {}
        for group in unfinished:
            held = [Held(items[i], n, self.record.attempt_folder(i, n)) for i, n in group.attempts if i in items]
            try:
                running = self.lane.find(held, group.handle) if held else None
            except Trouble as trouble:
                self.record.warn(f"cannot find out what became of an earlier attempt: {trouble.what}", held[0].item)
                continue
            if running is not None:
                self.queue.take_away([one.item for one in held])
                self.found.append((held, running))

    def carry_out(self) -> None:
        """Carry items out until none is left. What a steering added when the slots had ended starts them anew."""
        obeying = Obeying(
            self.plan, self.lane, self.record, self.queue, self.admission, self.attempts, self.settling,
            Ends(self.drain, self.interrupts.stop),
        )  # fmt: skip
        with self.door.open(obeying.decide, lambda: self.admission.room):
            while True:
                self.start_slots()
                if not self.watch() or self.door.shut_if(lambda: self.is_stopping() or self.queue.is_over):
                    return

    @property
    def wanted(self) -> int:
        """How many slots there should be; a steering may change it."""
        return min(self.admission.slots, max(1, self.record.standing.planned))

    def start_slots(self) -> None:
        """Start as many slots as are wanted, at most one for each item.

        When the system refuses another thread, the slots that run do the work.
        """
        self.slots = [slot for slot in self.slots if slot.is_alive()]
        self.started = self.wanted  # before they start: a steering may change it meanwhile
        for number in range(len(self.slots), self.started):
            slot = threading.Thread(target=self.work, name=f"slot-{number}", daemon=True)
            try:
                slot.start()
            except RuntimeError as error:
                if not self.slots:
                    self.halt_for(error)
                break
            self.slots.append(slot)

    def work(self) -> None:
        """Carry items from gate to outcome in one slot, until there are none. The failure of an item is data."""
        try:
            while earlier := self._next_found():
                self.attempts.follow(*earlier)
                self.queue.done([one.item.index for one in earlier[0]])
            while tasks := self._next():
                try:
                    self.attempts.carry(tasks)
                finally:
                    self.admission.end()
                self.queue.done([task.item.index for task in tasks])
        except BaseException as error:  # noqa: BLE001 - an error in a slot stops the dispatch; it must not vanish
            self.halt_for(error)

    def _next_found(self) -> tuple[list[Held], Running] | None:
        with self.turn:
            return self.found.pop(0) if self.found else None

    def _next(self) -> list[Task]:
        """Return the next items, or none when no more start. Slots ask one by one, to keep the order of the plan."""
        with self.turn:
            self.limits.throttle.wait(self.stopping)
            while tasks := self.queue.take(max(1, self.lane.group), self.stopping):
                try:
                    if self.admission.begin():
                        return tasks
                except Trouble as trouble:  # nobody is there to do the work, or the budget is spent
                    self.halt(closing_for(trouble, self.record), now=False)
                    return []
                self.queue.give_back(tasks)
                self.admission.wait()
            return []

    # -- stopping ---------------------------------------------------------------------------------------------

    def is_stopping(self) -> bool:
        """Say whether the dispatch stops: then nothing is retried."""
        return self.stopping.is_set() or self.interrupts.signal != 0

    def halt(self, closing: Closing, *, now: bool, grace: float = GRACE_SECONDS) -> None:
        """Start no more items. With `now`, end the attempts that run; `grace` is in seconds."""
        self.halted = self.halted or closing
        self.stopping.set()
        self.queue.wake()
        if now:
            self.attempts.end_all(grace)

    def halt_by(self, verdict: Verdict) -> None:
        """Stop because a rule says so."""
        self.halt(Closing(verdict.exit_code, verdict.why, "Remove the cause, then resume."), now=verdict.now)

    def halt_for(self, error: BaseException) -> None:
        """Stop everything after an error; the folder keeps the traceback of a bug."""
        self.halt(closing_for(error, self.record), now=True)

    def drain(self, by: str) -> None:
        """Start no more items because a person says so; those that run finish."""
        self.has_drained = True
        self.halt(Closing(128 + signal.SIGINT, f"drained by {by}: what ran has finished"), now=False)

    def watch(self) -> bool:
        """Wait for the slots, notice interrupts and show progress; return whether every slot has ended.

        Work that does not end in time is abandoned.
        """
        deadline, seen = None, 0
        while alive := [slot for slot in self.slots if slot.is_alive()]:
            alive[0].join(TICK_SECONDS)
            if self.wanted > self.started:
                self.start_slots()
            self.started = min(self.started, self.wanted)
            if self.interrupts.count > seen:
                seen = self.interrupts.count
                grace = 0.0 if seen > 1 else GRACE_SECONDS
                self.halt(Closing(128 + self.interrupts.signal, "interrupted"), now=True, grace=grace)
                deadline = None
            if self.attempts.grace is not None and deadline is None:
                deadline = time.monotonic() + self.attempts.grace + PATIENCE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                self.settling.abandon("did not end when it was asked to")
                return False
            self._show()
        return True

    def _show(self) -> None:
        try:
            self.audience.show(self.record.standing)
        except Exception as error:  # noqa: BLE001 - the watch must go on: it is what ends attempts
            self.halt_for(error)

    def cancel_rest(self) -> None:
        """Settle as cancelled the items that were not run. After a second signal leave them unsettled."""
        try:
            for item in self.plan.items() if self.stopping.is_set() else ():
                if self.interrupts.count > 1:
                    break
                if self.record.standing.of(item.index) is None and self.record.is_due(item.index):
                    self.record.settle(item, 0, NOT_RUN)
        except Exception as error:  # noqa: BLE001 - the record is closed and sealed even so
            self.halt_for(error)

    @contextlib.contextmanager
    def keeping_claims_alive(self) -> Iterator[None]:
        """Keep the claims alive in a thread of its own, so that a lane that hangs delays nothing else."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(TICK_SECONDS):
                try:
                    self.lane.keep_alive()
                except Trouble as trouble:
                    self.record.warn(f"claims were not kept alive: {trouble.what}")
                except Exception as error:  # noqa: BLE001 - a bug stops the dispatch; it must not vanish in a thread
                    self.halt_for(error)
                    return

        try:
            threading.Thread(target=keep, name="keep-alive", daemon=True).start()
        except RuntimeError as error:  # the system gives no thread: claims would expire under attempts that run
            self.halt_for(error)
        try:
            yield
        finally:
            over.set()

    def closing(self) -> Closing:
        """Return how the dispatch ended."""
        if self.interrupts.signal:
            return Closing(128 + self.interrupts.signal, "interrupted")
        standing = self.record.standing
        if self.halted and (not self.has_drained or standing.unrun or standing.counts[Status.CANCELLED]):
            return self.halted
        if standing.failed:
            return Closing(6, f"{standing.failed} of {counted(standing.planned, 'item')} failed")
        if cancelled := standing.counts[Status.CANCELLED]:
            was = "was" if cancelled == 1 else "were"
            return Closing(6, f"{cancelled} of {counted(standing.planned, 'item')} {was} cancelled")
        if self.record.retried is not None and (left := standing.unrun):
            return Closing(6, f"only what failed was tried again; {counted(left, 'item')} still without an outcome")
        refused = standing.refused[Refusal.GATE]
        if refused and not standing.good:
            who = "every item" if refused == standing.planned else f"{refused} of {counted(standing.planned, 'item')}"
            spent = "no item was good" if standing.has_begun else "nothing was sent, nothing spent"
            return Closing(5, f"{who} was refused by its gate: {spent}")
        return Closing(0)


def closing_for(error: BaseException, record: Record) -> Closing:
    """Return how an error ends a dispatch. The traceback of a bug goes into the folder."""
    if isinstance(error, Trouble):
        return Closing(error.exit_code, error.what, error.hint)
    import traceback

    file = record.folder / "traceback.txt"
    with contextlib.suppress(StorageTrouble):
        write_whole(file, "".join(traceback.format_exception(error)))
    return Closing(1, f"a bug: {one_line(repr(error), 200)}", f"The traceback is in {file}.")

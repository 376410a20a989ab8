"""Signals: a batch is a group of the engine, a signal an item, and waiting for its artifact the attempt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trailblazer.atomic import make_folder, write_whole
from trailblazer.dispatch.halting import Halted
from trailblazer.dispatch.lane import Dispatch, Handle, Held, OwnedLane, Running
from trailblazer.errors import Trouble
from trailblazer.lanes.signals.adapters import Adapter, Answering, Gone, Nobody, Posted
from trailblazer.lanes.signals.agents import usage_of
from trailblazer.lanes.signals.answers import TRIAGE, read_investigation, read_triage
from trailblazer.lanes.signals.clusters import Cluster
from trailblazer.lanes.signals.costs import Costs
from trailblazer.lanes.signals.plan import ARTIFACT, Case
from trailblazer.lanes.signals.prompt import investigation_prompt, triage_prompt
from trailblazer.lanes.signals.request import SignalsRequest
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.lanes.signals.store import Store
from trailblazer.lanes.signals.ways import Exchange, Way
from trailblazer.record.admission import Room
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Status, outcome_of
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.documents import Change, Tell, tell_nobody
from trailblazer.signals.files import Result
from trailblazer.signals.suite import Suite
from trailblazer.signals.tokens import TokenRecord, record_of

STATUS = {"done": Status.SUCCESS, "error": Status.ERROR, "timeout": Status.TIMEOUT, "cancelled": Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class Means:
    """What the lane works with. `suites` is the folder of all suites; `connect` opens the store of one."""

    scenario: Scenario
    adapter: Adapter
    suites: Path
    open_store: Callable[[str], Store]


class SignalsLane(OwnedLane):
    """Writes signals for items, and waits for their artifacts. An accepted artifact is kept with its attempt."""

    def __init__(self, means: Means, request: SignalsRequest) -> None:
        self._means, self._request = means, request
        self.group = request.group
        self.tell: Tell = tell_nobody
        self._opened = contextlib.ExitStack()

    def check(self) -> None:
        """Ask once, for free, whether anybody can answer, and whether the store does."""
        self._means.adapter.check()
        with contextlib.closing(self._means.open_store("")) as store:
            store.knowledge()

    def open(self, dispatch: Dispatch) -> None:
        """Open the suite, its store, and the way to the agents."""
        self._suite = Suite(self._means.suites / (self._request.suite or dispatch.id))
        self._store = self._means.open_store(self._suite.folder.name)
        self.costs = Costs(dispatch.folder, dispatch.spent, self._means.scenario.prices)
        self._way = Way(self._suite, self._request, self._brief, self._changed)
        for one in (self.costs, self._store, self._way):
            self._opened.callback(one.close)
        self._means.adapter.open(dispatch)
        self._way.open()

    def _changed(self, change: Change) -> None:
        self.tell(change)

    def _brief(self, phase: str, contexts: Sequence[Context]) -> str:
        return self._store.briefing(self._means.scenario, self._suite.folder.name, phase, contexts)

    def keep_cluster(self, cluster: Cluster) -> None:
        """Keep a cluster that was chosen, so that the next briefing has it."""
        self._store.keep_cluster(cluster.id, cluster.representative, cluster.members)

    def room(self) -> Room:
        """Return how many groups may be under way; Halted when the token budget is spent (S5)."""
        most = self._request.token_budget
        if most is not None and self.costs.tokens >= most:
            why = f"the token budget is spent: {self.costs.tokens:,.0f} of {most:,.0f} tokens"
            raise Halted(why, "To go on: resume with a larger --token-budget.")
        return self._means.adapter.room()

    def begin(self, held: Sequence[Held]) -> Running:
        """Write the signals of a group, and set about answering them where that is ours to do."""
        contexts = [self._context(one.item) for one in held]
        records = [record_of(context.case_id, context.step, context.prompt) for context in contexts]
        exchange, handle = self._way.post(held[0].item.phase, contexts)
        attempts = dict(zip(exchange.numbers, zip(held, records, strict=True), strict=True))
        group = [Posted(*one) for one in zip(held, exchange.numbers, contexts, strict=True)]
        answering = self._means.adapter.answer(self._suite, group, exchange.end)
        return _Waiting(self, exchange, handle, attempts, answering)

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return signals that an earlier process wrote: what was published meanwhile is taken, the rest waited for."""
        numbers = handle.get("signals", ())
        places = handle.get("places", ())
        ours = {one.item.index: one for one in held}
        pairs = [(number, ours[index]) for number, index in zip(numbers, places, strict=False) if index in ours]
        if len(pairs) != len(held):
            return None
        contexts = {number: self._context(one.item) for number, one in pairs}
        exchange = self._way.find(held[0].item.phase, contexts, handle)
        if exchange is None:
            return None
        attempts = {
            number: (one, record_of(context.case_id, context.step, context.prompt))
            for (number, one), context in zip(pairs, contexts.values(), strict=True)
        }
        if not self._means.adapter.is_ours:
            return _Waiting(self, exchange, handle, attempts, Nobody())
        exchange.end()  # nobody is at work on what has no answer yet
        return _Waiting(self, exchange, handle, attempts, Gone())

    def _context(self, item: Item) -> Context:
        case: Case = item.body
        scenario = self._means.scenario
        if case.cluster is None:
            prompt = triage_prompt(scenario.case(case.case_id))
        else:
            prompt = investigation_prompt(case.cluster, scenario.cases)
        return Context(case.case_id, case.step, prompt)

    def settle(
        self, one: Held, result: Result, record: TokenRecord, said: Outcome | Again | Left | None
    ) -> Outcome | Again:
        """Return what a signal came to, with what it used. The artifact of a success is kept with its attempt.

        `said` is what the work on it came to, where that was ours.
        """
        begun = Outcome(STATUS[result.status], result.error)
        if said is not None:
            result = replace(result, usage={**result.usage, **usage_of(said)})
        if begun.status is Status.SUCCESS:
            try:
                self._accept(one, result)
            except Trouble as trouble:
                begun = outcome_of(trouble)
        elif isinstance(said, Again):
            return replace(said, usage=self.costs.usage(self.costs.postpone(record, result)))
        elif isinstance(said, Outcome) and said.status is not Status.SUCCESS:
            begun = said
        ended = self.costs.add(record, result, begun.status)
        folder = f"task_{one.item.index}/attempt_{one.attempt}"
        details = {"signal_id": result.dispatch_id, "duration_ms": ended.wall_clock_ms, "folder": folder}
        known = said.details if isinstance(said, Outcome) else {}
        return replace(begun, usage=self.costs.usage(ended), details={**known, **details})

    def _accept(self, one: Held, result: Result) -> None:
        """Keep an artifact; one that its step does not take is refused with DocumentInvalid."""
        case: Case = one.item.body
        if case.step == TRIAGE:
            triage = read_triage(result.data)
            self._store.keep_symptom(case.case_id, result.dispatch_id, triage.component, triage.symptom)
        elif case.cluster is not None:
            found = read_investigation(result.data)
            self._store.keep_finding(case.cluster.id, result.dispatch_id, found.component, found.root_cause)
        write_whole(make_folder(Path(one.folder)) / ARTIFACT, result.artifact, durable=False)

    def close(self) -> None:
        """End what still runs, and put aside what came too late."""
        with self._opened:
            self._means.adapter.close()


class _Waiting:
    """A group of signals that is waited for."""

    def __init__(
        self,
        lane: SignalsLane,
        exchange: Exchange,
        handle: Handle,
        attempts: Mapping[int, tuple[Held, TokenRecord]],
        answering: Answering,
    ) -> None:
        places = [attempts[number][0].item.index for number in attempts]
        self.handle: Handle = {**handle, "places": places} if handle else {}
        self._lane, self._exchange, self._attempts, self._answering = lane, exchange, attempts, answering

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield what came of each signal, as it comes."""
        try:
            for result in self._exchange.results():
                one, record = self._attempts[result.dispatch_id]
                yield one, self._lane.settle(one, result, record, self._answering.last_word(result.dispatch_id))
        finally:
            self._answering.end("cancelled", 0.0)

    def end(self, why: str, grace: float) -> None:
        """Wait no longer, and end who works on the answers."""
        self._answering.end(why, grace)
        self._exchange.end()

"""The work of a calibration: its scenario, its lane, and the scorecard at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer.config import Config
from trailblazer.database.connection import connect
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.work import Answer, Show
from trailblazer.lanes.items.chain import read_lineup
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.orders import Orders, TimeLimit
from trailblazer.lanes.signals.adapters import Adapter, Stub
from trailblazer.lanes.signals.agents import Agents
from trailblazer.lanes.signals.answers import INVESTIGATE, TRIAGE
from trailblazer.lanes.signals.audience import SignalAudience
from trailblazer.lanes.signals.costs import cost_lines, spent_in
from trailblazer.lanes.signals.lane import Means, SignalsLane
from trailblazer.lanes.signals.plan import SignalsPlan, read_chosen
from trailblazer.lanes.signals.request import STDIN, STUB, SignalsRequest
from trailblazer.lanes.signals.scenario import Scenario, read_scenario
from trailblazer.lanes.signals.scorecard import make_scorecard
from trailblazer.lanes.signals.store import Store
from trailblazer.lanes.spending import caps_of, read_budget
from trailblazer.plain import counted
from trailblazer.processes.git import commit_of
from trailblazer.providers.budget import Budget, Cap
from trailblazer.record.folder import JOURNAL, Record
from trailblazer.record.manifest import Caps, Resource, Seed
from trailblazer.record.outcomes import is_open
from trailblazer.record.proof import archive
from trailblazer.record.standing import Standing, read_standing
from trailblazer.reports.audience import Shown
from trailblazer.reports.progress import Progress
from trailblazer.signals.suite import SUITES
from trailblazer.streams import put_out

ARCHIVED = "scenario"
SCORECARD = "scorecard.json"


class SignalsWork:
    """The work of a calibration. A resume reads the scenario that the dispatch has archived."""

    noun = phase = "signals"
    command = "trailblazer calibrate"
    schema = "signals_parameters"

    def __init__(
        self,
        config: Config,
        request: SignalsRequest,
        *,
        show: Show,
        resumes: Path | None = None,
        only_failed: bool = False,
        force: bool = False,
    ) -> None:
        self.config, self.request = config, request
        self.resumes, self.only_failed, self.force = resumes, only_failed, force
        self.scenario: Scenario = read_scenario(str(resumes / ARCHIVED) if resumes else request.scenario)
        self.planned = len(self.scenario.cases)
        self.show = show
        self.limits = Limits(
            request.slots, request.retries, retry_failures=True, probe_after=config["dispatch.probe_after"]
        )
        adapter = _adapter(config, request, self.scenario)
        self.lane = SignalsLane(Means(self.scenario, adapter, config.places.var / SUITES, self._open_store), request)
        self._plan: SignalsPlan | None = None

    def _open_store(self, suite_id: str) -> Store:
        return Store(lambda: connect(self.config), suite_id)

    def waiting(self) -> Iterator[str]:
        """Yield a line for each case that would be triaged; of a resume, and for each that would be investigated."""
        standing = read_standing(self.resumes / JOURNAL)[0] if self.resumes else Standing(self.planned)
        steps = [(case.id, TRIAGE, case.name) for case in self.scenario.cases]
        if self.resumes:
            steps += [(one.representative, INVESTIGATE, ", ".join(one.members)) for one in read_chosen(self.resumes)]
        for index in range(standing.planned):
            if is_open(standing.of(index), only_failed=self.only_failed):
                yield "\t".join(steps[index])

    def seed(self) -> Seed:
        """Return the fields of the manifest that say what was asked for (E5)."""
        return Seed(
            plan_preflight_dir=None,
            plan_file_used=self.request.scenario,
            runs_planned=self.planned,
            provider=self.request.provider or self.request.adapter,
            model=self.request.model,
            dimension=None,
            workers=self.request.parallel,
            batch_size=self.request.batch_size,
            git_commit=commit_of(self.config.places.root),
            qa_dir=None,
            notes=self.request.notes,
            mode="calibrate",
        )

    def caps(self) -> Caps:
        """Return what the calibration may use at most; only a provider of ours has the budget of the configuration."""
        budget = read_budget(ItemsRequest(), self.config) if self.request.provider else Budget()
        tokens = [most for most in (self.request.token_budget, budget.dispatch.tokens) if most is not None]
        budget = dataclasses.replace(budget, dispatch=Cap(budget.dispatch.cost_usd, min(tokens, default=None)))
        return caps_of(self.limits, self.request.timeout_seconds, budget)

    def parameters(self) -> Mapping[str, Any]:
        """Return the request, so that a resume need not repeat it."""
        return self.request.parameters()

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Copy the scenario: a resume and a reader of the proof need it as it was."""
        return archive(self.scenario.folder, folder / ARCHIVED)

    def opening_words(self, record: Record) -> Iterable[str]:
        """Say what is calibrated, who answers, and where the signals are."""
        request, suite = self.request, self.request.suite or record.dispatch_id
        if self.resumes is not None:
            standing = record.standing
            yield f"Resuming calibration {record.dispatch_id}: {standing.good} of {standing.planned} signals good"
        else:
            what = f"{counted(self.planned, 'case')} of {self.scenario.name}"
            yield f"Calibration {record.dispatch_id}: {what}, {request.adapter} by {request.dispatch}"
        if request.dispatch != STDIN:
            yield f"Suite: {self.config.places.var / SUITES / suite}"

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> SignalsPlan:  # noqa: ARG002 - nothing is asked
        """Return the plan, which grows when the cases are triaged."""
        self._plan = SignalsPlan(record, self.scenario, self.lane.keep_cluster)
        return self._plan

    def audience(self, shown: Shown, record: Record) -> SignalAudience:  # noqa: ARG002 - it shows what every audience does
        """Return the audience, which hears of every transition."""
        audience = SignalAudience(shown)
        self.lane.tell = audience.changed
        return audience

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:
        """Make the scorecard, and print it; the exit code is 6 when a metric fails (S5)."""
        if closing.exit_code >= 128 or self._plan is None:
            return closing
        plan = self._plan
        scorecard = make_scorecard(
            self.scenario, plan.triages(), plan.chosen(), plan.investigations(), spent_in(record.folder)
        )
        scorecard.publish(record.folder / SCORECARD)
        lines = [*scorecard.lines(), *(cost_lines(record.folder) if self.request.cost_report else ())]
        if self.show.answer is Answer.OWN:
            with progress.room():
                put_out("".join(f"{line}\n" for line in lines))
        else:
            for line in lines:
                progress.sum_up(line)
        if closing.exit_code or scorecard.passed:
            return closing
        metrics = counted(len(scorecard.metrics), "metric")
        return Closing(6, f"only {scorecard.good} of {metrics} pass", "The scorecard says which fail.")

    def closing_words(self, record: Record) -> Iterable[str]:
        """Say what the suite came to, and what it used."""
        standing = record.standing
        tokens = standing.usage.get("input_tokens", 0) + standing.usage.get("output_tokens", 0)
        cost = standing.usage.get("costUSD", 0.0)
        yield f"Signals: {standing.good} done, {standing.failed} failed, {standing.planned - standing.settled} left"
        yield f"Tokens: {tokens:,.0f}" + (f", US$ {cost:.4f}" if cost else "")


def _adapter(config: Config, request: SignalsRequest, scenario: Scenario) -> Adapter:
    """Return who answers: the stub, a provider, or nobody of ours."""
    if request.dispatch == STDIN:
        return Adapter()
    if request.adapter == STUB:
        return Stub(scenario)
    if request.provider is None:
        return Adapter()
    words = ItemsRequest(provider=request.provider, model=request.model, prompt="{{ item }}")
    lineup = read_lineup(words, config, request.parallel)
    return Agents(Orders(lineup, TimeLimit(request.timeout_seconds)), request.group, request.parallel)


def resumed(request: SignalsRequest, said: Mapping[str, Any]) -> SignalsRequest:
    """Return the request of an earlier calibration with what a resume may be given anew."""
    known = {name: said[name] for name in ("token_budget", "retries", "cost_report") if said.get(name) is not None}
    return dataclasses.replace(request, **known)

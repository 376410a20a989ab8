"""The scorecard of a calibration: twenty metrics, each with its value, its threshold, and whether it passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.lanes.signals.answers import Investigation, Triage
from trailblazer.lanes.signals.clusters import Cluster
from trailblazer.lanes.signals.measures import VALUES, Answers, Spent, Verdict
from trailblazer.lanes.signals.metrics import METRICS
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.plain import counted, one_line

DIGITS = 6  # behind the point, in documents
MOST_WRONG = 20  # cases that are shown
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one calibration. `is_spending` marks time and tokens, which the answers do not decide."""

    name: str
    value: float
    threshold: float
    is_at_least: bool
    is_spending: bool
    meaning: str

    @property
    def passed(self) -> bool:
        """Whether the value reaches the threshold."""
        return self.value >= self.threshold if self.is_at_least else self.value <= self.threshold

    def line(self) -> str:
        """Return the metric on one line for people."""
        word = "at least" if self.is_at_least else "at most"
        verdict = "pass" if self.passed else "FAIL"
        return f"  {self.name:<26}{_shown(self.value):>12}  {word:>8} {_shown(self.threshold):<12} {verdict}"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What a calibration came to: its metrics in their order, a verdict on each case, and what was spent."""

    scenario: str
    metrics: tuple[Metric, ...]
    verdicts: tuple[Verdict, ...]
    clusters: tuple[Cluster, ...]
    spent: Spent

    @property
    def good(self) -> int:
        """How many metrics pass."""
        return sum(metric.passed for metric in self.metrics)

    @property
    def passed(self) -> bool:
        """Whether every metric passes."""
        return self.good == len(self.metrics)

    def results(self) -> dict[str, Any]:
        """Return what depends on the answers alone: the same answers give the same results, in whatever way they came.

        Time, tokens and cost are left out.
        """
        return {
            "scenario": self.scenario,
            "metrics": [_metric_of(metric) for metric in self.metrics if not metric.is_spending],
            "clusters": [asdict(cluster) for cluster in self.clusters],
            "verdicts": [_verdict_of(verdict) for verdict in self.verdicts],
        }

    def document(self) -> dict[str, Any]:
        """Return the scorecard as schemas/scorecard.schema.json describes it."""
        metrics = [_metric_of(metric) for metric in self.metrics]
        totals = {"metrics_passed": self.good, "metrics_total": len(self.metrics), "passed": self.passed}
        return self.results() | {"metrics": metrics} | totals | {"spent": asdict(self.spent)}

    def publish(self, target: Path) -> None:
        """Write the document to a file."""
        schemas.publish("scorecard", self.document(), target)

    def lines(self) -> Iterator[str]:
        """Yield the scorecard for people, in 80 columns."""
        yield f"{one_line(self.scenario, 40)}: {self.good} of {counted(len(self.metrics), 'metric')} pass"
        yield from (metric.line() for metric in self.metrics)
        wrong = [(verdict.case.id, names) for verdict in self.verdicts if (names := _wrong_in(verdict))]
        for case_id, names in wrong[:MOST_WRONG]:
            yield "  " + one_line(f"{one_line(case_id, 24)}: {', '.join(names)}", _WIDTH - 2)
        if len(wrong) > MOST_WRONG:
            yield f"  and {counted(len(wrong) - MOST_WRONG, 'more case')} with wrong answers"
        cases, clusters = counted(len(self.verdicts), "case"), counted(len(self.clusters), "cluster")
        signals = f"{counted(self.spent.signals, 'signal')}, {self.spent.failed:,} failed"
        yield f"{cases}, {clusters}, {signals}, {self.spent.seconds:,.1f} s of waiting"
        prompts = f"{counted(self.spent.prompt_tokens, 'token')} of prompts"
        yield f"{prompts} + {self.spent.artifact_tokens:,} of answers, US$ {self.spent.cost_usd:.4f}"


def make_scorecard(
    scenario: Scenario,
    triages: Mapping[str, Triage],
    clusters: Sequence[Cluster],
    investigations: Mapping[str, Investigation],
    spent: Spent,
) -> Scorecard:
    """Return the scorecard of what was answered.

    Triages are by case id, investigations by the case id of their cluster's representative; what has no answer is not
    there. The thresholds of the scenario come before the defaults.
    """
    cluster_of = {case_id: cluster for cluster in clusters for case_id in cluster.members}
    verdicts = []
    for case in scenario.cases:
        cluster = cluster_of.get(case.id)
        investigation = investigations.get(cluster.representative) if cluster else None
        verdicts.append(Verdict(case, triages.get(case.id), cluster, investigation))
    answers = Answers(tuple(verdicts), tuple(clusters), spent)
    metrics = tuple(
        Metric(
            name=kind.name,
            value=round(VALUES[kind.name](answers), DIGITS),
            threshold=float(scenario.thresholds.get(kind.name, kind.threshold)),
            is_at_least=kind.is_at_least,
            is_spending=kind.is_spending,
            meaning=kind.meaning,
        )
        for kind in METRICS
    )
    return Scorecard(scenario.name, metrics, answers.verdicts, answers.clusters, spent)


def _metric_of(metric: Metric) -> dict[str, Any]:
    kept = ("name", "value", "threshold", "is_at_least", "meaning")
    return {name: getattr(metric, name) for name in kept} | {"passed": metric.passed}


def _verdict_of(verdict: Verdict) -> dict[str, Any]:
    """Return a case with what was answered and which answers are wrong."""
    return {
        "case_id": verdict.case.id,
        "cluster_id": verdict.cluster.id if verdict.cluster else None,
        "triage": asdict(verdict.triage) if verdict.triage else None,
        "investigation": asdict(verdict.investigation) if verdict.investigation else None,
        "wrong": _wrong_in(verdict),
    }


def _wrong_in(verdict: Verdict) -> list[str]:
    """Return which answers about a case are wrong, or that there is no triage or no investigation of it."""
    if verdict.triage is None:
        return ["no triage"]
    found = {
        "category": verdict.has_category,
        "component": verdict.has_component,
        "severity": verdict.has_severity,
        "symptom": verdict.has_symptom,
    }
    if verdict.investigation:
        found |= {"root cause": verdict.has_cause, "component of the cause": verdict.has_cause_component}
    wrong = [name for name, is_right in found.items() if not is_right]
    return wrong if verdict.investigation else [*wrong, "no investigation"]


def _shown(value: float) -> str:
    return f"{value:,.3f}" if value < 1000 else f"{value:,.0f}"

"""The value of each metric, computed from what was answered and what was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import comb

from trailblazer.lanes.signals.answers import Investigation, Triage, normalised
from trailblazer.lanes.signals.clusters import Cluster
from trailblazer.lanes.signals.scenario import Case

_SHORTEST_PART = 8  # characters that a quote and expected evidence must share at least, unless they are equal


@dataclass(frozen=True, slots=True)
class Spent:
    """What the signals of a calibration used, added up: also their `seconds`. Those that `failed` have no answer."""

    signals: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    artifact_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """The tokens of prompts and artifacts."""
        return self.prompt_tokens + self.artifact_tokens


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case with its answers; the investigation is that of its cluster."""

    case: Case
    triage: Triage | None = None
    cluster: Cluster | None = None
    investigation: Investigation | None = None

    @property
    def has_category(self) -> bool:
        """Whether the triage names the expected category."""
        return self.triage is not None and self.triage.category == self.case.expected.category

    @property
    def has_component(self) -> bool:
        """Whether the triage names the expected component."""
        return self.triage is not None and _are_equal(self.triage.component, self.case.expected.component)

    @property
    def has_severity(self) -> bool:
        """Whether the triage names the expected severity."""
        return self.triage is not None and self.triage.severity == self.case.expected.severity

    @property
    def has_symptom(self) -> bool:
        """Whether the triage names the expected symptom."""
        return self.triage is not None and _are_equal(self.triage.symptom, self.case.expected.symptom)

    @property
    def has_cause(self) -> bool:
        """Whether the investigation names the expected root cause."""
        return self.investigation is not None and self.case.expected.has_cause(self.investigation.root_cause)

    @property
    def has_cause_component(self) -> bool:
        """Whether the investigation names the expected component."""
        return self.investigation is not None and _are_equal(self.investigation.component, self.case.expected.component)

    @property
    def is_representative(self) -> bool:
        """Whether the investigation was about this case."""
        return self.cluster is not None and self.cluster.representative == self.case.id

    @property
    def quotes(self) -> frozenset[str]:
        """The evidence of the triage, and that of an investigation of this very case, as texts are compared."""
        said = self.triage.evidence if self.triage else ()
        found = self.investigation.evidence if self.investigation and self.is_representative else ()
        return frozenset(map(normalised, (*said, *found)))

    @property
    def expected_evidence(self) -> frozenset[str]:
        """The expected evidence, as texts are compared."""
        return frozenset(map(normalised, self.case.expected.evidence))


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that is measured: a verdict on each case of the scenario, in its order."""

    verdicts: tuple[Verdict, ...]
    clusters: tuple[Cluster, ...]
    spent: Spent

    @property
    def triages(self) -> list[Triage]:
        """The triages that there are."""
        return [verdict.triage for verdict in self.verdicts if verdict.triage]


def symptom_precision(answers: Answers) -> float:
    """Return how many of the symptoms that were named are expected ones; 0 when none was named."""
    named, expected = _symptoms(answers)
    return _part(len(named & expected), len(named))


def symptom_recall(answers: Answers) -> float:
    """Return how many of the expected symptoms were named."""
    named, expected = _symptoms(answers)
    return _part(len(named & expected), len(expected))


def cluster_precision(answers: Answers) -> float:
    """Return how many pairs in one cluster belong together; 1 when there are clusters, and none has two cases."""
    made = sum(comb(len(cluster.members), 2) for cluster in answers.clusters)
    return _part(_right_pairs(answers), made, empty=float(bool(answers.clusters)))


def cluster_recall(answers: Answers) -> float:
    """Return how many pairs that belong together share a cluster; 1 when there are clusters, and no such pair."""
    groups = Counter(verdict.case.expected.key for verdict in answers.verdicts)
    belonging = sum(comb(size, 2) for size in groups.values())
    return _part(_right_pairs(answers), belonging, empty=float(bool(answers.clusters)))


def cluster_purity(answers: Answers) -> float:
    """Return how many of the cases in clusters are of the largest expected group of their cluster; 0 without any."""
    largest = sum(max(groups.values()) for groups in _groups(answers))
    return _part(largest, sum(len(cluster.members) for cluster in answers.clusters))


def cluster_count_error(answers: Answers) -> float:
    """Return how far the number of clusters is from the expected one, in parts of it."""
    expected = len({verdict.case.expected.key for verdict in answers.verdicts})
    return abs(len(answers.clusters) - expected) / expected


def evidence_precision(answers: Answers) -> float:
    """Return how many quotes match expected evidence of their case; 0 when nothing was quoted."""
    return _share(
        any(_match(quote, known) for known in verdict.expected_evidence)
        for verdict in answers.verdicts
        for quote in verdict.quotes
    )


def evidence_recall(answers: Answers) -> float:
    """Return how much of the expected evidence of triaged cases was quoted; 0 when no case was triaged."""
    return _share(
        any(_match(quote, known) for quote in verdict.quotes)
        for verdict in answers.verdicts
        if verdict.triage
        for known in verdict.expected_evidence
    )


def evidence_grounding(answers: Answers) -> float:
    """Return how many quotes stand in the error or the log of their case; 0 when nothing was quoted."""
    return _share(
        quote in text for verdict in answers.verdicts for text in [verdict.case.text] for quote in verdict.quotes
    )


def confidence_brier(answers: Answers) -> float:
    """Return the mean of (confidence - right)² over triages and investigations; 1 when there is none.

    A triage is right when category, component and symptom are; an investigation when the root cause is.
    """
    squares = [
        (verdict.triage.confidence - (verdict.has_category and verdict.has_component and verdict.has_symptom)) ** 2
        for verdict in answers.verdicts
        if verdict.triage
    ] + [
        (verdict.investigation.confidence - verdict.has_cause) ** 2
        for verdict in answers.verdicts
        if verdict.investigation and verdict.is_representative
    ]
    return sum(squares) / len(squares) if squares else 1.0


VALUES: Mapping[str, Callable[[Answers], float]] = {
    "category_accuracy": lambda answers: _share(verdict.has_category for verdict in answers.verdicts),
    "component_accuracy": lambda answers: _share(verdict.has_component for verdict in answers.verdicts),
    "severity_accuracy": lambda answers: _share(verdict.has_severity for verdict in answers.verdicts),
    "symptom_precision": symptom_precision,
    "symptom_recall": symptom_recall,
    "cluster_precision": cluster_precision,
    "cluster_recall": cluster_recall,
    "cluster_purity": cluster_purity,
    "cluster_count_error": cluster_count_error,
    "root_cause_accuracy": lambda answers: _share(verdict.has_cause for verdict in answers.verdicts),
    "cause_component_accuracy": lambda answers: _share(verdict.has_cause_component for verdict in answers.verdicts),
    "evidence_precision": evidence_precision,
    "evidence_recall": evidence_recall,
    "evidence_grounding": evidence_grounding,
    "confidence_brier": confidence_brier,
    "coverage": lambda answers: _share(bool(verdict.triage and verdict.investigation) for verdict in answers.verdicts),
    "failure_rate": lambda answers: _part(answers.spent.failed, answers.spent.signals),
    "tokens_per_case": lambda answers: _part(answers.spent.tokens, len(answers.verdicts)),
    "tokens_total": lambda answers: float(answers.spent.tokens),
    "seconds_per_signal": lambda answers: answers.spent.seconds / max(answers.spent.signals, 1),
}


def _symptoms(answers: Answers) -> tuple[set[str], set[str]]:
    named = {normalised(triage.symptom) for triage in answers.triages}
    return named, {normalised(verdict.case.expected.symptom) for verdict in answers.verdicts}


def _groups(answers: Answers) -> list[Counter[object]]:
    """Return for each cluster how many of its cases are of which expected group."""
    expected = {verdict.case.id: verdict.case.expected.key for verdict in answers.verdicts}
    return [Counter(expected[case_id] for case_id in cluster.members) for cluster in answers.clusters]


def _right_pairs(answers: Answers) -> int:
    return sum(comb(size, 2) for groups in _groups(answers) for size in groups.values())


def _match(quote: str, known: str) -> bool:
    """Say whether a quote and expected evidence are the same text, or one is a part of the other."""
    part, whole = sorted((quote, known), key=len)
    return part == whole or (len(part) >= _SHORTEST_PART and part in whole)


def _are_equal(answered: str, expected: str) -> bool:
    return normalised(answered) == normalised(expected)


def _share(found: Iterable[bool]) -> float:
    kept = list(found)
    return _part(sum(kept), len(kept))


def _part(count: int, of: int, *, empty: float = 0.0) -> float:
    return count / of if of else empty

"""The twenty metrics of a scorecard: what each one means, and the threshold that it must reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricKind:
    """One metric: its name, the sentence that says how it is computed, and its default threshold.

    A value passes when it is at least the threshold, or at most where `is_at_least` is False. `is_spending` marks what
    differs between two runs with the same answers: time and tokens.
    """

    name: str
    meaning: str
    threshold: float
    is_at_least: bool = True
    is_spending: bool = False


METRICS = (
    MetricKind("category_accuracy", "Cases whose triage names the expected category, divided by all cases.", 0.80),
    MetricKind("component_accuracy", "Cases whose triage names the expected component, divided by all cases.", 0.75),
    MetricKind("severity_accuracy", "Cases whose triage names the expected severity, divided by all cases.", 0.60),
    MetricKind(
        "symptom_precision", "Distinct symptoms of the triage that are expected ones, divided by its symptoms.", 0.70
    ),
    MetricKind(
        "symptom_recall", "Distinct expected symptoms that the triage names, divided by the expected ones.", 0.70
    ),
    MetricKind(
        "cluster_precision", "Pairs of cases in one cluster that belong together, divided by the pairs made.", 0.80
    ),
    MetricKind(
        "cluster_recall", "Pairs of cases that belong together and share a cluster, divided by such pairs.", 0.70
    ),
    MetricKind(
        "cluster_purity", "Cases of the largest expected group of their cluster, divided by cases in clusters.", 0.80
    ),
    MetricKind("cluster_count_error", "Clusters too many or too few, divided by the expected clusters.", 0.34, False),
    MetricKind(
        "root_cause_accuracy", "Cases whose cluster was found to have their expected root cause, divided by all.", 0.70
    ),
    MetricKind(
        "cause_component_accuracy", "Cases whose cluster's investigation names their component, divided by all.", 0.75
    ),
    MetricKind(
        "evidence_precision", "Quotes in the answers that match expected evidence, divided by all quotes.", 0.50
    ),
    MetricKind(
        "evidence_recall", "Expected evidence of the answered cases that an answer quotes, divided by all of it.", 0.60
    ),
    MetricKind("evidence_grounding", "Quotes that stand in the case's error or log, divided by all quotes.", 0.90),
    MetricKind(
        "confidence_brier", "Mean square of confidence minus right (1) or wrong (0), over all answers.", 0.25, False
    ),
    MetricKind("coverage", "Cases with a triage and an investigation of their cluster, divided by all cases.", 0.95),
    MetricKind("failure_rate", "Signals without a valid answer, divided by all signals.", 0.05, False),
    MetricKind("tokens_per_case", "Tokens of prompts and artifacts, divided by all cases.", 200_000, False, True),
    MetricKind("tokens_total", "Tokens of all prompts and artifacts.", 20_000_000, False, True),
    MetricKind(
        "seconds_per_signal", "Seconds from a signal to its answer, added up, divided by all signals.", 600, False, True
    ),
)
NAMES = tuple(kind.name for kind in METRICS)

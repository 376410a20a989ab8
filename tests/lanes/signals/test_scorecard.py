"""The scorecard says what agents are worth: each metric against a value that was computed by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lanes.signals.scenarios import case_document, write_scenario
from trailblazer import schemas
from trailblazer.lanes.signals.answers import (
    INVESTIGATE,
    TRIAGE,
    Investigation,
    Triage,
    read_investigation,
    read_triage,
)
from trailblazer.lanes.signals.clusters import make_clusters
from trailblazer.lanes.signals.measures import VALUES, Spent
from trailblazer.lanes.signals.metrics import METRICS, NAMES
from trailblazer.lanes.signals.scenario import Scenario, read_scenario, shipped_scenarios
from trailblazer.lanes.signals.scorecard import Scorecard, make_scorecard
from trailblazer.lanes.signals.stub import stub_answer

SLOW = Spent(signals=39, failed=0, prompt_tokens=39 * 4000, artifact_tokens=39 * 400, cost_usd=0.7, seconds=39 * 500.0)
SOME = Spent(signals=8, failed=2, prompt_tokens=1000, artifact_tokens=500, cost_usd=0.0105, seconds=16.0)


def judged(
    scenario: Scenario, triages: Mapping[str, Triage], causes: Mapping[str, Investigation], spent: Spent = SOME
) -> Scorecard:
    """Return the scorecard of triages, and of investigations by their representatives."""
    return make_scorecard(scenario, triages, make_clusters(triages, scenario.order), causes, spent)


def judged_stub(name: str, spent: Spent = SLOW) -> Scorecard:
    """Return the scorecard of the stub."""
    scenario = read_scenario(name)
    triages = {case_id: read_triage(stub_answer(scenario, TRIAGE, case_id)) for case_id in scenario.order}
    causes = {
        cluster.representative: read_investigation(stub_answer(scenario, INVESTIGATE, cluster.representative))
        for cluster in make_clusters(triages, scenario.order)
    }
    return judged(scenario, triages, causes, spent)


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Five cases: a, b and e belong together, c and d stand alone."""
    slow: dict[str, Any] = {"symptom": "late lock", "root_cause": "Slow.", "root_cause_words": []}
    gone: dict[str, Any] = {"symptom": "gone", "category": "test", "component": "suite"}
    cases = {
        "a": case_document(),
        "b": case_document(),
        "c": case_document(expected=slow),
        "d": case_document(expected=gone),
        "e": case_document(),
    }
    return read_scenario(str(write_scenario(tmp_path / "s", cases)))


# b names another symptom, c is taken for one of a's kind, and d has no triage: the clusters are a, c, e and b.
TRIAGES = {
    "a": Triage("product", "Daemon", "No  lock", "high", 0.9, ("port is down",)),
    "b": Triage("product", "daemon", "other", "low", 0.5, ("invented",)),
    "c": Triage("product", "daemon", "no lock", "high", 1.0, ("2 nothing more",)),
    "e": Triage("product", "daemon", "no lock", "high", 0.8),
}
CAUSES = {"a": Investigation("It tries again too late.", "daemon", "product", 0.6, ("port is", "1 port is down"))}
BY_HAND = {
    "category_accuracy": 4 / 5,
    "component_accuracy": 4 / 5,
    "severity_accuracy": 3 / 5,
    "symptom_precision": 1 / 2,  # of: no lock, other
    "symptom_recall": 1 / 3,  # of: no lock, late lock, gone
    "cluster_precision": 1 / 3,  # a+e of: a+c, a+e, c+e
    "cluster_recall": 1 / 3,  # a+e of: a+b, a+e, b+e
    "cluster_purity": 3 / 4,  # a, e and b of four cases in clusters
    "cluster_count_error": 1 / 3,  # 2 instead of 3
    "root_cause_accuracy": 2 / 5,  # a and e
    "cause_component_accuracy": 3 / 5,  # a, c and e
    "evidence_precision": 2 / 5,  # two of a's three; "port is" is too short
    "evidence_recall": 1 / 4,  # of a, b, c and e
    "evidence_grounding": 4 / 5,  # all but b's
    "confidence_brier": (0.1**2 + 0.5**2 + 1.0**2 + 0.2**2 + 0.4**2) / 5,
    "coverage": 3 / 5,
    "failure_rate": 2 / 8,
    "tokens_per_case": 300.0,
    "tokens_total": 1500.0,
    "seconds_per_signal": 2.0,
}


def test_there_are_twenty_metrics() -> None:
    """A scorecard has 20 metrics of different names, each with a way to compute it (S5)."""
    assert 20 == len(set(NAMES))
    assert set(NAMES) == set(VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_by_hand(scenario: Scenario, name: str) -> None:
    """Each metric has the value that was computed by hand."""
    values = {metric.name: metric.value for metric in judged(scenario, TRIAGES, CAUSES).metrics}
    assert pytest.approx(BY_HAND[name], abs=1e-6) == values[name]


@pytest.mark.parametrize("name", shipped_scenarios())
def test_the_stub_passes_everywhere(name: str) -> None:
    """The stub passes 20 of 20 metrics in each shipped scenario, also on a machine that is very slow."""
    card = judged_stub(name)
    assert [] == [metric.line() for metric in card.metrics if not metric.passed]
    assert (20, True) == (card.good, card.passed)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_no_answer_at_all(name: str) -> None:
    """Without an answer every metric fails that needs one."""
    card = judged(read_scenario(name), {}, {}, Spent(signals=12, failed=12))
    passed = [metric.name for metric in card.metrics if metric.passed]
    assert ["tokens_per_case", "tokens_total", "seconds_per_signal"] == passed
    assert not card.passed


def test_cases_that_stand_alone(tmp_path: Path) -> None:
    """Where no two cases belong together, right clusters have a precision and a recall of 1."""
    scenario = read_scenario(str(write_scenario(tmp_path / "s", {"a": case_document()})))
    values = {metric.name: metric.value for metric in judged(scenario, {"a": TRIAGES["e"]}, {}).metrics}
    assert (1.0, 1.0) == (values["cluster_precision"], values["cluster_recall"])


def test_thresholds_of_the_scenario(scenario: Scenario) -> None:
    """A threshold of the scenario comes before the default, and a value at its threshold passes."""
    own = dataclasses.replace(scenario, thresholds={"severity_accuracy": 0.61, "failure_rate": 0.25})
    metrics = {metric.name: metric for metric in judged(own, TRIAGES, CAUSES).metrics}
    assert (0.61, False) == (metrics["severity_accuracy"].threshold, metrics["severity_accuracy"].passed)
    assert (0.25, True) == (metrics["failure_rate"].threshold, metrics["failure_rate"].passed)
    assert (0.8, True) == (metrics["category_accuracy"].threshold, metrics["category_accuracy"].passed)


def test_a_root_cause_in_other_words(scenario: Scenario) -> None:
    """A root cause is right with one of each of the expected words, or as the expected text, and else wrong."""
    expected, slow = scenario.case("a").expected, scenario.case("c").expected
    assert [True, True, False] == [expected.has_cause(said) for said in ("it RETRIES", "Tries\nagain", "it waits")]
    assert [True, False] == [slow.has_cause(said) for said in (" slow. ", "It is slow.")]


def test_the_document_keeps_its_schema(scenario: Scenario, tmp_path: Path) -> None:
    """The document is published as its schema says, with everything that was answered."""
    card = judged(scenario, TRIAGES, CAUSES)
    card.publish(tmp_path / "scorecard.json")
    document = json.loads((tmp_path / "scorecard.json").read_bytes())
    assert [] == schemas.violations_in("scorecard")(document)
    assert (["a", "c", "e"], None) == (document["clusters"][0]["members"], document["verdicts"][3]["triage"])
    assert [
        [],
        ["severity", "symptom", "no investigation"],
        ["symptom", "root cause"],
        ["no triage"],
        [],
    ] == [verdict["wrong"] for verdict in document["verdicts"]]


def test_results_hold_no_time_and_no_tokens(scenario: Scenario) -> None:
    """Two calibrations with the same answers have the same results, byte by byte, whatever they spent."""
    slow = judged(scenario, TRIAGES, CAUSES, dataclasses.replace(SOME, prompt_tokens=9, cost_usd=3.0, seconds=99.0))
    quick = judged(scenario, dict(reversed(TRIAGES.items())), CAUSES)
    assert json.dumps(quick.results()) == json.dumps(slow.results())
    assert 17 == len(quick.results()["metrics"])


def test_lines_for_people(scenario: Scenario) -> None:
    """The lines have name, value, threshold and verdict of each metric, then what is wrong, then what was spent."""
    lines = list(judged(scenario, TRIAGES, CAUSES).lines())
    assert "small: 7 of 20 metrics pass" == lines[0]
    assert "  category_accuracy                0.800  at least 0.800        pass" == lines[1]
    assert "  confidence_brier                 0.292   at most 0.250        FAIL" == lines[15]
    assert "  tokens_total                     1,500   at most 20,000,000   pass" == lines[19]
    assert [
        "  b: severity, symptom, no investigation",
        "  c: symptom, root cause",
        "  d: no triage",
        "5 cases, 2 clusters, 8 signals, 2 failed, 16.0 s of waiting",
        "1,000 tokens of prompts + 500 of answers, US$ 0.0105",
    ] == lines[21:]


def test_lines_fit_a_terminal(scenario: Scenario) -> None:
    """No line is longer than 80 columns, however long the names and however large the numbers are."""
    case = dataclasses.replace(scenario.case("a"), id="x" * 100)
    large = dataclasses.replace(scenario, name="y" * 100, cases=(case,) * 30)
    spent = Spent(10**5, 10**5, 10**11, 10**11, 10.0**6, 10.0**6)
    wide = judged(large, {case.id: TRIAGES["b"]}, {}, spent).lines()
    assert 80 >= max(map(len, wide))


def test_each_metric_says_what_it_is() -> None:
    """The sentence of each metric is whole, and fits on one line."""
    assert [] == [kind.meaning for kind in METRICS if not kind.meaning.endswith(".") or len(kind.meaning) > 100]

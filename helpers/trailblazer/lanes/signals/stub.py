"""The answers of an agent that knows what is expected: they prove the way there and back, not the agent."""

from __future__ import annotations

from typing import Any

from trailblazer.lanes.signals.answers import TRIAGE
from trailblazer.lanes.signals.scenario import Scenario

CONFIDENCE = 0.95


def stub_answer(scenario: Scenario, step: str, case_id: str) -> dict[str, Any]:
    """Return the `data` of an artifact for a step (`triage` or `investigate`) of a case, made of what is expected.

    The investigation of a cluster is asked for by the id of its representative.
    """
    expected = scenario.case(case_id).expected
    answer = {"category": expected.category, "component": expected.component}
    if step == TRIAGE:
        answer |= {"symptom": expected.symptom, "severity": expected.severity}
    else:
        answer |= {"root_cause": expected.root_cause}
    return answer | {"confidence": CONFIDENCE, "evidence": list(expected.evidence)}

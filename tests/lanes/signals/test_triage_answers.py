"""Answers of agents are read with limits: what breaks them is refused, what is too much is dropped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.errors import DocumentInvalid
from trailblazer.lanes.signals.answers import (
    ClusterKey,
    Investigation,
    Triage,
    normalised,
    read_investigation,
    read_triage,
)

TRIAGE: dict[str, Any] = {
    "category": "product",
    "component": "daemon",
    "symptom": "no lock",
    "severity": "high",
    "confidence": 0.5,
    "evidence": ["port is down"],
}
INVESTIGATION: dict[str, Any] = {
    "root_cause": "The daemon\nnever retries.",
    "component": "daemon",
    "category": "product",
    "confidence": 1,
}
ANYTHING = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.sampled_from(sorted(TRIAGE)), inner),
)


def test_a_triage() -> None:
    """A triage is read, and keys that it should not have are dropped."""
    expected = Triage("product", "daemon", "no lock", "high", 0.5, ("port is down",))
    assert expected == read_triage(TRIAGE | {"thoughts": "many", "dispatch_id": 7})


def test_an_investigation() -> None:
    """An investigation is read; evidence may be missing."""
    assert Investigation("The daemon\nnever retries.", "daemon", "product", 1.0) == read_investigation(INVESTIGATION)


def test_what_a_terminal_or_a_database_does_not_take() -> None:
    """Control characters, half characters and NUL are made visible; what is shown in one line has one line."""
    read = read_triage(TRIAGE | {"symptom": " no\nlock\x00\ud800 ", "evidence": [" \x1b[31mred\n"]})
    assert ("no lock^@<U+D800>", ("^[[31mred",)) == (read.symptom, read.evidence)


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"category": "prod"}, "$.category: 'prod' is not one of"),
        ({"severity": None}, "$.severity: None is not one of"),
        ({"confidence": 1.01}, "$.confidence: 1.01 is greater than the maximum of 1"),
        ({"confidence": -1}, "$.confidence: -1 is less than the minimum of 0"),
        ({"confidence": True}, "$.confidence: True is not of type 'number'"),
        ({"confidence": float("nan")}, "$.confidence: it is no number from 0 to 1"),
        ({"component": " \n"}, "$.component: ' \\n' does not match"),
        ({"symptom": "x" * 201}, "is too long"),
        ({"evidence": ["x"] * 21}, "is too long"),
        ({"evidence": ["x" * 1001]}, "is too long"),
        ({"evidence": "x"}, "$.evidence: 'x' is not of type 'array'"),
        ({"evidence": [["x"]]}, "$.evidence[0]: ['x'] is not of type 'string'"),
    ],
)
def test_a_triage_beyond_its_limits(change: dict[str, Any], violation: str) -> None:
    """A triage that breaks its schema is refused with exit code 3, and with the place."""
    with pytest.raises(DocumentInvalid) as refused:
        read_triage(TRIAGE | change)
    assert violation in refused.value.what
    assert 3 == refused.value.exit_code


@pytest.mark.parametrize("name", sorted(TRIAGE.keys() - {"evidence"}))
def test_a_triage_with_a_gap(name: str) -> None:
    """Everything but evidence is required of a triage."""
    with pytest.raises(DocumentInvalid, match=f"'{name}' is a required property"):
        read_triage({key: value for key, value in TRIAGE.items() if key != name})


@pytest.mark.parametrize("name", sorted(INVESTIGATION))
def test_an_investigation_with_a_gap(name: str) -> None:
    """Everything but evidence is required of an investigation."""
    with pytest.raises(DocumentInvalid, match=f"'{name}' is a required property"):
        read_investigation({key: value for key, value in INVESTIGATION.items() if key != name})


def test_a_million_mistakes() -> None:
    """An answer that is wrong in a million places is refused by the first hundred of them."""
    with pytest.raises(DocumentInvalid) as refused:
        read_triage(TRIAGE | {"evidence": [1] * 1_000_000})
    assert 100 == len(refused.value.hint.splitlines())


@given(ANYTHING)
def test_anything_at_all(data: Any) -> None:
    """Whatever an agent answers is an answer or is refused, and nothing else happens."""
    for read in (read_triage, read_investigation):
        try:
            read(data)
        except DocumentInvalid:
            continue


def test_texts_are_compared_without_case_and_blanks() -> None:
    """Texts are equal when they differ in case, in blanks, or in characters that look the same."""
    assert normalised("No lock") == normalised("  no\n\u00a0 LOCK ") == normalised("no \uff4c\uff4f\uff43\uff4b")


@given(some.text())
def test_a_compared_text_stays_as_it_is(text: str) -> None:
    """The form in which texts are compared has no other such form."""
    assert normalised(text) == normalised(normalised(text))


def test_a_key_for_people() -> None:
    """The key of a cluster is shown as category, component and symptom."""
    assert "product / daemon / no lock" == str(ClusterKey("product", "daemon", "no lock"))

"""What an agent answers, as records: the triage of a case, and the investigation of a cluster."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from math import isfinite
from typing import Any

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.plain import one_line, plain

TRIAGE, INVESTIGATE = "triage", "investigate"  # the steps of a scenario


def normalised(text: str) -> str:
    """Return text in the form in which texts are compared: one case, one kind of blank, no hidden characters."""
    return " ".join(unicodedata.normalize("NFKC", plain(text)).casefold().split())


@dataclass(frozen=True, slots=True, order=True)
class ClusterKey:
    """What the cases of one cluster share, in the form in which texts are compared."""

    category: str
    component: str
    symptom: str

    def __str__(self) -> str:
        return f"{self.category} / {self.component} / {self.symptom}"


def make_key(category: str, component: str, symptom: str) -> ClusterKey:
    """Return the key of a case: cases with equal keys are one cluster."""
    return ClusterKey(normalised(category), normalised(component), normalised(symptom))


@dataclass(frozen=True, slots=True)
class Triage:
    """What an agent says of one case at first sight. Confidence is from 0 to 1; evidence is quotes from the case."""

    category: str
    component: str
    symptom: str
    severity: str
    confidence: float
    evidence: tuple[str, ...] = ()

    @property
    def key(self) -> ClusterKey:
        """The key of the case's cluster."""
        return make_key(self.category, self.component, self.symptom)


@dataclass(frozen=True, slots=True)
class Investigation:
    """What an agent found out about a cluster by its representative. Evidence is quotes from the representative."""

    root_cause: str
    component: str
    category: str
    confidence: float
    evidence: tuple[str, ...] = ()


def read_triage(data: Any) -> Triage:
    """Return the triage in the `data` of an artifact. What breaks its schema is refused with DocumentInvalid."""
    _check("triage_answer", data)
    return Triage(
        category=data["category"],
        component=one_line(data["component"]),
        symptom=one_line(data["symptom"]),
        severity=data["severity"],
        confidence=float(data["confidence"]),
        evidence=_quotes(data),
    )


def read_investigation(data: Any) -> Investigation:
    """Return the investigation in the `data` of an artifact. What breaks its schema is refused with DocumentInvalid."""
    _check("investigation_answer", data)
    return Investigation(
        root_cause=plain(data["root_cause"]).strip(),
        component=one_line(data["component"]),
        category=data["category"],
        confidence=float(data["confidence"]),
        evidence=_quotes(data),
    )


def check_answer(step: str, data: Any) -> None:
    """Refuse an answer that its step does not take with DocumentInvalid; of other steps nothing is known."""
    if reader := {TRIAGE: read_triage, INVESTIGATE: read_investigation}.get(step):
        reader(data)


def _check(name: str, data: Any) -> None:
    schemas.check(name, data, "the answer")
    if not isfinite(data["confidence"]):  # NaN, which passes every limit
        raise DocumentInvalid(
            "the answer: $.confidence: it is no number from 0 to 1", f"Schema: schemas/{name}.schema.json"
        )


def _quotes(data: dict[str, Any]) -> tuple[str, ...]:
    return tuple(plain(quote).strip() for quote in data.get("evidence", ()))

"""A small scenario, written by hand, and what agents could answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DOCUMENT: dict[str, Any] = {"name": "small", "description": "Three cases."}


def case_document(**changes: Any) -> dict[str, Any]:
    """Return the document of a case; `changes` replace keys, and `expected` replaces keys of what is expected."""
    expected = {
        "category": "product",
        "component": "daemon",
        "symptom": "no lock",
        "severity": "high",
        "root_cause": "The daemon never retries.",
        "root_cause_words": ["retries|tries again"],
        "evidence": ["port is down"],
    } | changes.pop("expected", {})
    document = {"name": "a slave locks", "error": "timed out", "log": "1 port is down\n2 nothing more\n"}
    return document | changes | {"expected": expected}


def write_scenario(
    folder: Path, cases: Mapping[str, Mapping[str, Any] | str], document: Mapping[str, Any] | str = DOCUMENT
) -> Path:
    """Write a scenario and return its folder. A text is written as it is."""
    (folder / "cases").mkdir(parents=True)
    for name, content in {
        "scenario.yaml": document,
        **{f"cases/{name}.yaml": case for name, case in cases.items()},
    }.items():
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
        (folder / name).write_text(text)
    return folder

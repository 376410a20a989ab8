"""The prompts of a case and of a cluster: what comes from the scenario is quoted, so that it gives no orders."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from trailblazer.lanes.prompts import quoted, read_template
from trailblazer.lanes.signals.clusters import Cluster
from trailblazer.lanes.signals.scenario import Case
from trailblazer.plain import counted, one_line
from trailblazer.providers.prompt_files import shipped_prompt
from trailblazer.providers.templates import Render

TRIAGE_PROMPT, INVESTIGATION_PROMPT = "110_triage_case.md", "120_investigate_cluster.md"
MOST_MEMBERS = 50  # of a cluster, that its prompt shows
NAMES = ("id", "name", "error", "log", "components", "symptoms", "cluster", "symptom", "count", "members")


def triage_prompt(case: Case) -> str:
    """Return the prompt for the triage of a case."""
    symptoms = [f"{known.name}\n  {one_line(known.description, 1000)}" for known in case.choices.symptoms]
    return _template(TRIAGE_PROMPT)(_values_of(case) | {"symptoms": _list(symptoms)})


def investigation_prompt(cluster: Cluster, cases: Iterable[Case]) -> str:
    """Return the prompt for the investigation of a cluster; `cases` holds its cases, and may hold others."""
    by_id = {case.id: case for case in cases}
    shown = [by_id[case_id] for case_id in cluster.members[:MOST_MEMBERS]]
    members = [f"{case.id}: {case.name}: {one_line(case.error, 300)}" for case in shown]
    left = len(cluster.members) - len(shown)
    values = {
        "cluster": cluster.id,
        "symptom": quoted(one_line(str(cluster.key))),
        "count": counted(len(cluster.members), "case"),
        "members": _list([*members, *([f"and {counted(left, 'more case')}"] if left else [])]),
    }
    return _template(INVESTIGATION_PROMPT)(_values_of(by_id[cluster.representative]) | values)


@functools.cache
def _template(name: str) -> Render:
    return read_template(shipped_prompt(name), NAMES, "It comes with trailblazer: install it again.")


def _values_of(case: Case) -> dict[str, str]:
    return {
        "id": case.id,
        "name": quoted(case.name),
        "error": quoted(case.error),
        "log": quoted(case.log),
        "components": _list(case.choices.components),
    }


def _list(lines: Iterable[str]) -> str:
    """Return lines as a quoted list, or an empty text when there is none."""
    return "\n".join(quoted(f"- {line}") for line in lines)

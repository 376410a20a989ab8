"""The prompt of an issue (N9): a template that is given the issue, in which words from the tracker are quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trailblazer.lanes.issues.issue import Issue
from trailblazer.lanes.prompts import quoted, read_template
from trailblazer.plain import one_line
from trailblazer.providers.templates import Render

NAMES = (
    *("id", "title", "description", "priority", "labels", "dependencies", "repo", "branch"),
    *("attempt", "output_file", "prompt_file"),
)


def read_issue_template(file: Path) -> Render:
    """Return what fills the template in; a file that cannot be read is PlanUnusable, a mistake in it WordsWrong."""
    return read_template(file, NAMES, "It is nightly.prompt in config/.trailblazer.yaml, or --prompt.")


def values_of(issue: Issue, repo: str, branch: str) -> dict[str, Any]:
    """Return what the template may name of an issue. Each line of its words begins with `> `, so none gives orders."""
    return {
        "id": issue.id,
        "title": quoted(one_line(issue.title, 500)),
        "description": quoted(issue.description),
        "priority": issue.priority,
        "labels": quoted(", ".join(one_line(label, 100) for label in issue.labels)),
        "dependencies": ", ".join(issue.dependencies),
        "repo": repo,
        "branch": branch,
    }

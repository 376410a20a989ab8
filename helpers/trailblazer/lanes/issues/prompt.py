"""The prompt of an issue (N9): a template that is given the issue, in which words from the tracker are quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trailblazer.atomic import read_regular
from trailblazer.errors import PlanUnusable
from trailblazer.lanes.issues.issue import Issue
from trailblazer.plain import one_line, plain
from trailblazer.providers.templates import Render, compile_text

NAMES = (
    *("id", "title", "description", "priority", "labels", "dependencies", "repo", "branch"),
    *("attempt", "output_file", "prompt_file"),
)
MOST_BYTES = 1 << 20
MOST_CHARACTERS = 100_000  # of a description; what is longer is cut, and the prompt says so


def read_template(file: Path) -> Render:
    """Return what fills the template in; a file that cannot be read is PlanUnusable, a mistake in it WordsWrong."""
    try:
        text = read_regular(file, MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        hint = "It is nightly.prompt in config/.trailblazer.yaml, or --prompt."
        raise PlanUnusable(f"cannot read the prompt {file}: {why}", hint) from error
    return compile_text(text, names=NAMES)


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


def quoted(text: str) -> str:
    """Return text as a quotation in Markdown. Control characters are made visible; a long text is cut."""
    cut = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\n[cut: {len(text):,} characters in all]"
    lines = plain(cut.replace("\r\n", "\n")).splitlines()
    return "\n".join(f"> {line}".rstrip() for line in lines) or ">"

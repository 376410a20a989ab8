"""The named statements of queries.sql."""

from __future__ import annotations

import functools
import re
from pathlib import Path

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


@functools.cache
def all_statements() -> dict[str, str]:
    """Return every statement of queries.sql by its name."""
    text = (Path(__file__).parent / "queries.sql").read_text()
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"queries.sql names these twice: {', '.join(sorted(twice))}")
    return {name: _without_comments(body) for name, body in zip(names, bodies, strict=True)}


def statement(name: str) -> str:
    """Return the statement of that name; an unknown name is a KeyError, which a test finds first."""
    return all_statements()[name]


def _without_comments(body: str) -> str:
    """Leave the lines of why at home: a `%` in prose would be taken for a parameter."""
    return "\n".join(line for line in body.strip().splitlines() if not line.lstrip().startswith("--"))

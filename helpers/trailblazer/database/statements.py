"""The named statements of queries.sql, claims_queries.sql and backlog_queries.sql."""

from __future__ import annotations

import functools
import re
from pathlib import Path

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")


@functools.cache
def all_statements() -> dict[str, str]:
    """Return every statement by its name; `{name}` in one stands for the text of another."""
    bodies: dict[str, str] = {}
    for file in sorted(Path(__file__).parent.glob("*queries.sql")):
        parts = _NAME.split(file.read_text("utf-8"))[1:]
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in bodies:
                raise ValueError(f"{file.name}: {name} is there twice")
            bodies[name] = _without_comments(body)
    return {name: _whole(body, bodies) for name, body in bodies.items()}


def statement(name: str) -> str:
    """Return the statement of that name; an unknown name is a KeyError, which a test finds first."""
    return all_statements()[name]


def _whole(body: str, bodies: dict[str, str]) -> str:
    while _PART.search(body):
        body = _PART.sub(lambda part: bodies[part[1]], body)
    return body


def _without_comments(body: str) -> str:
    """Leave the lines of why at home: a `%` in prose would be taken for a parameter."""
    return "\n".join(line for line in body.strip().splitlines() if not line.lstrip().startswith("--"))

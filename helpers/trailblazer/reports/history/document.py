"""The history of a project as a JSON document."""

from __future__ import annotations

from typing import Any

from trailblazer import schemas
from trailblazer.reports.history.model import History

SCHEMA = "https://trailblazer.invalid/schemas/history.schema.json"


def document_of_history(history: History) -> dict[str, Any]:
    """Return the history as JSON holds it, by schemas/history.schema.json."""
    flat = history._asdict()
    named = {
        name: [_entry(one._asdict()) for one in flat[name]]
        for name in ("dispatches", "last_good", "weeks", "recurring", "stuck")
    }
    document = {"$schema": SCHEMA, **schemas.in_camel_case({**flat, **named})}
    document["leftOut"] = list(history.left_out)
    return document


def _entry(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the document holds it; the money has the name that it has in every document."""
    return {"costUSD" if name == "costUsd" else name: value for name, value in schemas.in_camel_case(record).items()}

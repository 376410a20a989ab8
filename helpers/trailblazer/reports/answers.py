"""The answers of verbs as JSON documents, each checked against its schema before it is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trailblazer import schemas
from trailblazer.streams import put_out


def print_document(schema: str, document: Any, *, is_line: bool = False) -> None:
    """Print a document to stdout that schemas/SCHEMA.schema.json describes; on one line where more of them follow."""
    schemas.check(schema, document, f"the answer by schemas/{schema}.schema.json")
    put_out(json.dumps(document, indent=None if is_line else 2, ensure_ascii=False) + "\n")


def print_answer(
    verb: str,
    state: str,
    paths: Sequence[object] = (),
    counts: Mapping[str, float | None] | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Print what a verb came to, in one word, with the paths, numbers and reasons that belong to it, to stdout."""
    document = {
        "verb": verb,
        "state": state,
        "paths": [str(path) for path in paths],
        "counts": dict(counts or {}),
        "reasons": list(reasons),
    }
    print_document("answer", document)

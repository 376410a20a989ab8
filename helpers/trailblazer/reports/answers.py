"""The answer of a verb that did something, as one JSON object: schemas/answer.schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from trailblazer import schemas
from trailblazer.streams import put_out


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
    schemas.check("answer", document, f"the answer of {verb}")
    put_out(json.dumps(document, indent=2) + "\n")

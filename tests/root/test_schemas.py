"""Documents are checked before they are written: once for each shape where one line of code makes them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid


def skiplist(**fields: Any) -> dict[str, Any]:
    """Return a document that keeps the schema doc_skiplist, with these fields in place of its own."""
    return {
        "skip": ["a"],
        "reason": "quality_below_min",
        "min_quality": 0.5,
        "total_docs": 2,
        "skipped_count": 1,
        **fields,
    }


@pytest.mark.parametrize("fields", [{"skip": [1]}, {"skip": ["a", None]}, {"skip": [["a"]]}, {"skip": {"a": 1}}])
def test_another_shape_inside_a_value_is_checked(fields: dict[str, Any], tmp_path: Path) -> None:
    """A good document does not vouch for one with another type inside of a list: nothing is written (G6)."""
    target = tmp_path / "doc_skiplist.json"
    schemas.publish("doc_skiplist", skiplist(), target, once_per_shape=True)
    before = target.read_bytes()
    with pytest.raises(DocumentInvalid, match=r"doc_skiplist\.json: \$\.skip"):
        schemas.publish("doc_skiplist", skiplist(**fields), target, once_per_shape=True)
    assert before == target.read_bytes()


@pytest.mark.parametrize("skip", [[], ["é ☃"], ["\udcff"], ["a\0b", "\ud800"]])
def test_a_published_document_is_read_back(tmp_path: Path, skip: list[str]) -> None:
    """What is written is JSON in UTF-8 with a line end, also when a name holds bytes that are not text."""
    target = tmp_path / "doc_skiplist.json"
    schemas.publish("doc_skiplist", skiplist(skip=skip), target)
    assert skiplist(skip=skip) == schemas.read_json(target)
    assert target.read_text().endswith("\n}\n")
    assert json.loads(target.read_text()) == schemas.read_json(target)

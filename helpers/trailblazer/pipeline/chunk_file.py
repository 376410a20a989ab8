"""The chunks of a run as they are read back from chunk/chunks.ndjson, ours or another tool's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.pipeline.documents import storable_value

CHUNKS = Path("chunk/chunks.ndjson")
_LARGEST = 2**31 - 1  # of a count in the database
Default = TypeVar("Default")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk, with what the database needs. `start` and `end` are offsets in characters, None when unknown.

    `position` counts from 0 within the document; `sha256` is the digest of the text.
    """

    id: str
    document_id: str
    position: int
    text: str
    characters: int
    tokens: int
    kind: str
    start: int | None
    end: int | None
    meta: dict[str, Any]
    sha256: str


def read_chunks(file: Path) -> Iterator[Chunk]:
    """Yield the chunks of a file, in its order.

    A line without a usable chunk_id, doc_id or text_md, or with a repeated chunk_id, is refused with DocumentInvalid.
    Any other field that is missing or has a wrong type gets a default. The digest is always computed: chunks of other
    tools have none.
    """
    known: set[str] = set()
    for number, record in enumerate(schemas.read_lines(file, storable_value), start=1):
        chunk_id, document_id, text = (record.get(key) for key in ("chunk_id", "doc_id", "text_md"))
        if not (_is_id(chunk_id) and _is_id(document_id) and isinstance(text, str)):
            raise DocumentInvalid(
                f"{file}: chunk {number} has no usable chunk_id, doc_id or text_md", "Chunk the run again."
            )
        if chunk_id in known:
            raise DocumentInvalid(f"{file}: chunk {number} repeats the id {chunk_id!r}", "Chunk the run again.")
        known.add(chunk_id)
        kind, meta = record.get("chunk_type"), record.get("meta")
        yield Chunk(
            id=chunk_id,
            document_id=document_id,
            position=_count(record, "ord", number - 1),
            text=text,
            characters=_count(record, "char_count", len(text)),
            tokens=_count(record, "token_count", len(text) // 4),
            kind=kind if isinstance(kind, str) else "text",
            start=_count(record, "char_start", None),
            end=_count(record, "char_end", None),
            meta=meta if isinstance(meta, dict) else {},
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )


def _is_id(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and bool(name)


def _count(record: dict[str, Any], name: str, default: Default) -> int | Default:
    value = record.get(name)
    return value if type(value) is int and 0 <= value <= _LARGEST else default

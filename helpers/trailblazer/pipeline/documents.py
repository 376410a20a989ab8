"""The documents of a run: their fields, the file they stand in, and how they are read back."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid, PlanUnusable
from trailblazer.paths import Places, is_id
from trailblazer.plain import is_text

NORMALIZED = Path("normalize/normalized.ndjson")
ENRICHED = Path("enrich/enriched.jsonl")

LONGEST_ID = 500

# Postgres refuses NUL, every encoder a lone surrogate. Each becomes one character, so that offsets stay right.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a run, with the fields of normalized.ndjson. Only `id` and `text_md` are always filled.

    `text_md` is text in Markdown; offsets in it count characters. `body_repr` names the format that it was made from.
    `quality_score` (0 to 1) and `max_tokens` (a lower cap for its chunks) come from an enrich step, else are None.
    """

    id: str
    text_md: str
    title: str = ""
    url: str | None = None
    source_system: str = "files"
    space_key: str | None = None
    space_id: str | None = None
    version: str | int | None = None
    created_at: str | None = None
    updated_at: str | None = None
    labels: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    breadcrumbs: tuple[str, ...] = ()
    body_repr: str = "markdown"
    collection: str | None = None
    path_tags: tuple[str, ...] = ()
    meta: dict[str, Any] | None = None
    quality_score: float | None = None
    max_tokens: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the document as a record of normalized.ndjson, without the optional fields that are empty."""
        record = {name: getattr(self, name) for name in _REQUIRED}
        record.update((name, value) for name in _OPTIONAL if (value := getattr(self, name)) is not None and value != ())
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}


_OPTIONAL = ("collection", "path_tags", "meta", "quality_score")
_REQUIRED = tuple(field.name for field in fields(Document) if field.name not in {*_OPTIONAL, "max_tokens"})
_TEXTS = (
    "title",
    "url",
    "source_system",
    "space_key",
    "space_id",
    "created_at",
    "updated_at",
    "body_repr",
    "collection",
)
_LISTS = ("labels", "links", "attachments", "breadcrumbs", "path_tags")


def is_source(name: str) -> bool:
    """Return whether a name can be the source of documents: 1 to 100 printable characters, no space around them."""
    return name.isprintable() and name == name.strip() and 1 <= len(name) <= 100


def storable(text: str) -> str:
    """Return the text with U+FFFD for each character that no database or no encoder takes; the length is the same."""
    return text if is_text(text) else _UNSTORABLE.sub(_REPLACEMENT, text)


def storable_value(value: Any) -> Any:
    """Return a JSON value as the database takes it: storable texts, and None for a number that is not finite."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [storable_value(inner) for inner in value]
    if isinstance(value, dict):
        return {storable(key): storable_value(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fingerprint(document: Document) -> str:
    """Return the SHA-256 of id, title, address and text of a document. When and how it was exported does not count."""
    content = "\0".join((document.id, document.title, document.url or "", document.text_md))
    return hashlib.sha256(content.encode()).hexdigest()


def run_folder(places: Places, rid: str) -> Path:
    """Return the folder of a run. A run without a folder is refused with PlanUnusable (exit 4)."""
    folder = places.run(rid)
    if not folder.is_dir():
        raise PlanUnusable(
            f"there is no run {rid}: {folder} is missing", f"Make it with `trailblazer normalize PATH --run {rid}`."
        )
    return folder


def all_runs(places: Places) -> list[str]:
    """Return the ids of all runs, sorted: the folders of var/runs that have documents or chunks."""
    if not places.runs.is_dir():
        return []
    marks = (NORMALIZED, ENRICHED, Path("chunk/chunks.ndjson"))
    return sorted(
        folder.name
        for folder in places.runs.iterdir()
        if is_id(folder.name) and any((folder / mark).is_file() for mark in marks)
    )


def source_file(folder: Path) -> Path:
    """Return the file with the documents of a run: enrich/enriched.jsonl if it exists, else the normalised file.

    A run without both is refused with DocumentInvalid.
    """
    for name in (ENRICHED, NORMALIZED):
        if (folder / name).is_file():
            return folder / name
    raise DocumentInvalid(
        f"{folder} has no {NORMALIZED}", f"Make it with `trailblazer normalize PATH --run {folder.name}`."
    )


def read_documents(file: Path) -> Iterator[Document]:
    """Yield the documents of an NDJSON file, in their order.

    A line that is not a JSON object, has no usable `id` or `text_md`, or repeats an id is refused with
    DocumentInvalid. Any other field with a wrong type counts as missing.
    """
    known: set[str] = set()
    for number, record in enumerate(schemas.read_lines(file, storable_value), start=1):
        document = _document(record, f"{file}: document {number}")
        if document.id in known:
            raise DocumentInvalid(
                f"{file}: document {number} repeats the id {document.id!r}", "Ids are unique within a run."
            )
        known.add(document.id)
        yield document


def _document(record: dict[str, Any], where: str) -> Document:
    name, text = record.get("id"), record.get("text_md")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_ID:
        raise DocumentInvalid(f"{where} has no usable id", f"An id is text of 1 to {LONGEST_ID} characters.")
    if not isinstance(text, str):
        raise DocumentInvalid(f"{where} ({name}) has no text_md", "text_md is the text of the document.")
    optional: dict[str, Any] = {}
    for field in _TEXTS:
        if isinstance(value := record.get(field), str):
            optional[field] = value
    for field in _LISTS:
        if isinstance(value := record.get(field), list) and value:
            optional[field] = tuple(value)
    if isinstance(version := record.get("version"), (str, int)):
        optional["version"] = version
    if isinstance(meta := record.get("meta"), dict):
        optional["meta"] = meta
    score = record.get("quality_score")
    if isinstance(score, (int, float)) and not isinstance(score, bool) and math.isfinite(score):
        optional["quality_score"] = float(score)
    hints = record.get("chunk_hints")
    if isinstance(hints, dict) and isinstance(most := hints.get("maxTokens"), int) and most > 0:
        optional["max_tokens"] = most
    return Document(name, text, **optional)

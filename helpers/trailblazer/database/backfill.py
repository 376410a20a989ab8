"""Adds the runs of var/runs to the table, each once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trailblazer.database.backlog import show_run, upsert_run
from trailblazer.database.embedded import Embedded, ModelKey, adopt_manifests, runs_without_model
from trailblazer.database.statements import statement
from trailblazer.paths import Places, is_id
from trailblazer.schemas import parse_json

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

AT_ONCE = 200
MIXED, UNKNOWN = "mixed", "unknown"
ROUNDING = 0.001  # seconds: file systems and Postgres do not keep the same parts of one


@dataclass(frozen=True, slots=True)
class Step:
    """How far a backfill is: run folders found, examined so far, and put into the table; unreadable ones by name."""

    action: Literal["start", "tick", "complete"]
    found: int
    examined: int
    added: int
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the files of one run say. `chunks` is None when the present text has no chunks."""

    run_id: str
    source: str
    documents: int
    normalized_at: datetime
    chunks: int | None
    is_embedded: bool


def backfill(connection: Connection, places: Places) -> Iterator[Step]:
    """Add every run that has a normalize/normalized.ndjson to the table, and yield the steps.

    A run that the table has already stays as it is, so a second backfill adds nothing. A run whose chunks are newer
    than its text is chunked. A run that has vectors and a manifest newer than its chunks is embedded.
    """
    names = sorted(file.parent.parent.name for file in places.runs.glob("[!.]*/normalize/normalized.ndjson"))
    unreadable = tuple(name for name in names if not is_id(name))
    names = [name for name in names if is_id(name)]
    yield Step("start", len(names), 0, 0)
    examined, added = 0, 0
    for part in _parts(names):
        known = {row[0] for row in connection.execute(statement("known_runs"), {"run_ids": part})}
        folders, bad = _read_all(places, [name for name in part if name not in known])
        unreadable += bad
        added += _register(connection, folders)
        _adopt_manifests(connection, places, part)
        examined += len(part)
        yield Step("tick", len(names), examined, added, unreadable)
    yield Step("complete", len(names), examined, added, unreadable)


def record_normalized(connection: Connection, places: Places, rid: str, *, is_changed: bool) -> bool:
    """Let a run that was just normalised wait for chunking (B2), and say whether its row was changed.

    The row stays as it is when the text did not change and the row is newer than the text.
    """
    text = places.run(rid) / "normalize" / "normalized.ndjson"
    known = show_run(connection, rid)
    if known is not None and not is_changed and known.normalized_at.timestamp() + ROUNDING >= text.stat().st_mtime:
        return False
    found = _read(rid, places.run(rid))
    upsert_run(connection, rid, source=found.source, total_docs=found.documents)
    return True


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while part := list(itertools.islice(remaining, AT_ONCE)):
        yield part


def _read_all(places: Places, names: Sequence[str]) -> tuple[list[_Folder], tuple[str, ...]]:
    folders, unreadable = [], []
    for name in names:
        try:
            folders.append(_read(name, places.run(name)))
        except (OSError, ValueError, AttributeError):
            unreadable.append(name)
    return folders, tuple(unreadable)


def _read(name: str, folder: Path) -> _Folder:
    text, chunks = folder / "normalize" / "normalized.ndjson", folder / "chunk" / "chunks.ndjson"
    manifest = folder / "embed" / "manifest.json"
    sources, documents = set[str](), 0
    with text.open("rb") as file:
        for line in filter(bytes.strip, file):
            documents += 1
            if len(sources) < 2:
                sources |= _source_of(line, is_first=documents == 1) - {UNKNOWN}
    is_chunked = _is_newer(chunks, text)
    return _Folder(
        name,
        MIXED if len(sources) > 1 else "".join(sources) or UNKNOWN,
        documents,
        datetime.fromtimestamp(text.stat().st_mtime, UTC),
        _count_lines(chunks) if is_chunked else None,
        is_chunked and _is_newer(manifest, chunks),
    )


def _source_of(line: bytes, *, is_first: bool) -> set[str]:
    """Return the source that a document names, if any. A first line that cannot be read is a ValueError."""
    try:
        source = parse_json(line).get("source_system")
    except (ValueError, AttributeError):
        if is_first:
            raise
        return set()
    return {source} if isinstance(source, str) and source and source.isprintable() else set()


def _is_newer(file: Path, than: Path) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= than.stat().st_mtime_ns


def _count_lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _register(connection: Connection, folders: Sequence[_Folder]) -> int:
    parameters = {
        "run_ids": [folder.run_id for folder in folders],
        "sources": [folder.source for folder in folders],
        "docs": [folder.documents for folder in folders],
        "moments": [folder.normalized_at for folder in folders],
        "chunks": [folder.chunks for folder in folders],
        "embedded": [folder.is_embedded for folder in folders],
    }
    return len(connection.execute(statement("register_runs"), parameters).fetchall()) if folders else 0


def _adopt_manifests(connection: Connection, places: Places, names: Sequence[str]) -> None:
    """Read embed/manifest.json of each embedded run whose model the database does not know, and keep it."""
    found = {}
    for name in runs_without_model(connection, names):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            manifest = parse_json((places.run(name) / "embed" / "manifest.json").read_bytes())
            key = ModelKey(str(manifest["provider"]), str(manifest["model"]), int(manifest["dimension"]))
            found[name] = Embedded(key, manifest)
    if found:
        adopt_manifests(connection, found)

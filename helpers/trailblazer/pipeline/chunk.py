"""The documents of a run become chunks: chunk/chunks.ndjson and chunk/chunk_assurance.json."""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import digest_of, line_of, whole_file
from trailblazer.config import Config
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import Places, timestamp
from trailblazer.pipeline.chunk_file import CHUNKS
from trailblazer.pipeline.documents import (
    Document,
    fingerprint,
    read_documents,
    run_folder,
    source_file,
)
from trailblazer.pipeline.sections import Sections, images_in, kind_of
from trailblazer.pipeline.splitting import Splitter
from trailblazer.pipeline.tokens import load_tokens, splintr_version

ASSURANCE = Path("chunk/chunk_assurance.json")
# Raise it with each change that cuts the same text in another way. Chunks of another version are cut again.
_OUR_VERSION = "2"


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """The chunks of one run. `blank` counts documents without text; `changed` is False when no file was written."""

    rid: str
    documents: int
    chunks: int
    tokens: int
    blank: int
    changed: bool


@dataclass(slots=True)
class _Tally:
    """The counts of a run, kept while its chunks are written; `text` and `uncovered` count characters."""

    documents: int = 0
    urls: int = 0
    blank: list[str] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    tokens: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("q"))
    strategies: Counter[str] = field(default_factory=Counter)
    text: int = 0
    uncovered: int = 0


def chunk_run(places: Places, config: Config, rid: str, *, force: bool = False, durable: bool = True) -> ChunkReport:
    """Cut the documents of a run into chunks, unless the run has the chunks of these documents and settings already.

    The same documents and settings give the same bytes. Who wants them not `durable` syncs the file system later. A run
    without a folder is refused with PlanUnusable, documents that cannot be read with DocumentInvalid, an overlap that
    leaves no room for text with ConfigWrong.
    """
    folder = run_folder(places, rid)
    source = source_file(folder)
    made_from = _made_from(folder, source, config)
    before = None if force else read_assurance(folder)
    if before and made_from == {name: before.get(name) for name in made_from} and is_intact(folder, before):
        return _report(rid, before, changed=False)
    target = folder / CHUNKS
    tally = _Tally()
    digest = hashlib.sha256()
    with whole_file(target, durable=durable) as file:
        for lines in _lines(source, config, tally):
            digest.update(lines)
            file.write(lines)
    assurance = _assurance(rid, made_from, tally, digest.hexdigest())
    schemas.publish("chunk_assurance", assurance, folder / ASSURANCE, durable=durable, once_per_shape=True)
    return _report(rid, assurance, changed=True)


def read_assurance(folder: Path) -> dict[str, Any]:
    """Return chunk_assurance.json of a run folder, {} when it is missing or not readable."""
    try:
        assurance = schemas.read_json(folder / ASSURANCE)
    except DocumentInvalid:
        return {}
    return assurance if isinstance(assurance, dict) else {}


def _report(rid: str, assurance: dict[str, Any], *, changed: bool) -> ChunkReport:
    coverage, tokens = assurance["coverage"], assurance["tokens"]
    return ChunkReport(
        rid,
        coverage["documents"],
        assurance["totalChunks"],
        tokens["total"],
        len(coverage["documentsWithoutText"]),
        changed,
    )


def _made_from(folder: Path, source: Path, config: Config) -> dict[str, Any]:
    """Return the fields of chunk_assurance.json that name the source and the settings of the chunks."""
    return {
        "source": {"file": source.relative_to(folder).as_posix(), "sha256": digest_of(source)},
        "chunkerVersion": chunker_version(),
        "tokenizer": {"name": config["chunk.encoding"], "version": splintr_version()},
        "tokenCap": {
            "max": config["chunk.max_tokens"],
            "hardMax": config["chunk.max_tokens"],
            "overlap": config["chunk.overlap"],
        },
    }


def is_intact(folder: Path, assurance: dict[str, Any]) -> bool:
    """Return whether the chunks in a run folder are those of this chunk_assurance.json, and the file is ours."""
    chunks = folder / CHUNKS
    is_ours = assurance.keys() >= set(schemas.load("chunk_assurance")["required"])
    return is_ours and chunks.is_file() and digest_of(chunks) == assurance.get("chunkSetHash")


@functools.cache
def chunker_version() -> str:
    """Return our version and the splitter's: either may cut the same text differently."""
    return f"{_OUR_VERSION}+semantic-text-splitter-{version('semantic-text-splitter')}"


def _lines(source: Path, config: Config, tally: _Tally) -> Iterator[bytes]:
    """Yield the lines of each document's chunks as bytes, and count them in the tally."""
    table = load_tokens(config["chunk.encoding"])
    splitters: dict[int, Splitter] = {}
    cap, overlap = config["chunk.max_tokens"], config["chunk.overlap"]
    is_checked = False
    for document in read_documents(source):
        own_cap = min(cap, max(document.max_tokens or cap, overlap + 1, 16))
        if own_cap not in splitters:
            splitters[own_cap] = Splitter(table, own_cap, overlap)
        records = list(_chunks(document, splitters[own_cap], tally))
        if records and not is_checked:  # one line of code makes all records, so they have one shape
            schemas.check("chunk", records[0], str(source))
            is_checked = True
        yield b"".join(map(line_of, records))


def _chunks(document: Document, splitter: Splitter, tally: _Tally) -> Iterator[dict[str, Any]]:
    text = document.text_md
    strategy, pieces = splitter.split(text)
    sections = Sections(text)
    space = {"id": document.space_id, "key": document.space_key}
    labels = list(document.labels)
    reached = 0
    for number, piece in enumerate(pieces):
        part = text[piece.start : piece.end]
        if piece.start > reached:
            tally.uncovered += _visible(text[reached : piece.start])
        reached = max(reached, piece.end)
        tally.tokens.append(piece.tokens)
        tally.characters.append(len(part))
        yield {
            "chunk_id": f"{document.id}:{number:04d}",
            "doc_id": document.id,
            "ord": number,
            "text_md": part,
            "char_count": len(part),
            "token_count": piece.tokens,
            "chunk_type": kind_of(part),
            "split_strategy": strategy,
            "char_start": piece.start,
            "char_end": piece.end,
            "token_start": piece.token_start,
            "token_end": piece.token_end,
            "title": document.title,
            "url": document.url,
            "source_system": document.source_system,
            "labels": labels,
            "space": space,
            "media_refs": images_in(part),
            "meta": {"section": sections.at(piece.start)},
            "content_sha256": hashlib.sha256(part.encode()).hexdigest(),
        }
    tally.uncovered += _visible(text[reached:])
    tally.text += len(text)
    tally.documents += 1
    tally.fingerprints.append(fingerprint(document))
    tally.urls += document.url is not None
    if pieces:
        tally.strategies[strategy] += len(pieces)
    else:
        tally.blank.append(document.id)


def _visible(text: str) -> int:
    """Return how many characters of a text are not white space."""
    return 0 if not text or text.isspace() else sum(not character.isspace() for character in text)


def _assurance(rid: str, made_from: dict[str, Any], tally: _Tally, digest: str) -> dict[str, Any]:
    over = sum(count > made_from["tokenCap"]["hardMax"] for count in tally.tokens)
    return {
        "runId": rid,
        "timestamp": timestamp(),
        "status": "FAIL" if over or tally.uncovered else "PASS",
        **made_from,
        "totalChunks": len(tally.tokens),
        "chunkSetHash": digest,
        "docFingerprints": tally.fingerprints,
        "tokens": _statistics(tally.tokens),
        "chars": _statistics(tally.characters),
        "splitStrategies": dict(sorted(tally.strategies.items())),
        "coverage": {
            "documents": tally.documents,
            "documentsWithoutText": sorted(tally.blank),
            "characters": tally.text,
            "uncoveredCharacters": tally.uncovered,
            "chunksOverCap": over,
        },
        "traceability": {
            "documentsWithUrl": tally.urls,
            "chunksWithOffsets": len(tally.tokens),
            "chunksWithDigest": len(tally.tokens),
        },
    }


def _statistics(counts: array[int]) -> dict[str, float]:
    """Return total, smallest, median, 95th percentile, largest and mean; all are 0 when there are no counts."""
    ranked = sorted(counts) or [0]
    total = sum(ranked)
    return {
        "total": total,
        "min": ranked[0],
        "p50": ranked[(len(ranked) - 1) // 2],
        "p95": ranked[(len(ranked) - 1) * 95 // 100],
        "max": ranked[-1],
        "mean": round(total / len(ranked), 1),
    }

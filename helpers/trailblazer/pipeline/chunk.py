"""The documents of a run become chunks: chunk/chunks.ndjson and chunk/chunk_assurance.json."""

from __future__ import annotations

import functools
import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import digest_of, whole_file
from trailblazer.config import Config
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import Places, timestamp
from trailblazer.pipeline.documents import (
    Document,
    fingerprint,
    read_documents,
    run_folder,
    source_file,
    storable,
)
from trailblazer.pipeline.sections import Sections, images_in, kind_of
from trailblazer.pipeline.splitting import Splitter
from trailblazer.pipeline.tokens import load_tokens, splintr_version

CHUNKS = Path("chunk/chunks.ndjson")
ASSURANCE = Path("chunk/chunk_assurance.json")
# Raised with every change here that cuts the same text in another way: chunks of an older one count as changed.
_OUR_VERSION = "2"

# The same JSON for text that is ASCII; the first is three times quicker at it.
_encode_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What became of one run: `blank` documents had no text, `changed` is False where chunks stayed as they were."""

    rid: str
    documents: int
    chunks: int
    tokens: int
    blank: int
    changed: bool


@dataclass(slots=True)
class _Tally:
    """What is counted while the chunks of a run are written."""

    documents: int = 0
    urls: int = 0
    blank: list[str] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    tokens: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("q"))
    strategies: Counter[str] = field(default_factory=Counter)
    text: int = 0
    uncovered: int = 0


def chunk_run(places: Places, config: Config, rid: str, *, force: bool = False) -> ChunkReport:
    """Cut the documents of a run into chunks, unless its chunks are already those of these documents and settings.

    The same documents and settings give the same bytes. A run without its folder is refused with PlanUnusable, one
    whose documents cannot be read with DocumentInvalid, an overlap that leaves no room with ConfigWrong.
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
    with whole_file(target) as file:
        for lines in _lines(source, config, tally):
            digest.update(lines)
            file.write(lines)
    assurance = _assurance(rid, made_from, tally, digest.hexdigest())
    schemas.publish("chunk_assurance", assurance, folder / ASSURANCE)
    return _report(rid, assurance, changed=True)


def is_chunked(places: Places, config: Config, rid: str) -> bool:
    """Say whether a run has chunks of its present documents, cut with these settings."""
    folder = run_folder(places, rid)
    before = read_assurance(folder)
    made_from = _made_from(folder, source_file(folder), config)
    return bool(before) and made_from == {name: before.get(name) for name in made_from} and is_intact(folder, before)


def read_chunks(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a chunks.ndjson, ours or another tool's, with every field that storing needs.

    A line without a usable chunk_id, doc_id or text_md is refused with DocumentInvalid; what else is missing is
    worked out or empty. The digest is always that of the text: other tools' chunks carry none.
    """
    for number, record in enumerate(schemas.read_lines(file), start=1):
        name, document, text = (record.get(key) for key in ("chunk_id", "doc_id", "text_md"))
        if not (isinstance(name, str) and name and isinstance(document, str) and document and isinstance(text, str)):
            raise DocumentInvalid(
                f"{file}: chunk {number} has no usable chunk_id, doc_id or text_md", "Chunk the run again."
            )
        text = storable(text)
        yield {
            "ord": number - 1,
            "char_count": len(text),
            "token_count": len(text) // 4,
            "chunk_type": "text",
            "char_start": None,
            "char_end": None,
            "title": "",
            "url": None,
            "meta": {},
            **record,
            "text_md": text,
            "content_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }


def read_assurance(folder: Path) -> dict[str, Any]:
    """Return what a run folder's chunk_assurance.json says; {} where there is none or it cannot be read."""
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
    """Return the fields of an assurance that say what the chunks were made from."""
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
    """Say whether a run folder's chunks are the ones that an assurance was written for, by this version of ours."""
    chunks = folder / CHUNKS
    is_ours = assurance.keys() >= set(schemas.load("chunk_assurance")["required"])
    return is_ours and chunks.is_file() and digest_of(chunks) == assurance.get("chunkSetHash")


@functools.cache
def chunker_version() -> str:
    """Return the version of what cuts: ours and the splitter's, either of which may cut the same text differently."""
    return f"{_OUR_VERSION}+semantic-text-splitter-{version('semantic-text-splitter')}"


def _lines(source: Path, config: Config, tally: _Tally) -> Iterator[bytes]:
    """Yield the lines of each document's chunks, counting on the way."""
    table = load_tokens(config["chunk.encoding"])
    splitters: dict[int, Splitter] = {}
    cap, overlap = config["chunk.max_tokens"], config["chunk.overlap"]
    checked = False
    for document in read_documents(source):
        wanted = min(cap, max(document.max_tokens or cap, overlap + 1, 16))
        if wanted not in splitters:
            splitters[wanted] = Splitter(table, wanted, overlap)
        encode = _encode_ascii if document.text_md.isascii() and document.title.isascii() else _encode
        records = list(_chunks(document, splitters[wanted], tally))
        if records and not checked:  # all are made alike, so one stands for the shape of all
            schemas.check("chunk", records[0], str(source))
            checked = True
        lines = [encode(record) + "\n" for record in records]
        if lines:
            yield "".join(lines).encode()


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
    """Return total, smallest, median, 95th percentile, largest and mean; all 0 for nothing."""
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

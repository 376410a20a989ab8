"""What a run holds: documents, their quality, chunks, tokens, and the digests that say whether anything changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.pipeline.chunk import CHUNKS, is_intact, read_assurance, read_chunks
from trailblazer.pipeline.documents import ENRICHED, NORMALIZED, digest_of, fingerprint, read_documents


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in a run folder, with the documents below `min_quality` left out of what can be embedded.

    `scores` are the quality scores there are, sorted; `skipped` the ids of documents that are left out;
    `blank` counts documents without text. `chunks` and `tokens` count what can be embedded, `all_chunks` everything.
    `stale` says that the chunks were cut from other documents than the run has now.
    """

    documents: int
    blank: int
    skipped: tuple[str, ...]
    scores: tuple[float, ...]
    all_chunks: int
    chunks: int
    tokens: int
    stale: bool
    fingerprints: tuple[str, ...]
    chunk_set: str
    chunker_version: str | None
    chunk_config: dict[str, Any] | None

    @property
    def embeddable(self) -> int:
        """How many documents have text and are not left out."""
        return max(0, self.documents - self.blank - len(self.skipped))


def take_inventory(folder: Path, min_quality: float) -> Inventory:
    """Return what a run folder holds.

    Where our own chunk_assurance.json still fits documents and chunks, its figures are taken after two digests;
    otherwise every line is read, and one that is not JSON is refused with DocumentInvalid, naming file and line.
    """
    assurance = read_assurance(folder)
    source = next((folder / name for name in (ENRICHED, NORMALIZED) if (folder / name).is_file()), None)
    told_source = assurance.get("source")
    told_digest = told_source.get("sha256") if isinstance(told_source, Mapping) else None
    is_current = source is not None and told_digest == digest_of(source)
    stale = told_digest is not None and not is_current
    if is_current and source != folder / ENRICHED and is_intact(folder, assurance):
        return _as_assured(assurance)
    return _as_read(folder, source, min_quality, assurance, stale)


def _as_assured(assurance: Mapping[str, Any]) -> Inventory:
    coverage = assurance["coverage"]
    return Inventory(
        documents=coverage["documents"],
        blank=len(coverage["documentsWithoutText"]),
        skipped=(),
        scores=(),
        all_chunks=assurance["totalChunks"],
        chunks=assurance["totalChunks"],
        tokens=assurance["tokens"]["total"],
        stale=False,
        fingerprints=tuple(sorted(assurance["docFingerprints"])),
        chunk_set=assurance["chunkSetHash"],
        chunker_version=assurance["chunkerVersion"],
        chunk_config=_chunk_config(assurance),
    )


def _as_read(
    folder: Path, source: Path | None, min_quality: float, assurance: Mapping[str, Any], stale: bool
) -> Inventory:
    skipped: list[str] = []
    scores: list[float] = []
    prints: list[str] = []
    blank = 0
    for document in read_documents(source) if source else ():
        prints.append(fingerprint(document))
        score = document.quality_score
        if score is not None:
            scores.append(score)
        if score is not None and score < min_quality:
            skipped.append(document.id)
        elif not document.text_md.strip():
            blank += 1
    every = chunks = tokens = 0
    left_out = set(skipped)
    file = folder / CHUNKS
    for chunk in read_chunks(file) if file.is_file() else ():
        every += 1
        if chunk["doc_id"] not in left_out:
            chunks += 1
            tokens += int(chunk["token_count"])
    return Inventory(
        documents=len(prints),
        blank=blank,
        skipped=tuple(sorted(skipped)),
        scores=tuple(sorted(scores)),
        all_chunks=every,
        chunks=chunks,
        tokens=tokens,
        stale=stale,
        fingerprints=tuple(sorted(prints)),
        chunk_set=_chunk_set(file, skipped),
        chunker_version=assurance.get("chunkerVersion"),
        chunk_config=_chunk_config(assurance),
    )


def _chunk_set(file: Path, skipped: list[str]) -> str:
    """Return the digest of the chunks that can be embedded: of the file, and of what is left out of it."""
    if not file.is_file():
        return ""
    digest = digest_of(file)
    if not skipped:
        return digest
    return hashlib.sha256("\0".join([digest, *sorted(skipped)]).encode()).hexdigest()


def _chunk_config(assurance: Mapping[str, Any]) -> dict[str, Any] | None:
    cap, table = assurance.get("tokenCap"), assurance.get("tokenizer")
    if not isinstance(cap, Mapping):
        return None
    counted = table if isinstance(table, Mapping) else {}
    return {
        "maxTokens": cap.get("max"),
        "overlap": cap.get("overlap"),
        "encoding": counted.get("name"),
        "encodingVersion": counted.get("version"),
    }

"""What a run holds: documents, their quality, chunks, tokens, and the digests that say whether anything changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trailblazer.atomic import digest_of
from trailblazer.pipeline.chunk import is_intact, read_assurance
from trailblazer.pipeline.chunk_file import CHUNKS, read_chunks
from trailblazer.pipeline.documents import ENRICHED, NORMALIZED, fingerprint, read_documents

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in a run folder. Documents below `min_quality` are skipped: they cannot be embedded.

    `scores` are the quality scores of the documents that have one, sorted; `skipped` holds ids; `blank` counts
    documents without text. `chunks` and `tokens` count what can be embedded, `all_chunks` counts every chunk.
    `is_stale`: the chunks were cut from other documents than the run has now.
    """

    documents: int
    blank: int
    skipped: tuple[str, ...]
    scores: tuple[float, ...]
    all_chunks: int
    chunks: int
    tokens: int
    is_stale: bool
    fingerprints: tuple[str, ...]
    chunk_set: str
    chunker_version: str | None
    chunk_config: dict[str, Any] | None

    @property
    def embeddable(self) -> int:
        """How many documents have text and are not skipped."""
        return max(0, self.documents - self.blank - len(self.skipped))


def take_inventory(folder: Path, min_quality: float) -> Inventory:
    """Return what is in a run folder.

    When chunk_assurance.json is ours and fits documents and chunks (two digests), its figures are taken. Otherwise
    every line is read; a line that is not JSON is refused with DocumentInvalid, which names file and line.
    """
    assurance = read_assurance(folder)
    source = next((folder / name for name in (ENRICHED, NORMALIZED) if (folder / name).is_file()), None)
    assured = assurance.get("source")
    assured_digest = assured.get("sha256") if isinstance(assured, Mapping) else None
    is_current = source is not None and assured_digest == digest_of(source)
    is_stale = assured_digest is not None and not is_current
    if is_current and source != folder / ENRICHED and is_intact(folder, assurance):
        return _as_assured(assurance)
    return _as_read(folder, source, min_quality, assurance, is_stale=is_stale)


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
        is_stale=False,
        fingerprints=tuple(sorted(assurance["docFingerprints"])),
        chunk_set=assurance["chunkSetHash"],
        chunker_version=assurance["chunkerVersion"],
        chunk_config=_chunk_config(assurance),
    )


def _as_read(
    folder: Path, source: Path | None, min_quality: float, assurance: Mapping[str, Any], *, is_stale: bool
) -> Inventory:
    skipped: list[str] = []
    scores: list[float] = []
    fingerprints: list[str] = []
    blank = 0
    for document in read_documents(source) if source else ():
        fingerprints.append(fingerprint(document))
        score = document.quality_score
        if score is not None:
            scores.append(score)
        if score is not None and score < min_quality:
            skipped.append(document.id)
        elif not document.text_md.strip():
            blank += 1
    every = chunks = tokens = 0
    skipped_ids = set(skipped)
    file = folder / CHUNKS
    for chunk in read_chunks(file) if file.is_file() else ():
        every += 1
        if chunk.document_id not in skipped_ids:
            chunks += 1
            tokens += chunk.tokens
    return Inventory(
        documents=len(fingerprints),
        blank=blank,
        skipped=tuple(sorted(skipped)),
        scores=tuple(sorted(scores)),
        all_chunks=every,
        chunks=chunks,
        tokens=tokens,
        is_stale=is_stale,
        fingerprints=tuple(sorted(fingerprints)),
        chunk_set=_chunk_set(file, skipped),
        chunker_version=_of(str, assurance.get("chunkerVersion")),
        chunk_config=_chunk_config(assurance),
    )


def _chunk_set(file: Path, skipped: list[str]) -> str:
    """Return one digest of the chunks that can be embedded: of the file and of the ids of skipped documents."""
    if not file.is_file():
        return ""
    digest = digest_of(file)
    if not skipped:
        return digest
    return hashlib.sha256("\0".join([digest, *sorted(skipped)]).encode()).hexdigest()


def _chunk_config(assurance: Mapping[str, Any]) -> dict[str, Any] | None:
    cap, tokenizer = assurance.get("tokenCap"), assurance.get("tokenizer")
    if not isinstance(cap, Mapping):
        return None
    encoding = tokenizer if isinstance(tokenizer, Mapping) else {}
    return {
        "maxTokens": _of(int, cap.get("max")),
        "overlap": _of(int, cap.get("overlap")),
        "encoding": _of(str, encoding.get("name")),
        "encodingVersion": _of(str, encoding.get("version")),
    }


def _of(kind: type[Kind], value: object) -> Kind | None:
    """Return a value of another tool's assurance, None when it has another type."""
    return value if isinstance(value, kind) and not isinstance(value, bool) else None

"""The chunks of one run become vectors in Postgres, under a claim that every write checks."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trailblazer.database.connection import copy_rows, statement
from trailblazer.pipeline.chunk_file import CHUNKS, Chunk, read_chunks
from trailblazer.pipeline.documents import Document, read_documents, source_file

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection
    from trailblazer.pipeline.embedders import Embedder

ROWS_PER_COMMIT = 16_384


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored of a run: counts of documents, of chunks (all, embedded now, kept) and of embedded tokens."""

    documents: int
    chunks: int
    embedded: int
    kept: int
    tokens: int


@dataclass(frozen=True, slots=True)
class RunContent:
    """What of a run is embedded: its documents and chunks, without those of skipped documents."""

    documents: list[Document]
    chunks: list[Chunk]


def read_run_content(folder: Path, skipped: Iterable[str]) -> RunContent:
    """Return the documents and chunks of a run folder. `skipped` are the ids of documents that are not embedded."""
    left_out = frozenset(skipped)
    documents = [document for document in read_documents(source_file(folder)) if document.id not in left_out]
    chunks = [chunk for chunk in read_chunks(folder / CHUNKS) if chunk.document_id not in left_out]
    return RunContent(documents, chunks)


def store_run(
    connection: Connection,
    embedder: Embedder,
    rid: str,
    content: RunContent,
    *,
    batch_size: int,
    kept_since: datetime | None,
    fence: Callable[[], None],
    progressed: Callable[[Stored], None] = lambda _stored: None,
) -> Stored:
    """Embed each chunk that has no vector of its present text.

    `kept_since` None keeps every vector whose text is unchanged. A moment of the database's clock keeps only vectors
    made after it, so that an interrupted embedding continues where it stopped. `fence` raises StaleClaim when the
    claim is lost, and the transaction is rolled back. `progressed` gets what was made so far, after each batch: it is
    paid for then.
    """
    key = {"run_id": rid, "provider": embedder.provider, "model": embedder.model, "dimension": embedder.dimension}
    present = {chunk.id: chunk.sha256 for chunk in content.chunks}
    present_vectors = connection.execute(statement("vectors_of_run"), {**key, "since": kept_since}).fetchall()
    kept = {chunk_id for chunk_id, sha256 in present_vectors if present.get(chunk_id) == sha256}
    waiting = [chunk for chunk in content.chunks if chunk.id not in kept]
    so_far = _SoFar(Stored(len(content.documents), len(content.chunks), 0, len(kept), 0), progressed)
    rows: Iterator[tuple[Any, ...]] = _vector_rows(waiting, embedder, key, batch_size, so_far)
    rows = itertools.chain(list(itertools.islice(rows, 1)), rows)  # a wrong dimension is refused before any write
    with connection.transaction():
        connection.execute(statement("delete_vectors_but"), {**key, "keep": list(kept)})
        _replace_texts(connection, rid, content)
        fence()
    for _ in range(0, len(waiting), ROWS_PER_COMMIT):
        with connection.transaction():
            copy_rows(
                connection,
                "COPY chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
                " FROM STDIN (FORMAT BINARY)",
                ["text", "text", "text", "text", "int4", "text", "vector"],
                itertools.islice(rows, ROWS_PER_COMMIT),
            )
            fence()
    return so_far.stored


class _SoFar:
    """What was made of a run so far."""

    def __init__(self, stored: Stored, progressed: Callable[[Stored], None]) -> None:
        self.stored, self._progressed = stored, progressed

    def add(self, chunks: Sequence[Chunk]) -> None:
        tokens = sum(chunk.tokens for chunk in chunks)
        made, spent = self.stored.embedded + len(chunks), self.stored.tokens + tokens
        self.stored = replace(self.stored, embedded=made, tokens=spent)
        self._progressed(self.stored)


def _vector_rows(
    chunks: Sequence[Chunk], embedder: Embedder, key: dict[str, Any], batch_size: int, so_far: _SoFar
) -> Iterator[tuple[Any, ...]]:
    run_id, provider, model, dimension = key["run_id"], key["provider"], key["model"], key["dimension"]
    for batch in _parts(chunks, batch_size):
        vectors = embedder.embed([chunk.text for chunk in batch])
        so_far.add(batch)
        for chunk, vector in zip(batch, vectors, strict=True):
            yield run_id, chunk.id, provider, model, dimension, chunk.sha256, vector


def _replace_texts(connection: Connection, rid: str, content: RunContent) -> None:
    connection.execute(statement("delete_documents_of_runs"), {"run_ids": [rid]})
    connection.execute(statement("delete_chunks_of_runs"), {"run_ids": [rid]})
    copy_rows(
        connection,
        "COPY documents (run_id, doc_id, source_system, title, space_key, url, created_at, updated_at,"
        " content_sha256, meta) FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "text", "text", "text", "timestamptz", "timestamptz", "text", "jsonb"],
        _document_rows(rid, content.documents),
    )
    copy_rows(
        connection,
        "COPY chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, chunk_type, content_sha256,"
        " char_start, char_end, meta) FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "int4", "text", "int4", "int4", "text", "text", "int4", "int4", "jsonb"],
        _chunk_rows(rid, content.chunks),
    )


def _document_rows(rid: str, documents: Iterable[Document]) -> Iterator[tuple[Any, ...]]:
    for document in documents:
        sha256 = hashlib.sha256(document.text_md.encode()).hexdigest()
        yield (
            *(rid, document.id, document.source_system, document.title, document.space_key, document.url),
            *(_moment(document.created_at), _moment(document.updated_at), sha256),
            {"labels": list(document.labels), "breadcrumbs": list(document.breadcrumbs)},
        )


def _chunk_rows(rid: str, chunks: Iterable[Chunk]) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks:
        yield (
            *(rid, chunk.id, chunk.document_id, chunk.position, chunk.text, chunk.characters, chunk.tokens),
            *(chunk.kind, chunk.sha256, chunk.start, chunk.end, chunk.meta),
        )


def _moment(text: object) -> datetime | None:
    """Return the time that a document carries, None when it is missing or not readable."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _parts(chunks: Sequence[Chunk], size: int) -> Iterator[list[Chunk]]:
    rest = iter(chunks)
    while part := list(itertools.islice(rest, size)):
        yield part

"""The chunks of runs become vectors in Postgres, under claims that every write checks."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trailblazer.database.connection import copy_rows, statement
from trailblazer.database.embedded import ModelKey
from trailblazer.pipeline.chunk_file import CHUNKS, Chunk, read_chunks
from trailblazer.pipeline.documents import Document, read_documents, source_file
from trailblazer.pipeline.making import make_ahead

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from trailblazer.database.connection import Connection

    Vectors = Iterable[npt.NDArray[np.float32]]
    Make = Callable[[Sequence[str]], Vectors]

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
class StoredDocument:
    """What the database keeps of a document: not its text, of which it keeps the digest. Its chunks have the text."""

    id: str
    source_system: str
    title: str
    space_key: str | None
    url: str | None
    created_at: datetime | None
    updated_at: datetime | None
    sha256: str
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunContent:
    """What of a run is embedded: its documents and chunks, without those of skipped documents."""

    documents: list[StoredDocument]
    chunks: list[Chunk]


@dataclass(frozen=True, slots=True)
class Work:
    """A run that is to be embedded.

    `kept_since` None keeps every vector whose text is unchanged. A moment of the database's clock keeps only vectors
    made after it, so that an interrupted embedding continues where it stopped.
    """

    rid: str
    content: RunContent
    kept_since: datetime | None


def read_run_content(folder: Path, skipped: Iterable[str]) -> RunContent:
    """Return the documents and chunks of a run folder. `skipped` are the ids of documents that are not embedded."""
    left_out = frozenset(skipped)
    documents = [_stored(document) for document in read_documents(source_file(folder)) if document.id not in left_out]
    chunks = [chunk for chunk in read_chunks(folder / CHUNKS) if chunk.document_id not in left_out]
    return RunContent(documents, chunks)


def store_runs(
    connection: Connection,
    key: ModelKey,
    make: Make,
    works: Sequence[Work],
    *,
    batch_size: int,
    ahead: int,
    fence: Callable[[], None],
    finish: Callable[[], None],
    progressed: Callable[[str, Stored], None] = lambda _rid, _stored: None,
) -> list[Stored]:
    """Embed each chunk of some runs that has no vector of its present text; return what was stored, in their order.

    `make` makes a vector of each text, for up to `ahead` batches while those before them are stored. Several runs are
    stored in one transaction: when one fails, none is stored. A single one takes as many as it needs. `fence` ends each
    transaction but the last, and `finish` the last: both raise StaleClaim when a claim is lost, and the transaction is
    rolled back. `progressed` gets what was made of a run so far, after each batch: it is paid for then.
    """
    kept = _kept(connection, works, key)
    waiting = [
        (number, chunk)
        for number, work in enumerate(works)
        for chunk in work.content.chunks
        if (work.rid, chunk.id) not in kept
    ]
    so_far = _SoFar(works, kept, progressed)
    batches = [waiting[begin : begin + batch_size] for begin in range(0, len(waiting), batch_size)]
    made = make_ahead(batches, lambda batch: make([chunk.text for _, chunk in batch]), ahead)
    with contextlib.closing(made):
        rows = _vector_rows(made, key, so_far)
        most = batch_size if len(works) == 1 else None
        first = list(itertools.islice(rows, most))  # a wrong dimension is refused before any write
        more = range(len(first), len(waiting), ROWS_PER_COMMIT)
        with connection.transaction():
            _delete_stale(connection, works, kept, key)
            _copy_texts(connection, works)
            _copy_vectors(connection, first)
            (fence if more else finish)()
        for begin in more:
            with connection.transaction():
                _copy_vectors(connection, itertools.islice(rows, ROWS_PER_COMMIT))
                (fence if begin != more[-1] else finish)()
    return so_far.stored


def _kept(connection: Connection, works: Sequence[Work], key: ModelKey) -> set[tuple[str, str]]:
    """Return the chunks, by run and id, whose vectors need not be made again."""
    given = {"run_ids": [work.rid for work in works], "since": [work.kept_since for work in works]}
    stored = connection.execute(statement("vectors_of_runs"), {**asdict(key), **given}).fetchall()
    if not stored:
        return set()
    present = {(work.rid, chunk.id): chunk.sha256 for work in works for chunk in work.content.chunks}
    return {(rid, chunk_id) for rid, chunk_id, sha256 in stored if present.get((rid, chunk_id)) == sha256}


class _SoFar:
    """What was made of each run so far."""

    def __init__(
        self, works: Sequence[Work], kept: Collection[tuple[str, str]], progressed: Callable[[str, Stored], None]
    ) -> None:
        counts = Counter(rid for rid, _ in kept)
        self.stored = [
            Stored(len(work.content.documents), len(work.content.chunks), 0, counts[work.rid], 0) for work in works
        ]
        self.rids, self._progressed = [work.rid for work in works], progressed

    def add(self, batch: Sequence[tuple[int, Chunk]]) -> None:
        for number, chunks in itertools.groupby(batch, key=operator.itemgetter(0)):
            tokens = [chunk.tokens for _, chunk in chunks]
            before = self.stored[number]
            self.stored[number] = replace(
                before, embedded=before.embedded + len(tokens), tokens=before.tokens + sum(tokens)
            )
            self._progressed(self.rids[number], self.stored[number])


def _vector_rows(
    made: Iterable[tuple[Sequence[tuple[int, Chunk]], Vectors]], key: ModelKey, so_far: _SoFar
) -> Iterator[tuple[Any, ...]]:
    model = key.provider, key.model, key.dimension
    for batch, vectors in made:
        so_far.add(batch)
        for (number, chunk), vector in zip(batch, vectors, strict=True):
            yield so_far.rids[number], chunk.id, *model, chunk.sha256, vector


def _delete_stale(
    connection: Connection, works: Sequence[Work], kept: Collection[tuple[str, str]], key: ModelKey
) -> None:
    keeping = {"keep_runs": [rid for rid, _ in kept], "keep_chunks": [chunk_id for _, chunk_id in kept]}
    runs = {"run_ids": [work.rid for work in works]}
    connection.execute(statement("delete_vectors_but"), {**asdict(key), **runs, **keeping})
    connection.execute(statement("delete_documents_of_runs"), runs)
    connection.execute(statement("delete_chunks_of_runs"), runs)


def _copy_vectors(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    copy_rows(
        connection,
        "COPY chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
        " FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "text", "int4", "text", "vector"],
        rows,
    )


def _copy_texts(connection: Connection, works: Sequence[Work]) -> None:
    copy_rows(
        connection,
        "COPY documents (run_id, doc_id, source_system, title, space_key, url, created_at, updated_at,"
        " content_sha256, meta) FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "text", "text", "text", "timestamptz", "timestamptz", "text", "jsonb"],
        (row for work in works for row in _document_rows(work.rid, work.content.documents)),
    )
    copy_rows(
        connection,
        "COPY chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, chunk_type, content_sha256,"
        " char_start, char_end, meta) FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "int4", "text", "int4", "int4", "text", "text", "int4", "int4", "jsonb"],
        (row for work in works for row in _chunk_rows(work.rid, work.content.chunks)),
    )


def _document_rows(rid: str, documents: Iterable[StoredDocument]) -> Iterator[tuple[Any, ...]]:
    for one in documents:
        yield (
            *(rid, one.id, one.source_system, one.title, one.space_key, one.url),
            *(one.created_at, one.updated_at, one.sha256, one.meta),
        )


def _chunk_rows(rid: str, chunks: Iterable[Chunk]) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks:
        yield (
            *(rid, chunk.id, chunk.document_id, chunk.position, chunk.text, chunk.characters, chunk.tokens),
            *(chunk.kind, chunk.sha256, chunk.start, chunk.end, chunk.meta),
        )


def _stored(document: Document) -> StoredDocument:
    return StoredDocument(
        id=document.id,
        source_system=document.source_system,
        title=document.title,
        space_key=document.space_key,
        url=document.url,
        created_at=_moment(document.created_at),
        updated_at=_moment(document.updated_at),
        sha256=hashlib.sha256(document.text_md.encode()).hexdigest(),
        meta={"labels": list(document.labels), "breadcrumbs": list(document.breadcrumbs)},
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

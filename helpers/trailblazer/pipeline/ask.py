"""Which stored chunks answer a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trailblazer.database.connection import statement

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection
    from trailblazer.pipeline.embedders import Embedder

LOAD_SHARE = 0.05
LOAD_LEAST = 10_000
INDEX_SECONDS = 3600.0
MOST_ANSWERS = 1000  # an index yields about as many candidates
LARGEST_INDEXED = 2000  # pgvector's HNSW takes vectors of at most that many numbers


@dataclass(frozen=True, slots=True)
class Answer:
    """A chunk that answers a question. `score` is the cosine similarity, from -1 to 1."""

    score: float
    title: str
    section: str
    url: str
    run_id: str
    chunk_id: str
    text: str


def find_answers(connection: Connection, embedder: Embedder, question: str, most: int) -> list[Answer]:
    """Return at most `most` chunks, those nearest to the question first. The same text in two runs is one answer."""
    vector = embedder.embed([question])[0]
    query = (
        statement("nearest_chunks")
        .replace("__dimension__", str(int(embedder.dimension)))
        .replace("'__provider__'", _quoted(embedder.provider))
        .replace("'__model__'", _quoted(embedder.model))
    )
    with connection.transaction():
        connection.execute(f"SET LOCAL hnsw.ef_search = {min(1000, max(40, 8 * most))}")
        rows = connection.execute(query, {"question": vector, "candidates": 8 * most}).fetchall()
    answers: dict[str, Answer] = {}
    for score, title, meta, url, run_id, chunk_id, text in rows:
        section = (meta or {}).get("section") or ""
        answers.setdefault(text, Answer(float(score), title or "", section, url or "", run_id, chunk_id, text))
    return list(answers.values())[:most]


def index_name(provider: str, model: str, dimension: int) -> str:
    """Return the name of the HNSW index over the vectors of one model."""
    import hashlib

    return "hnsw_" + hashlib.sha256(f"{provider}\0{model}\0{dimension}".encode()).hexdigest()[:16]


def build_index(connection: Connection, provider: str, model: str, dimension: int) -> bool:
    """Make the HNSW index of one model if it is missing, and return whether it was made.

    Vectors that are too large for HNSW get no index: they are searched exactly.
    """
    if dimension > LARGEST_INDEXED:
        return False
    name = index_name(provider, model, dimension)
    with connection.waiting_up_to(INDEX_SECONDS), connection.transaction():
        connection.execute(statement("lock_index"), {"name": name})
        if connection.execute(statement("has_index"), {"name": name}).fetchone():
            return False
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        connection.execute(
            f"CREATE INDEX {name} ON chunk_embeddings USING hnsw ((embedding::vector({int(dimension)}))"
            f" vector_cosine_ops) WHERE provider = {_quoted(provider)} AND model = {_quoted(model)}"
            f" AND dimension = {int(dimension)}"
        )
    return True


def drop_index_for_load(connection: Connection, provider: str, model: str, dimension: int, written: int) -> None:
    """Drop the HNSW index of one model when `written` vectors make a large load: each write is faster without it.

    A large load is more than a twentieth of all vectors. A search that uses the index is waited for, for two seconds
    at most.
    """
    row = connection.execute(statement("estimate_vectors")).fetchone()
    if written > max(LOAD_LEAST, LOAD_SHARE * (row[0] if row else 0)):
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(f"DROP INDEX IF EXISTS {index_name(provider, model, dimension)}")


def _quoted(text: str) -> str:
    """Return text as an SQL literal. The predicate of a partial index takes no parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"

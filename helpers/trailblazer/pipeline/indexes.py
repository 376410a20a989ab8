"""What makes searching fast is built after the load: the index of a model's vectors, and the words of chunks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trailblazer.database.connection import statement

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

LOAD_SHARE = 0.05
LOAD_LEAST = 10_000
INDEX_SECONDS = 3600.0
LARGEST_INDEXED = 2000  # pgvector's HNSW takes vectors of at most that many numbers
INDEXED_FROM = 10_000  # vectors of a model; fewer are searched one by one, exactly, in about 10 ms
WORDS_PER_COMMIT = 1000


def build_index(connection: Connection, provider: str, model: str, dimension: int) -> bool:
    """Find the words of new chunks, make the HNSW index of one model if it is missing, and return whether it was made.

    A model with fewer than INDEXED_FROM vectors, or with vectors that are too large for HNSW, gets no index: its
    vectors are searched exactly.
    """
    _find_words(connection)
    if dimension > LARGEST_INDEXED:
        return False
    name = index_name(provider, model, dimension)
    key = {"provider": provider, "model": model, "dimension": dimension, "many": INDEXED_FROM}
    with connection.waiting_up_to(INDEX_SECONDS), connection.transaction():
        connection.execute(statement("lock_index"), {"name": name})
        if connection.execute(statement("has_index"), {"name": name}).fetchone():
            return False
        if connection.execute(statement("has_vectors"), key).fetchone() != (True,):
            return False
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        connection.execute(
            f"CREATE INDEX {name} ON chunk_embeddings USING hnsw ((embedding::vector({int(dimension)}))"
            f" vector_cosine_ops) WHERE provider = {quoted(provider)} AND model = {quoted(model)}"
            f" AND dimension = {int(dimension)}"
        )
    return True


def _find_words(connection: Connection) -> None:
    """Find the words of all chunks that have none yet, also of those that an earlier version stored."""
    found = 0
    while count := connection.execute(statement("find_words"), {"most": WORDS_PER_COMMIT}).rowcount:
        found += count
    if found:
        with connection.waiting_up_to(INDEX_SECONDS):
            connection.execute(statement("merge_words"))


def drop_index_for_load(connection: Connection, provider: str, model: str, dimension: int, written: int) -> None:
    """Drop the HNSW index of one model when `written` vectors make a large load: each write is faster without it.

    A large load is more than a twentieth of all vectors. A search that uses the index is waited for, for two seconds
    at most.
    """
    row = connection.execute(statement("estimate_vectors")).fetchone()
    if written > max(LOAD_LEAST, LOAD_SHARE * (row[0] if row else 0)):
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(f"DROP INDEX IF EXISTS {index_name(provider, model, dimension)}")


def index_name(provider: str, model: str, dimension: int) -> str:
    """Return the name of the HNSW index over the vectors of one model."""
    return "hnsw_" + hashlib.sha256(f"{provider}\0{model}\0{dimension}".encode()).hexdigest()[:16]


def quoted(text: str) -> str:
    """Return text as an SQL literal. The predicate of a partial index takes no parameters."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"

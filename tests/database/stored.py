"""What tests of the backlog put into the database and into var/runs by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy

from trailblazer.config import Config
from trailblazer.database.connection import Connection, copy_rows


def store_texts(connection: Connection, run_id: str, chunks: int) -> None:
    """Store one document of a run, its chunks, and two models' vectors of each chunk."""
    connection.execute("INSERT INTO documents (run_id, doc_id, content_sha256) VALUES (%s, 'd', '0')", (run_id,))
    for number in range(chunks):
        chunk_id = f"d:{number:04}"
        connection.execute(
            "INSERT INTO chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, content_sha256)"
            " VALUES (%s, %s, 'd', %s, 'x', 1, 1, '0')",
            (run_id, chunk_id, number),
        )
        copy_rows(
            connection,
            "COPY chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
            " FROM STDIN (FORMAT BINARY)",
            ["text", "text", "text", "text", "int4", "text", "vector"],
            [(run_id, chunk_id, "p", model, 2, "0", numpy.ones(2, "f4")) for model in ("m", "n")],
        )


def write_run(runs: Path, run_id: str, documents: int, *, chunks: int | None = None, embedded: bool = False) -> None:
    """Write the folder of a run as its stages leave it."""
    folder = runs / run_id
    (folder / "normalize").mkdir(parents=True)
    lines = [json.dumps({"id": f"d{number}", "text_md": "x", "source_system": "dita"}) for number in range(documents)]
    (folder / "normalize" / "normalized.ndjson").write_text("\n".join([*lines, ""]))
    if chunks is not None:
        (folder / "chunk").mkdir()
        (folder / "chunk" / "chunks.ndjson").write_text("{}\n" * chunks)
    if embedded:
        (folder / "embed").mkdir()
        (folder / "embed" / "manifest.json").write_text("{}")


def config_with_var(config: Config, var: Path) -> Config:
    """Return the same configuration with another var/."""
    return Config(config.settings, type(config.places)(config.places.root, var))

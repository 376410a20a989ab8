"""Between the record of a run's vectors and the completion of its claim: a crash, and a claim that is lost (B2)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claiming import TTL, complete, put, standing, take
from pipeline.runs import write_run
from trailblazer.config import Config, load_config
from trailblazer.database import backlog, claims
from trailblazer.database.backfill import backfill
from trailblazer.database.claims import Claim, Counts
from trailblazer.database.connection import Connection, connect
from trailblazer.database.embedded import ModelKey
from trailblazer.database.holdings import Holdings
from trailblazer.errors import StaleClaim
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.embedding import Embedding

EMBEDDER = str(Path(__file__).with_name("embedder.py"))
LOSE_AFTER_WRITING = """
CREATE FUNCTION take_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE processed_runs SET attempt = attempt + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER take_over AFTER INSERT ON chunk_embeddings FOR EACH STATEMENT EXECUTE FUNCTION take_over();
"""

REFUSE_VECTORS = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON chunk_embeddings FOR EACH ROW WHEN (NEW.chunk_id LIKE '%:0001')
EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def flags(connection: Connection, config: Config, tmp_path: Path) -> dict[str, Any]:
    """The settings of a folder with one chunked run, `r`, which waits for embedding."""
    write_run(tmp_path, "r", {"id": "d", "text_md": "Some words, and then some more of them. " * 400})
    flags = {"db.url": config["db.url"], "paths.var": str(tmp_path / "var"), "embed.provider": "local"}
    own = load_config(flags)
    chunks = chunk_run(own.places, own, "r").chunks
    assert chunks > 1
    put(connection, "r")
    complete(connection, take(connection, "chunk"), {"r": Counts(total_chunks=chunks)})
    return flags


def test_a_crash_before_the_completion_pays_nothing_twice(
    connection: Connection, config: Config, flags: dict[str, Any]
) -> None:
    """B2: a run whose worker died between the record and the completion is taken over, and no text is sent again."""
    worker = subprocess.Popen([sys.executable, EMBEDDER, json.dumps(flags), "r"], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    first = json.loads(worker.stdout.readline())
    worker.kill()
    worker.wait()
    assert ("embedding", "embed", 2) == standing(connection, "r")
    holdings, embedding = Holdings(lambda: connect(config), TTL, 3), Embedding(flags)
    claim = holdings.take(["r"], "embed", again=False)["r"]
    assert isinstance(claim, Claim)
    (done,) = embedding.embed([claim], None)
    assert {} == holdings.settle({"r": done.counts})
    embedding.close()
    holdings.close()
    assert (first["chunks"], 0, 0) == (done.stored.kept, done.stored.embedded, done.stored.tokens)
    assert ("embedded", None, 3) == standing(connection, "r")
    vectors = connection.execute("SELECT count(*), count(DISTINCT chunk_id) FROM chunk_embeddings").fetchone()
    assert (first["embedded"], first["embedded"]) == vectors
    assert (1, 3) == connection.execute("SELECT count(*), max(attempt) FROM run_models").fetchone()


def test_an_interrupted_embedding_leaves_a_run_that_waits(connection: Connection, flags: dict[str, Any]) -> None:
    """Rule 11: an embedded run whose vectors were deleted and not made again waits for its model, backfill or not."""
    embedding = Embedding(flags | {"embed.batch_size": 1})
    (claim,) = take(connection, "embed")
    (done,) = embedding.embed([claim], None)
    complete(connection, [claim], {"r": done.counts})
    key = ModelKey(embedding.embedder.provider, embedding.embedder.model, embedding.embedder.dimension)
    assert [] == backlog.waiting_runs(connection, key=key)
    connection.execute(REFUSE_VECTORS)
    (again,) = take(connection, "embed", only=["r"], again=True)
    row = connection.execute("SELECT now()").fetchone()
    with pytest.raises(Exception, match="no room"):
        embedding.embed([again], row[0] if row else None)
    claims.release(connection, [again])
    assert ("embedded", None, 3) == standing(connection, "r")
    assert ["r"] == backlog.waiting_runs(connection, key=key)
    list(backfill(connection, embedding.config.places))
    assert ["r"] == backlog.waiting_runs(connection, key=key)
    connection.execute("DROP TRIGGER refuse ON chunk_embeddings")
    (last,) = take(connection, "embed", only=["r"], again=True)
    complete(connection, [last], {"r": embedding.embed([last], None)[0].counts})
    embedding.close()
    assert [] == backlog.waiting_runs(connection, key=key)


def test_a_lost_attempt_publishes_no_manifest(connection: Connection, flags: dict[str, Any]) -> None:
    """Rule 3: an attempt that lost its run after its last vector leaves embed/manifest.json to the newer attempt."""
    connection.execute(LOSE_AFTER_WRITING)
    (claim,) = take(connection, "embed")
    embedding = Embedding(flags)
    with pytest.raises(StaleClaim, match="the claim on r was lost"):
        embedding.embed([claim], None)
    embedding.close()
    assert not (Path(flags["paths.var"]) / "runs" / "r" / "embed" / "manifest.json").exists()
    assert (0,) == connection.execute("SELECT count(*) FROM run_models").fetchone()
    assert (0,) == connection.execute("SELECT count(*) FROM chunk_embeddings").fetchone()

"""Vectors belong to a run and a model: what one model has says nothing of another (issue 10, B2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claiming import TTL, complete, embed, expire, ids, put, standing, take
from stored import config_with_var, store_texts, write_run
from trailblazer.config import Config
from trailblazer.database import backlog, claims
from trailblazer.database.backfill import backfill
from trailblazer.database.claims import Claim, Counts, HeldBy, Terms
from trailblazer.database.connection import Connection, connect
from trailblazer.database.embedded import Embedded, ModelKey, read_embedded, record_embedded
from trailblazer.database.holdings import Holdings

SMALL, LARGE = ModelKey("local", "m", 64), ModelKey("local", "m", 256)


def embed_with(connection: Connection, run_id: str, key: ModelKey, says: str = "") -> None:
    """Embed a run with a model, under a claim that is taken only if the run waits for it."""
    claim = claims.take(connection, [run_id], Terms("embed", "h", TTL, key=key))[run_id]
    assert isinstance(claim, Claim), claim
    made = Embedded(key, {"chunksEmbedded": 3, "says": says})
    assert [] == record_embedded(connection, {run_id: made}, {run_id: claim.attempt})
    complete(connection, [claim], {run_id: Counts(embedded_chunks=3)})


def chunked(connection: Connection, *run_ids: str) -> None:
    """Take runs to chunked."""
    put(connection, *run_ids)
    counts = {run_id: Counts(total_chunks=3) for run_id in run_ids}
    complete(connection, take(connection, "chunk", len(run_ids), only=run_ids), counts)


def waiting(connection: Connection, key: ModelKey | None) -> list[str]:
    """Return what waits for a model, which is also what is counted."""
    found = backlog.waiting_runs(connection, key=key)
    measured = backlog.measure_backlog(connection, key=key)
    assert (len(found), found[:10]) == (measured.total, measured.sample)
    return found


def test_a_run_waits_for_each_model_that_it_lacks(connection: Connection) -> None:
    """Issue 10: after a load with 256 numbers everything waits for 64, and nothing for 256; then nothing for both."""
    chunked(connection, "a", "b")
    for run_id in "ab":
        embed_with(connection, run_id, LARGE)
    assert [[], ["a", "b"], []] == [waiting(connection, key) for key in (LARGE, SMALL, None)]
    embed_with(connection, "a", SMALL)
    assert [[], ["b"], []] == [waiting(connection, key) for key in (LARGE, SMALL, None)]
    assert [] == backlog.waiting_runs(connection, ["chunk"], key=SMALL)


def test_what_a_model_has_is_not_claimed_for_it(connection: Connection) -> None:
    """B2: a claim for a model takes an embedded run that lacks it, and leaves one that has it."""
    chunked(connection, "a")
    embed_with(connection, "a", LARGE)
    for key in (LARGE, None):
        assert isinstance(claims.take(connection, ["a"], Terms("embed", "h", TTL, key=key))["a"], HeldBy)
    assert isinstance(claims.take(connection, ["a"], Terms("chunk", "h", TTL, key=SMALL))["a"], HeldBy)
    claim = claims.take(connection, ["a"], Terms("embed", "h", TTL, key=SMALL))["a"]
    assert isinstance(claim, Claim)
    claims.release(connection, [claim])
    assert ("embedded", None, 3) == standing(connection, "a")


def says(connection: Connection, key: ModelKey) -> object:
    """Return what the manifest of a model's vectors says."""
    manifest, _ = read_embedded(connection, ["a"], key)["a"]
    return manifest and manifest["says"]


def test_each_model_keeps_what_its_vectors_were_made_from(connection: Connection) -> None:
    """Issue 10: two models in turn do not overwrite each other's manifest; the newest of each is kept."""
    chunked(connection, "a")
    assert (None, 0) == read_embedded(connection, ["a"], LARGE)["a"]
    embed_with(connection, "a", LARGE, "first")
    embed_with(connection, "a", SMALL, "second")
    assert "first" == says(connection, LARGE)
    assert "second" == says(connection, SMALL)
    chunked(connection, "a")
    embed_with(connection, "a", LARGE, "third")
    assert "third" == says(connection, LARGE)
    assert "second" == says(connection, SMALL)
    rows = connection.execute("SELECT dimension, embedded_chunks, attempt FROM run_models ORDER BY 1").fetchall()
    assert [(64, 3, 3), (256, 3, 5)] == rows


def test_vectors_of_former_chunks_do_not_count(connection: Connection) -> None:
    """B2: a run that was chunked anew and embedded with one model waits for the other one again."""
    chunked(connection, "a")
    embed_with(connection, "a", SMALL)
    chunked(connection, "a")
    embed_with(connection, "a", LARGE)
    assert [[], ["a"]] == [waiting(connection, key) for key in (LARGE, SMALL)]


def test_a_lost_attempt_records_nothing(connection: Connection) -> None:
    """Rule 3: of a group only the attempts that hold their runs record vectors; the lost runs are returned."""
    chunked(connection, "a", "b", "c", "d")
    late = take(connection, "embed", 4)
    complete(connection, [late[2]])
    backlog.upsert_run(connection, "a")
    expire(connection)
    (newer,) = take(connection, "embed", only=["d"], holder="newer/1")
    attempts = {claim.run_id: claim.attempt for claim in late}
    assert ["a", "c", "d", "never"] == record_embedded(
        connection, {run_id: Embedded(LARGE, {}) for run_id in (*"abcd", "never")}, attempts | {"never": 1}
    )
    assert [("b",)] == connection.execute("SELECT run_id FROM run_models").fetchall()
    assert [] == record_embedded(connection, {"d": Embedded(LARGE, {})}, {"d": newer.attempt})


def test_a_record_is_one_transaction(connection: Connection, config: Config) -> None:
    """Rule 2: when the call returns, other connections see the record of every run of the group."""
    chunked(connection, "a", "b")
    attempts = {claim.run_id: claim.attempt for claim in take(connection, "embed", 2)}
    count = "SELECT count(*), count(DISTINCT xmin::text) FROM run_models"
    with connect(config) as other:
        record_embedded(connection, {run_id: Embedded(LARGE, {}) for run_id in "ab"}, attempts)
        assert (2, 1) == other.execute(count).fetchone()


@pytest.mark.parametrize(("scope", "left"), [("processed", 1), ("embeddings", 0), ("all", 0)])
def test_a_reset_that_deletes_vectors_forgets_their_models(
    connection: Connection, scope: backlog.Scope, left: int
) -> None:
    """B5: with the vectors goes what is said of them."""
    chunked(connection, "a")
    embed_with(connection, "a", LARGE)
    backlog.reset(connection, scope)
    assert (left,) == connection.execute("SELECT count(*) FROM run_models").fetchone()


def test_holdings_of_a_model_take_what_it_lacks(connection: Connection, config: Config) -> None:
    """B2: holdings with a key take an embedded run that lacks that model, and complete it."""
    chunked(connection, "a", "b")
    embed_with(connection, "a", LARGE)
    holdings = Holdings(lambda: connect(config), TTL, 3, key=SMALL)
    assert isinstance(holdings.take(["a"], "embed", again=False)["a"], Claim)
    record_embedded(connection, {"a": Embedded(SMALL, {})}, {"a": 3})
    assert {} == holdings.settle({"a": Counts(embedded_chunks=3)}, ["b"])
    assert isinstance(holdings.take(["a"], "embed", again=False)["a"], HeldBy)
    holdings.close()
    assert ["b"] == waiting(connection, SMALL)


def test_backfill_adopts_the_manifests_of_what_is_embedded(connection: Connection, own: Path, config: Config) -> None:
    """B1: runs embedded before, known or not, have the model of their manifest if its vectors are there."""
    config = config_with_var(config, own.parent)
    key = ModelKey("p", "m", 2)
    embed(connection, "known", "torn", "other-model")
    for run_id in ("known", "new", "torn", "other-model"):
        write_run(config.places.runs, run_id, 1, chunks=2, embedded=True)
        store_texts(connection, run_id, 2)
        manifest = {"provider": "p", "model": "x" if run_id == "other-model" else "m", "dimension": 2}
        (config.places.runs / run_id / "embed" / "manifest.json").write_text(json.dumps(manifest))
    (config.places.runs / "torn" / "embed" / "manifest.json").write_text('{"provider": "p", ')
    for _ in range(2):
        list(backfill(connection, config.places))
        rows = connection.execute("SELECT run_id, model, dimension, embedded_chunks FROM run_models ORDER BY 1")
        assert [("known", "m", 2, 2), ("new", "m", 2, 2)] == rows.fetchall()
    assert ["other-model", "torn"] == waiting(connection, key)
    assert ["known", "new", "other-model", "torn"] == waiting(connection, ModelKey("p", "m", 3))
    assert ["other-model"] == ids(take(connection, "embed", 1, only=["other-model"], again=True))

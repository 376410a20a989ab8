"""The backlog: what waits, what is filtered, reset and counted."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claiming import complete, embed, ids, put, standing, take
from stored import config_with_var, store_texts, write_run
from trailblazer.config import Config
from trailblazer.database import backlog
from trailblazer.database.backfill import Step, backfill, record_normalized
from trailblazer.database.backlog import Filters, ResetCounts
from trailblazer.database.claims import Counts
from trailblazer.database.connection import Connection
from trailblazer.errors import StaleClaim


def test_filters_narrow_what_is_claimed(connection: Connection) -> None:
    """B2: source, glob and the span of time of normalising choose among what waits."""
    put(connection, "x-1", "y-1", source="dita")
    put(connection, "x-2", "x-20", "x.2", source="files")
    moment = connection.execute("SELECT normalized_at FROM processed_runs WHERE run_id = 'x-20'").fetchone()
    assert moment
    assert [] == take(connection, "chunk", 9, filters=Filters(source="confluence"))
    assert ["x.2"] == ids(take(connection, "chunk", 9, filters=Filters(since=moment[0] + timedelta(microseconds=1))))
    assert ["x-1"] == ids(take(connection, "chunk", 9, filters=Filters(source="dita", glob="x*")))
    assert ["x-2"] == ids(take(connection, "chunk", 9, filters=Filters(glob="[!y]-?")))
    assert ["y-1"] == ids(take(connection, "chunk", 9, filters=Filters(until=moment[0])))
    assert ["x-20"] == ids(take(connection, "chunk", 9))


@pytest.mark.parametrize(
    ("glob", "fits", "fails"),
    [
        ("2026-*", "2026-11", "x2026-11"),
        ("a.b", "a.b", "axb"),
        ("a?c", "abc", "ac"),
        ("[a-c]x", "bx", "dx"),
        ("[!a]x", "bx", "ax"),
        ("a+b=c@d:e", "a+b=c@d:e", "aab=c@d:e"),
        ("*", "anything", None),
        ("[", "[", "x"),
    ],
)
def test_a_glob_means_what_it_means_in_a_shell(connection: Connection, glob: str, fits: str, fails: str | None) -> None:
    """B5: a run id pattern is matched whole, and only `*`, `?` and `[...]` are special."""
    parameters = Filters(glob=glob).parameters()
    for run_id, expected in ((fits, True), (fails, False)):
        if run_id is not None:
            row = connection.execute("SELECT %s ~ %s", (run_id, parameters["pattern"])).fetchone()
            assert (expected,) == row, run_id


def test_a_run_that_is_normalised_again_waits_with_its_history(connection: Connection) -> None:
    """B2: the attempt, the moments and the counts of before stay; who works on the former text is fenced off."""
    embed(connection, "r")
    working = take(connection, "embed", only=["r"], again=True)
    backlog.upsert_run(connection, "r", total_docs=9)
    run = backlog.show_run(connection, "r")
    assert run is not None
    assert ("normalized", "chunk", 3, 9, 3) == (
        run.status,
        run.waiting_for,
        run.attempt,
        run.total_docs,
        run.total_chunks,
    )
    assert run.chunk_completed_at is not None
    with pytest.raises(StaleClaim):
        complete(connection, working)
    assert 4 == take(connection, "chunk")[0].attempt


@pytest.mark.parametrize(
    ("scope", "expected", "lines", "kept"),
    [
        ("processed", ResetCounts(2, 0, 0, 0), ("chunk", "chunk"), (12, 6, 3)),
        ("embeddings", ResetCounts(2, 8, 0, 0), ("embed", "embed"), (4, 6, 3)),
        ("all", ResetCounts(2, 8, 4, 2), ("chunk", "chunk"), (4, 2, 1)),
    ],
)
def test_reset_deletes_what_its_scope_says(  # a row of the table above
    connection: Connection,
    scope: backlog.Scope,
    expected: ResetCounts,
    lines: tuple[str, str],
    kept: tuple[int, int, int],
) -> None:
    """B5: a dry run tells the numbers and changes nothing; the reset does what they said, to the filtered runs only."""
    embed(connection, "a-1", "a-2", "b-1")
    for run_id in ("a-1", "a-2", "b-1"):
        store_texts(connection, run_id, 2)
    counted = "SELECT (SELECT count(*) FROM chunk_embeddings), (SELECT count(*) FROM chunks), count(*) FROM documents"
    filters = Filters(glob="a-*")
    assert expected == backlog.reset(connection, scope, filters, dry_run=True)
    assert 3 == backlog.totals(connection)["embedded"]
    assert (12, 6, 3) == connection.execute(counted).fetchone()
    assert expected == backlog.reset(connection, scope, filters)
    assert kept == connection.execute(counted).fetchone()
    assert [("reset", line, 2) for line in lines] == [standing(connection, run) for run in ("a-1", "a-2")]
    assert ("embedded", None, 2) == standing(connection, "b-1")


def test_a_reset_run_is_embedded_from_the_chunks_it_has(connection: Connection) -> None:
    """B2: embedding claims a reset run that has chunks; one that has none is chunked first."""
    embed(connection, "with")
    put(connection, "without")
    backlog.reset(connection, "embeddings")
    assert ["with"] == ids(take(connection, "embed", 9))
    assert ["without"] == ids(take(connection, "chunk", 9))


def test_a_reset_run_whose_chunks_are_of_its_former_text_is_chunked_first(connection: Connection) -> None:
    """B2: chunks that are older than the text are no chunks."""
    embed(connection, "r")
    backlog.upsert_run(connection, "r")
    backlog.reset(connection, "embeddings")
    assert ("reset", "chunk", 2) == standing(connection, "r")


def test_a_run_without_a_single_chunk_is_chunked_first(connection: Connection) -> None:
    """B2: a reset run whose chunking made nothing begins there again."""
    put(connection, "r")
    complete(connection, take(connection, "chunk"), {"r": Counts(total_chunks=0)})
    backlog.reset(connection, "embeddings")
    assert ("reset", "chunk", 1) == standing(connection, "r")


def test_reset_takes_a_run_from_its_holder(connection: Connection) -> None:
    """B5: any state can be reset; an attempt at work is fenced off, and the next one has a new number."""
    put(connection, "r")
    working = take(connection, "chunk")
    backlog.reset(connection, "processed")
    with pytest.raises(StaleClaim, match="reset, and nobody holds it"):
        complete(connection, working)
    assert 2 == take(connection, "chunk")[0].attempt


def test_totals_and_backlog_say_what_waits(connection: Connection) -> None:
    """B3: the number that waits, first and last moment of normalising, ten ids; what is embedded does not wait."""
    put(connection, *(f"r-{number:02}" for number in range(12)))
    embed(connection, "done")
    complete(connection, take(connection, "chunk", 1))
    take(connection, "chunk", 1)
    expected = {"normalized": 10, "chunking": 1, "chunked": 1, "embedded": 1}
    assert expected == {state: count for state, count in backlog.totals(connection).items() if count}
    assert list(backlog.STATUSES) == list(backlog.totals(connection))
    found = backlog.measure_backlog(connection)
    runs = backlog.list_runs(connection, Filters(glob="r-*"))
    assert (12, [run.run_id for run in runs][:10]) == (found.total, found.sample)
    assert (runs[0].normalized_at, runs[-1].normalized_at) == (found.first_normalized_at, found.last_normalized_at)
    assert 1 == backlog.measure_backlog(connection, ["embed"]).total
    nothing = backlog.measure_backlog(connection, filters=Filters(source="none"))
    assert backlog.Backlog(0, None, None, []) == nothing


def test_runs_are_listed_by_state_and_number(connection: Connection) -> None:
    """B5: a list is ordered by id and narrowed by state, filters and a limit."""
    embed(connection, "c")
    put(connection, "b", "a")
    assert ["a", "b", "c"] == [run.run_id for run in backlog.list_runs(connection)]
    assert ["a", "b"] == [run.run_id for run in backlog.list_runs(connection, statuses=["normalized", "failed"])]
    assert ["a"] == [run.run_id for run in backlog.list_runs(connection, limit=1)]
    assert backlog.show_run(connection, "unknown") is None


def test_backfill_finds_each_run_where_its_files_say_it_is(connection: Connection, own: Path, config: Config) -> None:
    """B1: every normalised folder is put into the table once, and what was done to it before counts."""
    config = config_with_var(config, own.parent)
    runs = config.places.runs
    write_run(runs, "chunked", 3, chunks=5)
    write_run(runs, "embedded", 1, chunks=2, embedded=True)
    store_texts(connection, "embedded", 2)
    write_run(runs, "manifest-only", 1, chunks=2, embedded=True)
    write_run(runs, "new", 4)
    write_run(runs, "older-chunks", 1, chunks=2)
    os.utime(runs / "older-chunks" / "chunk" / "chunks.ndjson", (0, 0))
    write_run(runs, "torn", 0)
    (runs / "torn" / "normalize" / "normalized.ndjson").write_text("{half a li")
    write_run(runs, "-not-an-id", 1)
    (runs / "empty").mkdir()
    steps = list(backfill(connection, config.places))
    unreadable = ("-not-an-id", "torn")
    assert [Step("start", 6, 0, 0), Step("tick", 6, 6, 5, unreadable), Step("complete", 6, 6, 5, unreadable)] == steps
    found = {
        run.run_id: (run.status, run.source, run.total_docs, run.total_chunks) for run in backlog.list_runs(connection)
    }
    expected = {
        "chunked": ("chunked", "dita", 3, 5),
        "embedded": ("embedded", "dita", 1, 2),
        "manifest-only": ("chunked", "dita", 1, 2),
        "new": ("normalized", "dita", 4, None),
        "older-chunks": ("normalized", "dita", 1, None),
    }
    assert expected == found


def test_backfill_a_second_time_changes_nothing(connection: Connection, own: Path, config: Config) -> None:
    """B1: what the table knows is left as it is, whoever holds it; only new folders are added."""
    config = config_with_var(config, own.parent)
    for number in range(3):
        write_run(config.places.runs, f"r{number}", 1)
    assert 3 == list(backfill(connection, config.places))[-1].added
    take(connection, "chunk", 2)
    before = connection.execute("SELECT * FROM processed_runs ORDER BY run_id").fetchall()
    assert 0 == list(backfill(connection, config.places))[-1].added
    assert before == connection.execute("SELECT * FROM processed_runs ORDER BY run_id").fetchall()
    write_run(config.places.runs, "r9", 1)
    assert 1 == list(backfill(connection, config.places))[-1].added


def test_a_file_of_tomorrow_is_not_normalised_tomorrow(connection: Connection, own: Path, config: Config) -> None:
    """B1: a file whose time lies ahead of the database's clock is taken for one of now."""
    config = config_with_var(config, own.parent)
    write_run(config.places.runs, "r", 1)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    os.utime(config.places.runs / "r" / "normalize" / "normalized.ndjson", (tomorrow, tomorrow))
    list(backfill(connection, config.places))
    assert (True,) == connection.execute("SELECT normalized_at <= now() FROM processed_runs").fetchone()


@pytest.mark.parametrize(("later", "expected"), [(-0.5, False), (0.0, False), (0.5, True), (60.0, True)])
def test_a_text_that_is_newer_than_its_row_waits(
    connection: Connection, own: Path, config: Config, later: float, expected: bool
) -> None:
    """B2: a file that is newer than its row, if only by half a second, waits again though it stayed as it was."""
    places = config_with_var(config, own.parent).places
    write_run(places.runs, "r", 2)
    assert record_normalized(connection, places, "r", is_changed=True)
    run = backlog.show_run(connection, "r")
    assert run is not None
    moment = run.normalized_at.timestamp() + later
    os.utime(places.runs / "r" / "normalize" / "normalized.ndjson", (moment, moment))
    assert expected == record_normalized(connection, places, "r", is_changed=False)


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        (['{"source_system": "dita"}', "", '{"source_system": "dita"}'], "dita"),
        (['{"source_system": "dita"}', '{"source_system": "dita"}', '{"source_system": "confluence"}'], "mixed"),
        (['{"source_system": "dita"}', "{}"], "dita"),
        (["{}", '{"source_system": null}', '{"source_system": 7}', '{"source_system": ""}'], "unknown"),
        (['{"source_system": "dita"}', "[" * 200_000], "dita"),
        ([], "unknown"),
    ],
)
def test_a_source_is_of_all_documents(
    connection: Connection, own: Path, config: Config, lines: list[str], source: str
) -> None:
    """B1: the source is what the documents say, mixed when they differ, unknown when none says it; never null."""
    places = config_with_var(config, own.parent).places
    write_run(places.runs, "r", 0)
    (places.runs / "r" / "normalize" / "normalized.ndjson").write_text("\n".join([*lines, ""]))
    list(backfill(connection, places))
    run = backlog.show_run(connection, "r")
    assert run is not None
    assert (source, sum(map(bool, lines))) == (run.source, run.total_docs)
    assert record_normalized(connection, places, "r", is_changed=True)
    run = backlog.show_run(connection, "r")
    assert run is not None
    assert source == run.source


def test_a_run_that_says_no_source_keeps_the_one_it_has(connection: Connection) -> None:
    """B1: whoever does not say a source leaves it, and a new row is unknown."""
    backlog.upsert_run(connection, "r")
    assert ["unknown"] == [run.source for run in backlog.list_runs(connection)]
    for given, expected in (("dita", "dita"), (None, "dita"), ("mixed", "mixed")):
        backlog.upsert_run(connection, "r", source=given)
        assert [expected] == [run.source for run in backlog.list_runs(connection)]
    take(connection, "embed", only=["new"], again=True)
    assert ["unknown"] == [run.source for run in backlog.list_runs(connection, Filters(glob="new"))]


def test_what_is_forgotten_is_gone(connection: Connection) -> None:
    """Issue 10: a dry run tells the numbers; forgetting deletes all rows of these runs, and of no other."""
    embed(connection, "a", "b")
    for run_id in ("a", "b", "orphan"):
        store_texts(connection, run_id, 2)
    (held,) = take(connection, "embed", only=["a"], again=True)
    counted = "SELECT (SELECT count(*) FROM chunk_embeddings), (SELECT count(*) FROM chunks), count(*) FROM documents"
    expected = ResetCounts(1, 8, 4, 2)
    assert expected == backlog.forget(connection, ["a", "orphan", "unknown"], dry_run=True)
    assert (12, 6, 3) == connection.execute(counted).fetchone()
    assert expected == backlog.forget(connection, ["a", "orphan", "unknown"])
    assert (4, 2, 1) == connection.execute(counted).fetchone()
    assert ["b"] == [run.run_id for run in backlog.list_runs(connection)]
    with pytest.raises(StaleClaim, match="the run is unknown"):
        complete(connection, [held])
    assert ResetCounts(0, 0, 0, 0) == backlog.forget(connection, ["a"])

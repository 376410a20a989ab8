"""Migrations are applied once, in order, by any number of processes; statements are all known and all used."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import trailblazer
from trailblazer.config import Config
from trailblazer.database import migrating, statements
from trailblazer.database.connection import Connection, connect, open_connection
from trailblazer.errors import ServiceDown

TABLES = [
    *("chunk_embeddings", "chunks", "dispatches", "documents", "processed_runs", "run_models", "schema_migrations"),
    *("suite_clusters", "suite_findings", "suite_symptoms"),
]
QUERY = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_ASKED = re.compile(r"""(?:statement\(|fetch\(\s*\w+,\s*)["'](\w+)["']""")
_ASKED_EITHER = re.compile(r"""statement\("(\w+)" if \w+ else "(\w+)"\)""")


def test_a_second_time_changes_nothing(config: Config) -> None:
    """B1: the tables are there after the first time, and the second applies nothing."""
    with open_connection(config) as connection:
        assert list(migrating.all_migrations()) == migrating.bring_up_to_date(connection)
        assert [] == migrating.bring_up_to_date(connection)
        assert TABLES == [row[0] for row in connection.execute(QUERY)]


def test_many_at_once_apply_each_migration_once(config: Config) -> None:
    """B1: six connections that find a fresh database at the same moment bring it up to date together."""
    with ThreadPoolExecutor(6) as threads:
        for connection in threads.map(lambda _: connect(config), range(6)):
            connection.close()
    with connect(config) as connection:
        numbers = [row[0] for row in connection.execute("SELECT number FROM schema_migrations ORDER BY number")]
    assert [migration.number for migration in migrating.all_migrations()] == numbers


def test_a_migration_that_fails_leaves_nothing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """B1: half a migration is no migration: its tables and its number are not there."""
    bad = migrating.Migration(1, "bad", "CREATE TABLE half (x int); SELECT 1 / 0")
    monkeypatch.setattr(migrating, "all_migrations", lambda: (bad,))
    with open_connection(config) as connection:
        with pytest.raises(Exception, match="division by zero"):
            migrating.bring_up_to_date(connection)
        assert [] == [row[0] for row in connection.execute(QUERY)]


def test_a_database_of_a_newer_version_is_refused(connection: Connection, config: Config) -> None:
    """B1: what a newer trailblazer made of the tables is not touched by an older one (exit 8)."""
    connection.execute("INSERT INTO schema_migrations (number, slug, sha256) VALUES (999, 'later', '')")
    with pytest.raises(ServiceDown, match="999"):
        connect(config)


def test_the_claim_table_has_every_column_of_b1(connection: Connection) -> None:
    """B1: processed_runs has the columns that requirement names."""
    named = {
        *("run_id", "source", "normalized_at", "chunk_started_at", "chunk_completed_at", "embed_started_at"),
        *("embed_completed_at", "status", "total_docs", "total_chunks", "embedded_chunks", "claimed_by", "claimed_at"),
        *("code_version", "updated_at"),
    }
    query = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'processed_runs'"
    assert set() == named - {row[0] for row in connection.execute(query)}


def test_one_index_stands_on_the_claim_order(connection: Connection) -> None:
    """B2: besides its key the claim table has one partial index, on the phase that is waited for and the run id."""
    query = "SELECT indexdef FROM pg_indexes WHERE tablename = 'processed_runs' AND indexname <> 'processed_runs_pkey'"
    (definition,) = [row[0] for row in connection.execute(query)]
    assert definition.endswith('USING btree (waiting_for, run_id COLLATE "POSIX") WHERE (waiting_for IS NOT NULL)')


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'paused'", "processed_runs_status_known"),
        ("status = 'chunking'", "processed_runs_claim_whole_while_working"),
        ("claimed_by = 'x'", "processed_runs_claim_whole_while_working"),
        ("status = 'chunking', claimed_by = 'x'", "processed_runs_claim_whole_while_working"),
        ("status = 'failed'", "processed_runs_failed_with_reason"),
    ],
)
def test_a_state_that_cannot_be_is_refused(connection: Connection, change: str, constraint: str) -> None:
    """B1: states are known words, a claim is whole and belongs to work, a failure has a reason."""
    connection.execute("INSERT INTO processed_runs (run_id) VALUES ('r')")
    with pytest.raises(Exception, match=constraint):
        connection.execute(f"UPDATE processed_runs SET {change}")


def test_every_statement_is_known_and_used() -> None:
    """Every name that the code asks for stands in a *queries.sql, and every name there is asked for."""
    package = Path(trailblazer.__file__).parent
    asked: set[str] = set()
    for file in package.rglob("*.py"):
        source = file.read_text()
        asked |= set(_ASKED.findall(source))
        asked |= {name for pair in _ASKED_EITHER.findall(source) for name in pair}
    for file in (package / "database").glob("*queries.sql"):
        asked |= set(re.findall(r"\{(\w+)\}", file.read_text()))
    assert set(statements.all_statements()) == asked


def test_every_statement_says_why() -> None:
    """Every statement has a line that gives its reason."""
    for file in (Path(trailblazer.__file__).parent / "database").glob("*queries.sql"):
        lines = file.read_text().splitlines()
        bare = [
            lines[at] for at in range(len(lines) - 1) if lines[at].startswith("-- name:") and lines[at + 1][:3] != "-- "
        ]
        assert [] == bare


def test_migrations_are_numbered_without_a_gap() -> None:
    """B1: the files are 001, 002 and so on."""
    numbers = [migration.number for migration in migrating.all_migrations()]
    assert list(range(1, len(numbers) + 1)) == numbers

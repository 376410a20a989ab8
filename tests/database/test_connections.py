"""Connections: ready for work, quick, binary, and clear about what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from configured import config_of
from trailblazer.config import Config
from trailblazer.database.connection import Connection, answering, connect, copy_rows
from trailblazer.errors import ConfigWrong, ServiceDown

COPY_VECTORS = (
    "COPY chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
    " FROM STDIN (FORMAT BINARY)"
)
VECTOR_TYPES = ["text", "text", "text", "text", "int4", "text", "vector"]


def test_it_is_known_by_name_and_commits_by_itself(connection: Connection) -> None:
    """B7: the server's list of sessions says which are ours, and a statement alone is a transaction."""
    assert ("trailblazer",) == connection.execute("SELECT current_setting('application_name')").fetchone()
    assert connection.autocommit


def test_a_name_in_the_dsn_stays(config: Config) -> None:
    """B7: whoever names his sessions in db.url keeps that name."""
    with connect(config_of(config.places.root, config["db.url"] + " application_name=nightly")) as connection:
        assert ("nightly",) == connection.execute("SELECT current_setting('application_name')").fetchone()


def test_vectors_come_back_as_they_went(connection: Connection) -> None:
    """E12: numpy arrays are written as vectors by binary COPY and read back bit by bit, in text and in binary."""
    vectors = numpy.random.default_rng(7).standard_normal((300, 17), dtype=numpy.float32)
    rows = (("r", f"d:{number:04}", "local", "m", 17, "0", vector) for number, vector in enumerate(vectors))
    assert 300 == copy_rows(connection, COPY_VECTORS, VECTOR_TYPES, rows)
    for binary in (False, True):
        query = "SELECT embedding FROM chunk_embeddings ORDER BY chunk_id"
        found = numpy.stack([row[0] for row in connection.execute(query, binary=binary)])
        assert numpy.float32 == found.dtype
        assert (vectors == found).all()


def test_a_vector_is_a_parameter(connection: Connection) -> None:
    """E12: a numpy array is what a search is asked with."""
    vectors = numpy.eye(3, dtype=numpy.float32)
    rows = (("r", f"{number}", "local", "m", 3, "0", vector) for number, vector in enumerate(vectors))
    copy_rows(connection, COPY_VECTORS, VECTOR_TYPES, rows)
    query = "SELECT chunk_id FROM chunk_embeddings ORDER BY embedding <=> %s LIMIT 1"
    assert ("2",) == connection.execute(query, (numpy.array([0.1, 0.2, 0.9], numpy.float32),)).fetchone()


def test_a_dimension_that_is_not_the_vectors_is_refused(connection: Connection) -> None:
    """E12: what the row says of its vector is true, or the row is not stored."""
    row = ("r", "c", "local", "m", 4, "0", numpy.zeros(3, numpy.float32))
    with pytest.raises(Exception, match="chunk_embeddings_dimension_true"):
        copy_rows(connection, COPY_VECTORS, VECTOR_TYPES, [row])


def test_runs_and_models_live_side_by_side(connection: Connection) -> None:
    """E12: the same chunk in two runs, of two providers, models and dimensions is five rows."""
    keys = [("a", "p", "m", 2), ("b", "p", "m", 2), ("a", "q", "m", 2), ("a", "p", "n", 2), ("a", "p", "m", 3)]
    rows = [(run, "c:0000", provider, model, d, "0", numpy.ones(d, "f4")) for run, provider, model, d in keys]
    assert 5 == copy_rows(connection, COPY_VECTORS, VECTOR_TYPES, rows)


def test_a_copy_that_breaks_off_leaves_nothing(connection: Connection) -> None:
    """G6: rows whose source fails half-way are not stored at all."""

    def rows() -> object:
        yield ("x", "f", {"done": 1})
        raise RuntimeError("the source ended")

    copy = "COPY dispatches (dispatch_id, folder, counts) FROM STDIN (FORMAT BINARY)"
    with pytest.raises(RuntimeError, match="the source ended"):
        copy_rows(connection, copy, ["text", "text", "jsonb"], rows())  # type: ignore[arg-type]
    assert (0,) == connection.execute("SELECT count(*) FROM dispatches").fetchone()


def test_a_dict_is_jsonb_both_ways(connection: Connection) -> None:
    """E12: a dict is a jsonb parameter, é and all, and comes back as a dict."""
    assert ({"é": [1, None]},) == connection.execute("SELECT %s::jsonb", ({"é": [1, None]},)).fetchone()


@pytest.mark.parametrize(
    ("dsn", "what", "hint"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/x", "Connection refused", "host and port"),
        ("postgresql://u:s3cret@nowhere.invalid/x", "nowhere.invalid", "host in db.url"),
        ("host=/nowhere user=u password=s3cret", "No such file", "socket's folder"),
        ("{dsn} user=nobody_at_all password=s3cret", "does not exist", "user in db.url"),
        ("{dsn} dbname=no_such_one password=s3cret", "does not exist", "Make that database"),
        ("{dsn} sslmode=require host=127.0.0.1 port=1 password=s3cret", "Connection refused", "Is the server up"),
    ],
)
def test_a_server_that_does_not_answer_is_told_in_a_line(config: Config, dsn: str, what: str, hint: str) -> None:
    """B7: each way of not answering is one line and a hint (exit 8), and the password is in neither."""
    with pytest.raises(ServiceDown, match=what) as refused:
        connect(config_of(config.places.root, dsn.format(dsn=config["db.url"])))
    assert hint in refused.value.hint
    assert "\n" not in refused.value.what
    assert "s3cret" not in refused.value.what + refused.value.hint
    assert 8 == refused.value.exit_code


@pytest.mark.parametrize("dsn", ["u:s3cret@host", "postgresql://u:s3cret@h/x?nonsense=1", "host='s3cret", "s3cret=1"])
def test_what_is_no_dsn_is_a_mistake_in_the_configuration(config: Config, dsn: str) -> None:
    """G5: a db.url that cannot be read is reported with its place (exit 3), without what may be the password."""
    with pytest.raises(ConfigWrong, match=r"db\.url is not a DSN") as refused:
        connect(config_of(config.places.root, dsn))
    assert "s3cret" not in refused.value.what + refused.value.hint
    assert refused.value.what.startswith("--url:")


def test_a_database_that_goes_away_is_told_as_such(connection: Connection, config: Config) -> None:
    """B7: a session that the server ends, and every question after it, is ServiceDown (exit 8)."""
    with connect(config) as other:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        other.execute("SELECT pg_terminate_backend(%s)", pid)
    for _ in range(2):
        with pytest.raises(ServiceDown, match="the database went away"), answering():
            connection.execute("SELECT 1")


def test_a_mistake_in_a_statement_stays_a_bug(connection: Connection) -> None:
    """A wrong statement is not excused as an outage."""
    with pytest.raises(Exception, match="no_such_table") as bug, answering():
        connection.execute("SELECT FROM no_such_table")
    assert not isinstance(bug.value, ServiceDown)


def test_asking_for_help_imports_no_driver(tmp_path: Path) -> None:
    """The verb's words and its help come without psycopg, plumbum, yaml, numpy or jsonschema."""
    code = (
        "import sys; from trailblazer.cli import main; code = main(['db', 'status', '--help']); "
        "sys.exit(code or sorted({'psycopg', 'plumbum', 'yaml', 'numpy', 'jsonschema'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)

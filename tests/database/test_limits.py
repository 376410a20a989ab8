"""Every wait on the database has a limit, and a connection that broke is made anew (rule 9)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configured import config_of
from trailblazer.config import Config
from trailblazer.database import server, vitals
from trailblazer.database.connection import Connection, Link, answering, connect, copy_rows
from trailblazer.errors import ServiceDown

COPY = "COPY chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, content_sha256) FROM STDIN"
TYPES = ["text", "text", "text", "int4", "text", "int4", "int4", "text"]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes; some may have ended by themselves."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture
def freeze(made: Path) -> Iterator[Callable[[], None]]:
    """Stops a server of the test's own, with all its processes; they go on when the test ends."""
    frozen: list[int] = []

    def stop() -> None:
        postmaster = vitals.status(made).pid
        assert postmaster is not None
        frozen.append(postmaster)
        signal_all(frozen, signal.SIGSTOP)  # first, so that it starts no more children
        frozen.extend(children_of(postmaster))
        signal_all(frozen, signal.SIGSTOP)

    server.start(made)
    yield stop
    signal_all(frozen, signal.SIGCONT)


def select(connection: Connection) -> object:
    """Ask for a number."""
    return connection.execute("SELECT 1").fetchone()


def write(connection: Connection) -> object:
    """Write in a transaction."""
    with connection.transaction():
        return connection.execute("INSERT INTO processed_runs (run_id) VALUES ('r')")


def copy(connection: Connection) -> object:
    """Send rows."""
    rows = (("r", f"d:{number}", "d", number, "x" * 1000, 1, 1, "0") for number in range(100_000))
    return copy_rows(connection, COPY + " (FORMAT BINARY)", TYPES, rows)


@pytest.mark.parametrize("deed", [select, write, copy], ids=lambda deed: deed.__name__)
def test_a_frozen_server_is_waited_for_no_longer_than_the_limit(
    made: Path, freeze: Callable[[], None], deed: Callable[[Connection], object]
) -> None:
    """Rule 9: a server whose processes are all stopped is ServiceDown after the limit, and the connection is closed."""
    connection = connect(config_of(made.parent.parent), limit_seconds=1)
    freeze()
    begin = time.monotonic()
    with pytest.raises(ServiceDown, match="the database went away: it did not answer for 1 s"), answering():
        deed(connection)
    assert 1 <= time.monotonic() - begin < 30
    assert connection.closed


def test_a_statement_that_takes_long_may_be_given_its_time(connection: Connection) -> None:
    """Rule 9: inside `waiting_up_to` each wait may take longer, and after it the limit is what it was."""
    connection.limit_seconds = 0.3
    with connection.waiting_up_to(60):
        connection.execute("SELECT pg_sleep(1)")
    with pytest.raises(ServiceDown, match=r"did not answer for 0\.3 s"), answering():
        connection.execute("SELECT pg_sleep(600)")


def test_a_link_makes_its_connection_anew(config: Config) -> None:
    """B7: a question that finds the connection broken is asked again over a new one while there is patience."""
    link = Link(lambda: connect(config))
    first = link.ask(lambda connection: connection.info.backend_pid)
    with connect(config) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
    with pytest.raises(ServiceDown):
        link.ask(select)
    second = link.ask(lambda connection: connection.info.backend_pid)
    with connect(config) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [second])
    assert (1,) == link.ask(select, patience_seconds=60)
    assert first != second
    link.close()
    assert (1,) == link.ask(select)
    link.close()


def test_a_link_asks_a_refused_question_once(config: Config) -> None:
    """B7: what the database refuses while it is there is not asked again, however much patience there is."""
    link, asked = Link(lambda: connect(config)), []

    def refused(connection: Connection) -> None:
        asked.append(1)
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("INSERT INTO processed_runs (run_id) VALUES ('r')")

    with pytest.raises(ServiceDown, match="refuses"):
        link.ask(refused, patience_seconds=600)
    assert [1] == asked
    link.close()


def test_a_link_gives_up_when_its_patience_ends(tmp_path: Path) -> None:
    """Rule 9: a server that does not come back is ServiceDown once the patience is over."""
    link = Link(lambda: connect(config_of(tmp_path, "host=127.0.0.1 port=1 dbname=x user=x")))
    begin = time.monotonic()
    with pytest.raises(ServiceDown, match="Connection refused"):
        link.ask(select, patience_seconds=0.5)
    assert time.monotonic() - begin >= 0.5

"""What a dispatcher holds while its database goes away: in doubt for a while, and never against itself (B2)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from claiming import complete, embed
from configured import config_of
from trailblazer.config import Config
from trailblazer.database import backlog, claims
from trailblazer.database.claims import Claim, Counts, HeldBy
from trailblazer.database.connection import Connection, connect
from trailblazer.database.holdings import Holdings
from trailblazer.database.statements import statement
from trailblazer.errors import ServiceDown
from trailblazer.processes.identity import holder_name

LONG = 2700.0
HOUR = timedelta(hours=1)


class Relay:
    """A way to the server over TCP that can lose what the server answers, or what it is asked, and then breaks."""

    def __init__(self, dsn: str) -> None:
        known = conninfo_to_dict(dsn)
        self._server = f"{known['host']}/.s.PGSQL.{known['port']}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = (
            f"host=127.0.0.1 port={self._listener.getsockname()[1]} dbname={known['dbname']} user={known['user']} "
            "sslmode=disable gssencmode=disable"
        )
        self.loses = ""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                for name, source, target in (("question", client, server), ("answer", server, client)):
                    threading.Thread(target=self._pass_on, args=(name, source, target), daemon=True).start()

    def _pass_on(self, name: str, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 16)) and self.loses != name:
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@pytest.fixture
def relay(config: Config) -> Iterator[Relay]:
    """A way to the test's own database."""
    opened = Relay(config["db.url"])
    yield opened
    opened.close()


def counting(connection: Connection, asked: list[str]) -> Connection:
    """Return the connection, which writes down each statement that it is asked."""
    execute = connection.execute

    def noting(query: str, *given: Any, **more: Any) -> Any:
        asked.append(query)
        return execute(query, *given, **more)

    connection.execute = noting  # type: ignore[method-assign, assignment]
    return connection


@pytest.fixture
def asked() -> list[str]:
    """The statements that the holdings have asked."""
    return []


@pytest.fixture
def holdings(home: Path, relay: Relay, asked: list[str]) -> Iterator[Holdings]:
    """Holdings that reach the database over the relay."""
    opened = Holdings(lambda: counting(connect(config_of(home, relay.dsn)), asked), LONG, 3)
    yield opened
    opened.close()


def attempt_of(holdings: Holdings, run_id: str) -> int:
    """Take a run for embedding, whatever was done to it, and return the attempt's number."""
    claim = holdings.take([run_id], "embed", again=True)[run_id]
    assert isinstance(claim, Claim), claim
    return claim.attempt


def give_back(holdings: Holdings, run_id: str, attempt: int, failed: str | None) -> None:
    """Give a run back: with a reason it has failed, without one it is as it was."""
    if failed is None:
        holdings.release([run_id])
    else:
        holdings.fail(run_id, attempt, failed)


def _holder(connection: Connection, run_id: str) -> tuple[str, str | None]:
    row = connection.execute("SELECT status, claimed_by FROM processed_runs WHERE run_id = %s", [run_id]).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_claim_whose_answer_was_lost_is_not_held_against_its_holder(
    holdings: Holdings, relay: Relay, connection: Connection
) -> None:
    """The database did it and could not say so: the next question of the same dispatcher takes the run."""
    assert 1 == attempt_of(holdings, "a")
    holdings.release(["a"])
    relay.loses = "answer"
    with pytest.raises(ServiceDown):
        attempt_of(holdings, "a")
    relay.loses = ""
    assert ("embedding", holder_name()) == _holder(connection, "a")
    assert 3 == attempt_of(holdings, "a")


@pytest.mark.parametrize("loses", ["question", "answer"])
@pytest.mark.parametrize("failed", [None, "the provider said no"])
def test_a_run_that_could_not_be_given_back_is_taken_again(
    holdings: Holdings, relay: Relay, connection: Connection, loses: str, failed: str | None
) -> None:
    """Whether the database did it or not, the run is not held by its own earlier attempt until that expires."""
    assert 1 == attempt_of(holdings, "a")
    relay.loses = loses
    with pytest.raises(ServiceDown):
        give_back(holdings, "a", 1, failed)
    relay.loses = ""
    assert 2 == attempt_of(holdings, "a")
    assert ("embedding", holder_name()) == _holder(connection, "a")


@pytest.mark.parametrize("failed", [None, "the provider said no"])
def test_a_run_that_was_given_back_when_nobody_could_connect_is_taken_again(
    holdings: Holdings, relay: Relay, connection: Connection, failed: str | None
) -> None:
    """The connection was lost before, and no other could be made: nobody was asked, and the run is not forgotten."""
    assert 1 == attempt_of(holdings, "a")
    relay.loses = "question"
    for _ in range(2):
        with pytest.raises(ServiceDown):
            holdings.show(["a"])
    with pytest.raises(ServiceDown):
        give_back(holdings, "a", 1, failed)
    relay.loses = ""
    assert 2 == attempt_of(holdings, "a")
    assert ("embedding", holder_name()) == _holder(connection, "a")


@pytest.mark.parametrize("loses", ["question", "answer"])
def test_what_is_in_doubt_at_the_end_is_released(
    holdings: Holdings, relay: Relay, connection: Connection, loses: str
) -> None:
    """A dispatch that ends leaves no run behind that others have to wait for."""
    for run_id in ("a", "b"):
        assert 1 == attempt_of(holdings, run_id)
    relay.loses = loses
    with pytest.raises(ServiceDown):
        holdings.release(["a"])
    relay.loses = ""
    holdings.close()
    assert ("normalized", None) == _holder(connection, "a")
    assert ("embedding", holder_name()) == _holder(connection, "b"), "it was in no doubt"


def test_what_somebody_else_took_meanwhile_stays_his(holdings: Holdings, relay: Relay, connection: Connection) -> None:
    """In doubt is only what is still in this dispatcher's name."""
    assert 1 == attempt_of(holdings, "a")
    relay.loses = "question"
    with pytest.raises(ServiceDown):
        holdings.release(["a"])
    relay.loses = ""
    connection.execute("UPDATE processed_runs SET claim_expires_at = now() - interval '1 second'")
    other = claims.take(connection, ["a"], claims.Terms("embed", "else/1", LONG, again=True))["a"]
    assert isinstance(other, Claim)
    assert str(holdings.take(["a"], "embed", again=True)["a"]).startswith("held by else/1 since")
    assert ("embedding", "else/1") == _holder(connection, "a")
    complete(connection, [other])


def test_a_group_is_taken_and_settled_with_the_next(
    holdings: Holdings, connection: Connection, asked: list[str]
) -> None:
    """B2: one statement completes what is finished and claims what comes next; the next take needs none."""
    for run_id in ("a", "b", "c", "d", "outside"):
        backlog.upsert_run(connection, run_id)
    holdings.show([])
    asked.clear()
    assert ["a", "b"] == list(holdings.take(["a", "b"], "embed", again=True))
    assert [statement("settle_and_take")] == asked
    assert {} == holdings.settle({"a": Counts(embedded_chunks=3)}, ["c", "d"], "embed", again=True)
    assert [1, 1] == [attempt_of(holdings, "c"), attempt_of(holdings, "d")]
    assert [statement("settle_and_take")] * 2 == asked
    assert ("embedded", None) == _holder(connection, "a")
    assert ("embedding", holder_name()) == _holder(connection, "b")
    assert ("normalized", None) == _holder(connection, "outside")
    assert [3, None] == [run.embedded_chunks for run in holdings.show(["a", "b", "unknown"]).values()]


def test_what_was_taken_ahead_for_something_else_is_asked_for_anew(holdings: Holdings, connection: Connection) -> None:
    """B2: a run that was taken ahead with `again` is given back before it is taken only if it waits."""
    embed(connection, "done")
    assert {} == holdings.settle({}, ["done"], "embed", again=True)
    assert ("embedding", holder_name()) == _holder(connection, "done")
    held = holdings.take(["done"], "embed", again=False)["done"]
    assert "embedded, and nobody holds it" == str(held)
    assert ("embedded", None) == _holder(connection, "done")


def test_what_was_taken_ahead_and_never_used_is_released(holdings: Holdings, connection: Connection) -> None:
    """B2: a dispatch that ends early leaves nothing behind that it never began."""
    for run_id in ("a", "b"):
        backlog.upsert_run(connection, run_id)
    assert {} == holdings.settle({}, ["a", "b"], again=True)
    assert 1 == attempt_of(holdings, "a")
    holdings.close()
    assert ("embedding", holder_name()) == _holder(connection, "a")
    assert ("normalized", None) == _holder(connection, "b")


def test_a_lost_claim_is_named_and_the_others_are_settled(holdings: Holdings, connection: Connection) -> None:
    """B2: whoever took a run over keeps it; a claim that was never had is lost as well."""
    for run_id in ("a", "b"):
        attempt_of(holdings, run_id)
    backlog.upsert_run(connection, "a")
    lost = holdings.settle({run_id: Counts() for run_id in ("a", "b", "never")})
    assert {"a", "never"} == set(lost)
    assert "attempt 1 at a has lost its claim: the run is normalized, and nobody holds it" == lost["a"].what
    assert ("embedded", None) == _holder(connection, "b")


@pytest.mark.parametrize("loses", ["question", "answer"])
def test_a_settlement_may_be_repeated(holdings: Holdings, relay: Relay, connection: Connection, loses: str) -> None:
    """B2: whether the database did it or not, the same call again settles what was finished and takes what is next."""
    backlog.upsert_run(connection, "b")
    attempt_of(holdings, "a")
    relay.loses = loses
    with pytest.raises(ServiceDown):
        holdings.settle({"a": Counts(embedded_chunks=1)}, ["b"], again=True)
    relay.loses = ""
    assert {} == holdings.settle({"a": Counts(embedded_chunks=1)}, ["b"], again=True)
    assert ("embedded", None) == _holder(connection, "a")
    assert {"question": 1, "answer": 2}[loses] == attempt_of(holdings, "b")


def test_signs_of_life_are_one_statement(config: Config, connection: Connection, asked: list[str]) -> None:
    """B2: all claims, those taken ahead as well, are kept alive at once; a lost one is no longer."""
    holdings = Holdings(lambda: counting(connect(config), asked), 0.0, 3)
    held = ["a", "b", "c"]
    backlog.upsert_run(connection, "d")
    holdings.take(held, "embed", again=True)
    holdings.settle({}, ["d"], again=True)
    backlog.upsert_run(connection, "c")
    connection.execute("UPDATE processed_runs SET claim_expires_at = now() - interval '1 day' WHERE claimed_by <> ''")
    asked.clear()
    holdings.keep_alive()
    assert [statement("move_expiry")] == asked
    runs = holdings.show([*held, "d"])
    now = datetime.now(UTC)
    assert [run_id for run_id, run in runs.items() if run.claim_expires_at and now - run.claim_expires_at < HOUR] == [
        "a", "b", "d"
    ]  # fmt: skip
    assert {"c"} == set(holdings.settle({run_id: Counts() for run_id in held}))
    holdings.close()


def test_a_sign_of_life_is_not_given_too_often(holdings: Holdings, asked: list[str]) -> None:
    """B2: within a third of the time to live nothing is asked."""
    attempt_of(holdings, "a")
    asked.clear()
    holdings.keep_alive()
    assert [] == asked


def test_a_sign_of_life_that_fails_is_no_failure(home: Path, relay: Relay, connection: Connection) -> None:
    """B2: a database that went away is asked again the next time."""
    holdings = Holdings(lambda: connect(config_of(home, relay.dsn)), 0.0, 3)
    attempt_of(holdings, "a")
    connection.execute("UPDATE processed_runs SET claim_expires_at = now() - interval '1 day'")
    relay.loses = "question"
    holdings.keep_alive()
    relay.loses = ""
    holdings.keep_alive()
    row = connection.execute("SELECT now() - claim_expires_at < interval '1 hour' FROM processed_runs").fetchone()
    assert (True,) == row
    holdings.close()


def test_many_threads_divide_a_plan(config: Config, connection: Connection) -> None:
    """B2: slots that take and settle at once work on each run of the plan once, and on no other."""
    plan = [f"r-{number:03}" for number in range(200)]
    for run_id in [*plan[::2], "outside"]:
        backlog.upsert_run(connection, run_id)
    holdings = Holdings(lambda: connect(config), LONG, 3)

    def work(group: int) -> int:
        mine = plan[20 * group : 20 * group + 20]
        done = 0
        for at, run_id in enumerate(mine):
            assert isinstance(holdings.take([run_id], "chunk", again=True)[run_id], Claim)
            assert {} == holdings.settle({run_id: Counts(total_chunks=1)}, mine[at + 1 : at + 2], "chunk", again=True)
            assert isinstance(holdings.take([run_id], "chunk", again=False)[run_id], HeldBy)
            done += 1
        return done

    with ThreadPoolExecutor(10) as threads:
        assert 200 == sum(threads.map(work, range(10)))
    holdings.close()
    rows = connection.execute(
        "SELECT status, attempt, count(*) FROM processed_runs GROUP BY 1, 2 ORDER BY 1"
    ).fetchall()
    assert [("chunked", 1, 200), ("normalized", 0, 1)] == rows

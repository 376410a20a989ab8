"""What a dispatcher holds while its database goes away: in doubt for a while, and never against itself (B2)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from configured import config_of
from trailblazer.config import Config
from trailblazer.database import claims
from trailblazer.database.connection import Connection, connect
from trailblazer.database.holdings import Holdings
from trailblazer.errors import ServiceDown
from trailblazer.processes.identity import holder_name

LONG = 2700.0


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


@pytest.fixture
def holdings(home: Path, relay: Relay) -> Iterator[Holdings]:
    """Holdings that reach the database over the relay."""
    opened = Holdings(lambda: connect(config_of(home, relay.dsn)), LONG, 3)
    yield opened
    opened.close()


def _holder(connection: Connection, run_id: str) -> tuple[str, str | None]:
    row = connection.execute("SELECT status, claimed_by FROM processed_runs WHERE run_id = %s", [run_id]).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_claim_whose_answer_was_lost_is_not_held_against_its_holder(
    holdings: Holdings, relay: Relay, connection: Connection
) -> None:
    """The database did it and could not say so: the next question of the same dispatcher takes the run."""
    assert 1 == holdings.claim("a")
    holdings.give_back("a", 1, failed=None)
    relay.loses = "answer"
    with pytest.raises(ServiceDown):
        holdings.claim("a")
    relay.loses = ""
    assert ("embedding", holder_name()) == _holder(connection, "a")
    assert 3 == holdings.claim("a")


@pytest.mark.parametrize("loses", ["question", "answer"])
@pytest.mark.parametrize("failed", [None, "the provider said no"])
def test_a_run_that_could_not_be_given_back_is_taken_again(
    holdings: Holdings, relay: Relay, connection: Connection, loses: str, failed: str | None
) -> None:
    """Whether the database did it or not, the run is not held by its own earlier attempt until that expires."""
    assert 1 == holdings.claim("a")
    relay.loses = loses
    with pytest.raises(ServiceDown):
        holdings.give_back("a", 1, failed)
    relay.loses = ""
    assert 2 == holdings.claim("a")
    assert ("embedding", holder_name()) == _holder(connection, "a")


@pytest.mark.parametrize("loses", ["question", "answer"])
def test_what_is_in_doubt_at_the_end_is_let_go_of(
    holdings: Holdings, relay: Relay, connection: Connection, loses: str
) -> None:
    """A dispatch that ends leaves no run behind that others have to wait for."""
    for run_id in ("a", "b"):
        assert 1 == holdings.claim(run_id)
    relay.loses = loses
    with pytest.raises(ServiceDown):
        holdings.give_back("a", 1, None)
    relay.loses = ""
    holdings.close()
    assert ("normalized", None) == _holder(connection, "a")
    assert ("embedding", holder_name()) == _holder(connection, "b"), "it was in no doubt"


def test_what_somebody_else_took_meanwhile_stays_his(holdings: Holdings, relay: Relay, connection: Connection) -> None:
    """In doubt is only what is still in this dispatcher's name."""
    assert 1 == holdings.claim("a")
    relay.loses = "question"
    with pytest.raises(ServiceDown):
        holdings.give_back("a", 1, None)
    relay.loses = ""
    connection.execute("UPDATE processed_runs SET claim_expires_at = now() - interval '1 second'")
    (other,) = claims.claim_batch(connection, "embed", holder="else/1", ttl_seconds=LONG, only=["a"], again=True)
    held = holdings.claim("a")
    assert isinstance(held, str)
    assert held.startswith("else/1 since")
    assert ("embedding", "else/1") == _holder(connection, "a")
    claims.complete(connection, [other])

"""Connections to the configured server: its tables are up to date, and a broken connection is replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from trailblazer.config import Config
from trailblazer.database import vitals
from trailblazer.database.driver import LONG_WAIT_SECONDS as LONG_WAIT_SECONDS
from trailblazer.database.driver import WAIT_SECONDS, open_dsn, teach_types
from trailblazer.database.driver import Connection as Connection
from trailblazer.database.driver import answering as answering
from trailblazer.database.driver import copy_rows as copy_rows
from trailblazer.database.driver import fetch as fetch
from trailblazer.database.migrating import bring_up_to_date
from trailblazer.database.statements import statement as statement
from trailblazer.errors import ServiceDown

Answer = TypeVar("Answer")

COMING_UP = ("starting up", "shutting down", "in recovery mode", "not yet accepting connections")
PAUSE_SECONDS = 0.2


def connect(config: Config, *, limit_seconds: float = WAIT_SECONDS) -> Connection:
    """Return a connection to a database that is ready for work: server up, migrations applied.

    Starts the embedded server when no db.url is configured. A server that does not answer is ServiceDown (exit 8), a
    db.url that is no DSN is ConfigWrong (exit 3). `limit_seconds` is how long each later wait for an answer may take.
    """
    connection = open_connection(config)
    try:
        with answering():
            bring_up_to_date(connection)
            teach_types(connection)
        connection.limit_seconds = limit_seconds
    except BaseException:
        connection.close()
        raise
    return connection


def open_connection(config: Config) -> Connection:
    """Return an autocommit connection to the configured server as it is, without looking at its tables."""
    url = config["db.url"]
    if url:
        return open_dsn(url, config.settings["db.url"].origin)
    base = vitals.base_of(config.places)
    dsn = vitals.address(base)
    if dsn is not None:
        with contextlib.suppress(ServiceDown):
            return open_dsn(dsn, "the embedded server")
    from trailblazer.database import server

    deadline = time.monotonic() + server.START_LIMIT
    while True:
        try:
            return open_dsn(server.start(base), "the embedded server")
        except ServiceDown as trouble:
            if time.monotonic() > deadline or not any(words in trouble.what for words in COMING_UP):
                raise
            time.sleep(0.05)


class Link:
    """A connection that opens at its first use and is replaced when it breaks. One thread at a time may use it."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def ask(self, question: Callable[[Connection], Answer], *, patience_seconds: float = 0) -> Answer:
        """Return the answer of a question that is asked over the connection; a failure of the database is ServiceDown.

        When the connection is lost, the same question is asked again over a new one, until `patience_seconds` have
        passed since the first loss. So a question must be safe to repeat.
        """
        deadline: float | None = None
        while True:
            try:
                with answering():
                    return question(self._opened())
            except ServiceDown:
                now = time.monotonic()
                deadline = now + patience_seconds if deadline is None else deadline
                if not self._is_lost() or now >= deadline:
                    raise
                time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connection; the next question makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> Connection:
        if self._connection is None or self._is_lost():
            self._connection = None
            self._connection = self._connect()
        return self._connection

    def _is_lost(self) -> bool:
        return self._connection is None or self._connection.closed or self._connection.broken

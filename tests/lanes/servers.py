"""Databases of the one server that the tests of the lanes share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from trailblazer.database import server


@contextmanager
def database_of(base: Path, name: str, *, template: str) -> Iterator[str]:
    """Copy a database of the shared server and yield the copy's DSN; the copy is gone at the end."""
    dsn = server.start(base)
    admin = dsn.replace("dbname=trailblazer", "dbname=postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    yield dsn.replace("dbname=trailblazer", f"dbname={name}")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

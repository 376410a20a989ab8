"""What a database lacks for trailblazer's work, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trailblazer.config import Config
from trailblazer.errors import ServiceDown, Trouble

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

OLDEST = 150000
"""The oldest server that will do: MERGE and the built-in functions used here came with 15."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, what was found, and the remedy when it failed."""

    name: str
    well: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says about itself and this user."""

    version_number: int
    version: str
    encoding: str
    user_name: str
    database_name: str
    vector_installed: str | None
    vector_available: str | None
    may_create_extension: bool
    may_create_tables: bool
    is_read_only: bool


def examine(config: Config) -> list[Finding]:
    """Return all checks, in order, without those that need something missing.

    It starts the embedded server, as every other command does, and changes nothing in the database. A malformed db.url
    is ConfigWrong (exit 3), as everywhere.
    """
    return [replace(finding, remedy="") if finding.well else finding for finding in _findings(config)]


def _findings(config: Config) -> Iterator[Finding]:
    if not config["db.url"]:
        from trailblazer.database import server

        try:
            yield Finding("programs", True, str(server.find_binaries()))
        except Trouble as trouble:
            yield Finding("programs", False, trouble.what, trouble.hint)
            return
    from trailblazer.database.connection import answering, fetch, open_connection

    try:
        connection = open_connection(config)
    except ServiceDown as trouble:
        yield Finding("server", False, trouble.what, trouble.hint)
        return
    with connection, answering():
        facts = fetch(connection, "server_facts", Facts)[0]
        yield from _judge(facts)
        yield _migrations(connection)


def _judge(facts: Facts) -> Iterator[Finding]:
    yield Finding("server", True, f"database {facts.database_name}, as {facts.user_name}")
    yield Finding(
        "version", facts.version_number >= OLDEST, f"PostgreSQL {facts.version}", "Use PostgreSQL 15 or newer."
    )
    yield Finding(
        "encoding",
        facts.encoding == "UTF8",
        facts.encoding,
        f"Make a database that holds every character: CREATE DATABASE {facts.database_name}2 ENCODING 'UTF8' "
        "TEMPLATE template0, and name it in db.url.",
    )
    yield _pgvector(facts)
    yield Finding(
        "rights",
        facts.may_create_tables and not facts.is_read_only,
        f"{facts.user_name} {'can' if facts.may_create_tables else 'cannot'} make tables"
        + (", and the server is read-only" if facts.is_read_only else ""),
        "Connect to the primary server, not to a standby."
        if facts.is_read_only
        else f"As the database's owner: GRANT CREATE ON SCHEMA public TO {facts.user_name};",
    )


def _pgvector(facts: Facts) -> Finding:
    if facts.vector_installed:
        return Finding("pgvector", True, f"{facts.vector_installed}, installed")
    if facts.vector_available is None:
        return Finding(
            "pgvector",
            False,
            "the server does not have it",
            "Install pgvector on the server (Debian's own postgresql-15 has no package of it; PGDG's is called "
            "postgresql-NN-pgvector), or leave db.url empty: the embedded server has it.",
        )
    return Finding(
        "pgvector",
        facts.may_create_extension,
        f"{facts.vector_available}, available and not yet installed in this database",
        f"As a superuser, in database {facts.database_name}: CREATE EXTENSION vector;",
    )


def _migrations(connection: Connection) -> Finding:
    from trailblazer.database.migrating import all_migrations, applied, pending

    try:
        waiting = pending(connection)
    except Trouble as trouble:
        return Finding("migrations", False, trouble.what, trouble.hint)
    have = applied(connection)
    changed = [
        migration.number
        for migration in all_migrations()
        if migration.number in have and have[migration.number] != migration.digest
    ]
    if changed:
        numbers = ", ".join(map(str, changed))
        return Finding(
            "migrations", False, f"{numbers} changed since applied", "Restore those files: git log shows them."
        )
    if waiting:
        return Finding("migrations", True, f"{len(waiting)} pending: applied by the next command that needs them")
    return Finding("migrations", True, f"{len(have)} applied")

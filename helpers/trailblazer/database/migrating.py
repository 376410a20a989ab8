"""Numbered migrations, each applied once, in one transaction, under a lock."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from trailblazer.database.driver import LONG_WAIT_SECONDS, Connection
from trailblazer.database.statements import statement
from trailblazer.errors import ServiceDown

_FILE = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of statements."""

    number: int
    slug: str
    statements: str

    @property
    def digest(self) -> str:
        """The SHA-256 of what the file says, kept beside its number so that a later change to it is noticed."""
        return sha256(self.statements.encode()).hexdigest()


@functools.cache
def all_migrations() -> tuple[Migration, ...]:
    """Return the migrations that come with this version, in order; a gap in the numbers is a ValueError."""
    found: list[Migration] = []
    for file in sorted((Path(__file__).parent / "migrations").glob("*.sql")):
        name = _FILE.fullmatch(file.name)
        if not name or int(name[1]) != len(found) + 1:
            raise ValueError(f"{file.name} is not the next migration: NNN_slug.sql, numbered without a gap")
        found.append(Migration(int(name[1]), name[2], file.read_text("utf-8")))
    return tuple(found)


def applied(connection: Connection) -> dict[int, str]:
    """Return the numbers of the migrations that were applied to a database, with their digests."""
    known = connection.execute(statement("has_migrations")).fetchone()
    if not known or not known[0]:
        return {}
    return dict(connection.execute(statement("applied_migrations")).fetchall())


def bring_up_to_date(connection: Connection) -> list[Migration]:
    """Apply what is pending, in order, and return it; any number of processes may do so at once.

    A database that a newer trailblazer has migrated is refused (exit 8): its tables may mean something else.
    """
    done = []
    while pending(connection):
        with connection.waiting_up_to(LONG_WAIT_SECONDS), connection.transaction():
            connection.execute(statement("lock_migrations"))
            waiting = pending(connection)
            if waiting:
                connection.execute(waiting[0].statements)
                connection.execute(
                    statement("record_migration"),
                    {"number": waiting[0].number, "slug": waiting[0].slug, "sha256": waiting[0].digest},
                )
                done.append(waiting[0])
    return done


def pending(connection: Connection) -> list[Migration]:
    """Return the migrations that a database still lacks."""
    have = applied(connection)
    newest = max(have, default=0)
    if newest > len(all_migrations()):
        raise ServiceDown(
            f"the database has migration {newest}, and this trailblazer knows {len(all_migrations())}",
            "A newer trailblazer has used it: update this one.",
        )
    return [migration for migration in all_migrations() if migration.number not in have]

"""The seals that Postgres keeps: a person who can change a folder cannot change its seal there."""

from __future__ import annotations

from trailblazer.config import Config
from trailblazer.errors import Trouble
from trailblazer.record.folder import Record

POSTGRES = "postgres"


def place_for_seal(config: Config) -> str | None:
    """Return POSTGRES if there is a database to keep the seal in, else None. No database is made for it."""
    from trailblazer.database import vitals

    is_there = config["db.url"] or vitals.is_alive(vitals.base_of(config.places))
    return POSTGRES if is_there else None


def keep_seal(config: Config, record: Record, seal: str) -> None:
    """Write the seal's SHA-256 into the database. A database that does not answer is ServiceDown."""
    from trailblazer.database.connection import answering, connect, statement

    manifest = record.manifest
    row = {
        "dispatch_id": record.dispatch_id,
        "started_at": manifest.started_on,
        "finished_at": manifest.finished_on,
        "status": manifest.status,
        "folder": str(record.folder),
        "seal_sha256": seal,
        "counts": dict(manifest.counts),
    }
    with answering(), connect(config) as connection:
        connection.execute(statement("keep_dispatch"), row)


def withdraw_seal(config: Config, dispatch_id: str) -> None:
    """Have the database forget the seal of a dispatch that is resumed. ServiceDown when it does not answer."""
    from trailblazer.database import vitals
    from trailblazer.database.connection import answering, connect, statement

    if not config["db.url"] and vitals.address(vitals.base_of(config.places)) is None:
        return
    with answering(), connect(config) as connection:
        connection.execute(statement("withdraw_seal"), {"dispatch_id": dispatch_id})


def kept_seal(config: Config, dispatch_id: str) -> tuple[str | None, str]:
    """Return the seal that the database keeps for a dispatch and "the database", or None and why there is none."""
    from trailblazer.database import vitals
    from trailblazer.database.connection import answering, connect, statement

    try:
        if not config["db.url"] and vitals.address(vitals.base_of(config.places)) is None:
            return None, "there is no database here"
        with answering(), connect(config) as connection:
            row = connection.execute(statement("kept_seal"), {"dispatch_id": dispatch_id}).fetchone()
    except Trouble as trouble:
        return None, trouble.what
    return (row[0], "the database") if row and row[0] else (None, "the database has none")

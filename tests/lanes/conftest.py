"""One real database server for all tests of the lanes, and a database of its own for each test that wants one."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lanes.embed.project import Project
from lanes.servers import database_of
from trailblazer.database import server
from trailblazer.paths import CONFIG_NAME

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """The base folder of the shared server, whose database `trailblazer` has its tables and is copied for each test."""
    folder = Path(tempfile.mkdtemp(prefix="trailblazer dispatch é "))
    (folder / CONFIG_NAME).parent.mkdir()
    (folder / CONFIG_NAME).write_text("paths: {var: var}\n")
    started = Project(folder, "").run("db", "start", TRAILBLAZER_DB_URL="null")
    assert 0 == started.code, started.err
    yield folder / "var" / "postgres"
    server.stop(folder / "var" / "postgres")
    shutil.rmtree(folder)


@pytest.fixture
def new_database(base: Path) -> Iterator[Callable[[], str]]:
    """A function that makes a database with our tables and returns its DSN; it is gone when the test is over."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(database_of(base, f"dispatch_{next(_NUMBERS)}", template="trailblazer"))

"""One real database server for all tests of this folder, and a project with a database of its own for each."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from fixtures.embedding_server import EmbeddingServer, serving
from lanes.embed.project import STOCK, Project, texts_of, write_documents
from trailblazer.config import load_config
from trailblazer.database import server
from trailblazer.paths import CONFIG_NAME
from trailblazer.pipeline.chunk import chunk_run

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


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with chunked runs, made once and known to no database."""
    folder = tmp_path_factory.mktemp("stock")
    (folder / CONFIG_NAME).parent.mkdir()
    (folder / CONFIG_NAME).write_text("embed: {batch_size: 2}\ndispatch: {workers: 2}\n")
    for rid in STOCK:
        write_documents(folder, rid, texts_of(rid))
    config = load_config(start=folder)
    for rid in STOCK:
        chunk_run(config.places, config, rid)
    return folder


@pytest.fixture
def service() -> Iterator[EmbeddingServer]:
    """An embeddings service of the test's own."""
    with serving("ok") as running:
        yield running


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


@pytest.fixture
def make_project(base: Path, stock: Path, tmp_path: Path) -> Iterator[Callable[[EmbeddingServer | None], Project]]:
    """A function that makes a project: with a service it embeds there, without one with the local model."""
    with ExitStack() as databases:

        def make(service: EmbeddingServer | None) -> Project:
            name = f"dispatch_{next(_NUMBERS)}"
            dsn = databases.enter_context(database_of(base, name, template="trailblazer"))
            folder = shutil.copytree(stock, tmp_path / "pro ject")
            environment = {}
            if service is not None:
                environment = {
                    "TRAILBLAZER_EMBED_PROVIDER": "openai",
                    "TRAILBLAZER_EMBED_BASE_URL": service.base_url,
                    "TRAILBLAZER_EMBED_MODEL": "tiny",
                    "TRAILBLAZER_EMBED_DIMENSION": "8",
                }
            return Project(folder, dsn, environment)

        yield make


@pytest.fixture
def project(make_project: Callable[[EmbeddingServer | None], Project], service: EmbeddingServer) -> Project:
    """A project with four chunked runs that embeds with the service."""
    return make_project(service)

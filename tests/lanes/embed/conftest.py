"""A project with runs and a database of its own for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer, serving
from lanes.embed.project import STOCK, Project, texts_of, write_documents
from trailblazer.config import load_config
from trailblazer.paths import CONFIG_NAME
from trailblazer.pipeline.chunk import chunk_run


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


@pytest.fixture
def make_project(
    new_database: Callable[[], str], stock: Path, tmp_path: Path
) -> Callable[[EmbeddingServer | None], Project]:
    """A function that makes a project: with a service it embeds there, without one with the local model."""

    def make(service: EmbeddingServer | None) -> Project:
        folder = shutil.copytree(stock, tmp_path / "pro ject")
        environment = {}
        if service is not None:
            environment = {
                "TRAILBLAZER_EMBED_PROVIDER": "openai",
                "TRAILBLAZER_EMBED_BASE_URL": service.base_url,
                "TRAILBLAZER_EMBED_MODEL": "tiny",
                "TRAILBLAZER_EMBED_DIMENSION": "8",
            }
        return Project(folder, new_database(), environment)

    return make


@pytest.fixture
def project(make_project: Callable[[EmbeddingServer | None], Project], service: EmbeddingServer) -> Project:
    """A project with four chunked runs that embeds with the service."""
    return make_project(service)

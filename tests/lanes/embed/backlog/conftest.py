"""A project with normalised runs and a database of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer, serving
from lanes.embed.project import Project, texts_of, write_documents
from lanes.servers import database_of
from trailblazer.paths import CONFIG_NAME

_NUMBERS = itertools.count(1)
RUNS = tuple(f"2026-{number:02}" for number in range(1, 7))


@pytest.fixture
def service() -> Iterator[EmbeddingServer]:
    """An embeddings service of the test's own, which takes its `delay` for an answer."""
    with serving("slow") as running:
        yield running


@pytest.fixture
def project(base: Path, service: EmbeddingServer, tmp_path: Path) -> Iterator[Project]:
    """A project with six runs that are normalised, and nothing else was done to them."""
    folder = tmp_path / "pro ject"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text("dispatch: {workers: 1}\n")
    for rid in RUNS:
        write_documents(folder, rid, texts_of(rid, 2))
    environment = {
        "TRAILBLAZER_EMBED_PROVIDER": "openai",
        "TRAILBLAZER_EMBED_BASE_URL": service.base_url,
        "TRAILBLAZER_EMBED_MODEL": "tiny",
        "TRAILBLAZER_EMBED_DIMENSION": "8",
    }
    with database_of(base, f"backlog_{next(_NUMBERS)}", template="trailblazer") as dsn:
        yield Project(folder, dsn, environment)

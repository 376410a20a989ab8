"""Any model of an OpenAI-compatible address: its dimension is asked for once, kept and checked (issue 10: 27)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import embedding_server
from fixtures.embedding_server import EmbeddingServer, serving
from trailblazer import schemas
from trailblazer.config import Config, load_config
from trailblazer.errors import ConfigWrong, ProviderRefused, ServiceDown
from trailblazer.pipeline.embedders import check_ready, identify, learn_dimension, load_embedder
from trailblazer.pipeline.embedders.dimensions import dimension_file, keep_dimension, read_dimension

MODELS = {"BAAI/bge-small-en-v1.5": 384, "nomic-embed-text": 768, "huge": 20_000}


@pytest.fixture
def service() -> Iterator[EmbeddingServer]:
    """A service with three models."""
    with serving(models=MODELS) as running:
        yield running


def configured(folder: Path, service: EmbeddingServer, model: str, **embed: Any) -> Config:
    """Return the configuration of a folder with a model of a service."""
    flags = {"provider": "openai", "base_url": service.base_url, "model": model, "max_retries": 0, **embed}
    return load_config({f"embed.{key}": value for key, value in flags.items()}, folder)


def test_the_dimension_is_asked_for_once(tmp_path: Path, service: EmbeddingServer) -> None:
    """The first use of a model sends one word; later uses know its dimension, those of another model ask again."""
    config = configured(tmp_path, service, "BAAI/bge-small-en-v1.5")
    assert 384 == load_embedder(config).dimension
    assert [["probe"]] == [request["input"] for request in service.requests]
    assert 384 == load_embedder(config).dimension
    assert (384, 384) == (identify(config).dimension, check_ready(config).dimension)
    assert 1 == len(service.requests)
    assert (2, 768) == load_embedder(configured(tmp_path, service, "nomic-embed-text")).embed(["a", "b"]).shape
    assert 3 == len(service.requests)


def test_the_dimension_is_kept_in_var(tmp_path: Path, service: EmbeddingServer) -> None:
    """What is kept fits its schema, is private and holds no password of the address."""
    config = configured(tmp_path, service, "nomic-embed-text")
    learn_dimension(config)
    (file,) = (tmp_path / "var" / "embedders").iterdir()
    assert dimension_file(config.places, service.base_url, "nomic-embed-text") == file
    schemas.check("model_dimension", schemas.read_json(file), "kept")
    assert 0o600 == file.stat().st_mode & 0o777
    keep_dimension(config.places, "http://me:secret@host:1/v1?key=secret", "m", 5)
    assert not [file for file in file.parent.iterdir() if "secret" in file.read_text()]
    assert 5 == read_dimension(config.places, "http://me:other@host:1/v1/", "m")


def test_what_is_free_asks_nobody(tmp_path: Path, service: EmbeddingServer) -> None:
    """Before the dimension is known, a gate says so with exit code 3: it sends nothing and writes nothing."""
    config = configured(tmp_path, service, "nomic-embed-text")
    with pytest.raises(ConfigWrong, match="the dimension of the model nomic-embed-text is not known yet") as caught:
        check_ready(config)
    assert "plan-preflight" in caught.value.hint
    assert ([], False) == (service.requests, (tmp_path / "var").exists())


def test_a_configured_dimension_is_not_asked_for(tmp_path: Path, service: EmbeddingServer) -> None:
    """embed.dimension goes first, and a service that answers another one is refused."""
    embedder = load_embedder(configured(tmp_path, service, "nomic-embed-text", dimension=100))
    assert [] == service.requests
    with pytest.raises(ProviderRefused, match="answered with vectors of 768 numbers, not 100") as caught:
        embedder.probe()
    assert "Set embed.dimension" in caught.value.hint


def test_a_model_that_has_changed_is_refused(tmp_path: Path, service: EmbeddingServer) -> None:
    """A model that makes vectors of another size than before is refused, and the hint names the file to remove."""
    config = configured(tmp_path, service, "nomic-embed-text")
    keep_dimension(config.places, service.base_url, "nomic-embed-text", 512)
    with pytest.raises(ProviderRefused, match="answered with vectors of 768 numbers, not 512") as caught:
        load_embedder(config).probe()
    file = dimension_file(config.places, service.base_url, "nomic-embed-text")
    assert f"Remove {file}" in caught.value.hint
    file.unlink()
    load_embedder(config).probe()


@pytest.mark.parametrize("content", ["", "[" * 200_000, "{}", '{"dimension": 768}'])
def test_a_kept_dimension_that_is_not_readable_is_asked_for_again(
    tmp_path: Path, service: EmbeddingServer, content: str
) -> None:
    """Half a file counts as none."""
    config = configured(tmp_path, service, "nomic-embed-text")
    learn_dimension(config)
    dimension_file(config.places, service.base_url, "nomic-embed-text").write_text(content)
    assert 768 == load_embedder(config).dimension
    assert 2 == len(service.requests)


def test_nothing_is_kept_of_a_service_that_does_not_answer_well(tmp_path: Path, service: EmbeddingServer) -> None:
    """An unknown model and a dimension that no database stores are refused, a service that is down is exit code 8."""
    with pytest.raises(ProviderRefused, match="answered 404: model gone not found"):
        learn_dimension(configured(tmp_path, service, "gone"))
    with pytest.raises(ProviderRefused, match="makes vectors of 20000 numbers"):
        learn_dimension(configured(tmp_path, service, "huge"))
    service.behaviour = "500"
    with pytest.raises(ServiceDown, match="answered 500"):
        learn_dimension(configured(tmp_path, service, "nomic-embed-text"))
    assert not (tmp_path / "var").exists()


def test_known_models_keep_their_tables(tmp_path: Path, service: EmbeddingServer) -> None:
    """A model of OpenAI's has its dimension at every address, and local models are never asked about."""
    learn_dimension(configured(tmp_path, service, "text-embedding-3-large"))
    assert 3072 == identify(configured(tmp_path, service, "text-embedding-3-large")).dimension
    learn_dimension(load_config(start=tmp_path))
    assert [] == service.requests


@pytest.mark.parametrize("answer", [b"[" * 200_000, b'{"data": [{"index": 0, "embedding": [[1]]}]}', b'{"data": 1}'])
def test_an_answer_of_any_shape_is_refused(answer: bytes, tmp_path: Path, service: EmbeddingServer) -> None:
    """What a service answers is never a bug: deep nesting and vectors that are not numbers are refused."""
    service.answer = answer
    with pytest.raises((ProviderRefused, ServiceDown)):
        load_embedder(configured(tmp_path, service, "nomic-embed-text", dimension=1)).probe()


def test_the_service_runs_as_a_process_with_models(tmp_path: Path) -> None:
    """The service that tests start by its path has the models that it is given."""
    command = [sys.executable, embedding_server.__file__, "--model", "mine=5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
            flags = {"embed.provider": "openai", "embed.base_url": address, "embed.model": "mine"}
            assert 5 == load_embedder(load_config(flags, tmp_path)).dimension
        finally:
            process.kill()

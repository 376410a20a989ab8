"""The openai provider against a real service that answers well, refuses, fails, hangs and hangs up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures import embedding_server
from fixtures.embedding_server import EmbeddingServer, serving, vector_of
from trailblazer.config import load_config
from trailblazer.errors import DocumentInvalid, ProviderRefused, ServiceDown
from trailblazer.pipeline.embedders import Unserved, check_ready, load_embedder
from trailblazer.pipeline.embedders.openai import OpenAIEmbedder
from trailblazer.pipeline.embedders.service import EmbeddingsService

SECRET = "sk-secret-0123456789"


@contextmanager
def embedder_for(
    behaviour: str, *, model: str = "mine", dimension: int = 8, retries: int = 4, timeout: float = 5, **options: Any
) -> Iterator[tuple[OpenAIEmbedder, EmbeddingServer, list[float]]]:
    """Yield an embedder of a service with that behaviour, the service, and the seconds the embedder waited."""
    waited: list[float] = []
    with serving(behaviour, dimension=dimension, **options) as server:
        flags = {"provider": "openai", "base_url": server.base_url, "model": model, "dimension": dimension}
        config = load_config({f"embed.{key}": value for key, value in flags.items()}, Path("/"))
        spoken_to = EmbeddingsService(server.base_url, timeout=timeout, retries=retries, sleep=waited.append)
        yield OpenAIEmbedder(check_ready(config), spoken_to), server, waited


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_vectors_come_in_the_order_of_the_texts_and_of_length_1() -> None:
    """The service may answer in any order; vectors are put in the order of the texts and scaled to length 1."""
    with embedder_for("ok") as (embedder, server, _):
        vectors = embedder.embed(["one", "two", "three"])
    expected = np.array([vector_of(text, 8) for text in ("one", "two", "three")], dtype=np.float32)
    assert np.allclose(expected / np.linalg.norm(expected, axis=1, keepdims=True), vectors)
    assert [f"Bearer {SECRET}"] == server.keys
    assert [{"model": "mine", "input": ["one", "two", "three"], "encoding_format": "float"}] == server.requests


def test_a_smaller_dimension_is_asked_for_only_of_models_that_can() -> None:
    """A request to OpenAI's own models names the dimension when it is not the largest."""
    with embedder_for("ok", model="text-embedding-3-small", dimension=100) as (embedder, server, _):
        assert (1, 100) == embedder.embed(["text"]).shape
    assert 100 == server.requests[0]["dimensions"]


def test_a_large_batch_becomes_several_requests() -> None:
    """No request is larger than the service takes."""
    with embedder_for("ok") as (embedder, server, _):
        assert (5, 8) == embedder.embed(["x" * 250_000] * 5).shape
    assert [2, 2, 1] == [len(body["input"]) for body in server.requests]


def test_what_may_pass_is_asked_again() -> None:
    """429, a dropped connection and 500 are retried: after Retry-After, else after longer and longer."""
    with embedder_for("flaky") as (embedder, server, waited):
        assert (1, 8) == embedder.embed(["text"]).shape
    assert 4 == len(server.requests)
    assert [0.01, 1.0, 2.0] == waited
    assert Unserved(limited=1, failed=2) == embedder.unserved


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("429", r"answered 429: this service answers 429 \(asked 3 times\)"),
        ("500", r"answered 500: this service answers 500 \(asked 3 times\)"),
        ("drop", r"could not be reached or hung up: .* \(asked 3 times\)"),
        ("hang", r"did not answer within 0.1 s \(asked 3 times\)"),
        ("half", r"answered with half a document \(asked 3 times\)"),
    ],
)
def test_what_does_not_pass_is_a_service_that_is_down(behaviour: str, message: str) -> None:
    """After the configured repeats it is exit code 8, safe to repeat; every call was really made."""
    with embedder_for(behaviour, retries=2, timeout=0.1 if behaviour == "hang" else 5) as (embedder, server, waited):
        with pytest.raises(ServiceDown, match=message) as caught:
            embedder.embed(["text"])
        assert (3, 2) == (len(server.requests), len(waited))
    assert not isinstance(caught.value, ProviderRefused)
    assert 8 == caught.value.exit_code


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("401", "answered 401"),
        ("403", "answered 403"),
        ("404", "answered 404"),
        ("quota", "answered 429: You have run out of money"),
        ("dimension", "answered with vectors of 3 numbers, not 8"),
    ],
)
def test_a_final_no_is_not_asked_again(behaviour: str, message: str) -> None:
    """A wrong key, an unknown model, a used-up quota and a wrong dimension are refused at the first answer."""
    with embedder_for(behaviour) as (embedder, server, waited):
        with pytest.raises(ProviderRefused, match=message):
            embedder.embed(["text"])
        assert (1, []) == (len(server.requests), waited)


def test_nobody_listening_is_a_service_that_is_down() -> None:
    """An address where nobody listens is a service that is down."""
    with embedder_for("ok", retries=0) as (embedder, _, _):
        pass
    with pytest.raises(ServiceDown, match=r"could not be reached or hung up: .*\(asked once\)"):
        embedder.embed(["text"])


def test_a_blank_text_is_never_sent() -> None:
    """A blank text is refused before anything is spent."""
    with embedder_for("ok") as (embedder, server, _):
        with pytest.raises(DocumentInvalid):
            embedder.embed(["text", " "])
        assert [] == server.requests


def test_the_key_is_in_no_message_and_no_representation() -> None:
    """A service that repeats the key in its refusal does not get it shown (rule 7 of the house)."""
    with embedder_for("echo") as (embedder, _, _):
        with pytest.raises(ProviderRefused, match=r"Incorrect API key: Bearer \*\*\*") as caught:
            embedder.embed(["text"])
        shown = (
            repr(embedder)
            + repr(vars(embedder))
            + repr(vars(embedder._service))
            + repr(caught.value)
            + caught.value.what
            + caught.value.hint
        )
    assert SECRET not in shown


def test_the_service_runs_as_a_process() -> None:
    """End-to-end tests start the service by its path and read its port."""
    command = [sys.executable, embedding_server.__file__, "--behaviour", "429", "--failures", "2", "--dimension", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
            flags = {"provider": "openai", "base_url": address, "model": "mine", "dimension": 8}
            config = load_config({f"embed.{key}": value for key, value in flags.items()}, Path("/"))
            load_embedder(config).probe()
        finally:
            process.kill()

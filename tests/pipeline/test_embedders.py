"""One contract for every provider; a wrong model or dimension is refused before anything is sent."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailblazer.config import Config, load_config
from trailblazer.errors import ConfigWrong, DocumentInvalid
from trailblazer.pipeline.embedders import Embedder, check_ready, identify, load_embedder, vector_of
from trailblazer.pipeline.embedders.local import LocalEmbedder, read_safetensors
from trailblazer.pipeline.embedders.minilm import gelu

LOCAL = load_embedder(load_config(start=Path("/")))


def configured(**embed: Any) -> Config:
    """Return a configuration with these embed.* keys."""
    return load_config({f"embed.{key}": value for key, value in embed.items()}, Path("/"))


def test_the_local_embedder_makes_unit_vectors_of_its_dimension() -> None:
    """Vectors are float32, of length 1, one for each text, and the embedder names its model (E12)."""
    vectors = LOCAL.embed(["How do I bake bread?", "def f(x): return x", "日本語"])
    assert (3, 256) == vectors.shape
    assert np.float32 == vectors.dtype
    assert np.allclose(1, np.linalg.norm(vectors, axis=1))
    assert ("local", "l2-supercat-256", 256) == (LOCAL.provider, LOCAL.model, LOCAL.dimension)


def test_the_local_embedder_finds_what_is_alike() -> None:
    """A question is nearer to its answer than to another text."""
    question, answer, other = LOCAL.embed(
        ["how do I bake bread", "Knead the dough and put the loaf into the oven.", "The lawyer signed the contract."]
    )
    assert question @ answer > question @ other


@settings(deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda text: not text.isspace()), min_size=1, max_size=8))
def test_a_vector_depends_on_its_text_alone(texts: list[str]) -> None:
    """A text has the same vector in any batch, whatever stands beside it, control words too."""
    texts = [text.encode("utf-8", "replace").decode() for text in [*texts, "<s>a</s>", "<unk>"]]
    together = LOCAL.embed(texts)
    alone = np.concatenate([LOCAL.embed([text]) for text in texts])
    assert np.array_equal(together, alone)


def test_a_vector_is_the_mean_of_its_tokens() -> None:
    """The fast computation by different tokens gives the mean over all tokens."""
    assert isinstance(LOCAL, LocalEmbedder)
    text = "the cat and the dog and the <s> bird " * 9
    tokens = LOCAL._tokenizer.encode_ordinary(text)[1:]
    mean = LOCAL._weights[tokens].mean(axis=0)
    assert np.allclose(mean / np.linalg.norm(mean), LOCAL.embed([text])[0], atol=1e-6)


def test_a_smaller_dimension_is_the_beginning_of_the_larger() -> None:
    """Dimensions 64 and 128 of the local model are cut from the 256, and scaled to length 1 again."""
    small = load_embedder(configured(dimension=64)).embed(["some text"])[0]
    large = LOCAL.embed(["some text"])[0][:64]
    assert np.allclose(large / np.linalg.norm(large), small, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1).filter(lambda text: not text.isspace()), st.sampled_from([64, 128, 256]))
def test_the_vector_of_a_question_is_that_of_the_text(text: str, dimension: int) -> None:
    """A question is embedded without numpy and with another table, and has the vector of the same text (E12)."""
    config = configured(dimension=dimension)
    asked = vector_of(config, text)
    expected = LOCAL.embed([text])[0, :dimension]
    length = np.linalg.norm(expected)
    assert np.allclose(json.loads(asked.literal), expected / length if length else expected, atol=1e-6)
    assert ("local", "l2-supercat-256", dimension) == (asked.provider, asked.model, asked.dimension)


@pytest.mark.parametrize("text", ["<s> </s> <unk>", "<|im_start|>[INST]", "a  b\t\n", "▁", "\u0301é"])
def test_control_words_in_a_question_are_text(text: str) -> None:
    """What a tokenizer could take for a control word is text in both tables."""
    assert np.allclose(json.loads(vector_of(configured(), text).literal), LOCAL.embed([text])[0], atol=1e-6)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_blank_text_is_refused(text: str) -> None:
    """A blank text has no vector; the message names its place in the batch."""
    with pytest.raises(DocumentInvalid, match="text 2 of 2 to embed is blank"):
        LOCAL.embed(["good", text])


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        ({"model": "gpt-4"}, "--model: the provider local has no model gpt-4"),
        ({"dimension": 384}, "--dimension: the model l2-supercat-256 makes no vectors of 384 numbers"),
        ({"provider": "minilm", "dimension": 256}, "makes no vectors of 256 numbers"),
        ({"provider": "openai", "model": "nope"}, "the provider openai has no model nope"),
        ({"provider": "openai", "dimension": 1537}, "makes no vectors of 1537 numbers"),
        (
            {"provider": "openai", "base_url": "http://localhost/v1", "model": "mine"},
            "the dimension of the model mine is not known yet",
        ),
    ],
)
def test_what_a_provider_does_not_have_is_refused(embed: dict[str, Any], message: str) -> None:
    """A wrong model or dimension is refused with exit code 3, without loading anything (E12, G5)."""
    with pytest.raises(ConfigWrong, match=message):
        identify(configured(**embed))


def test_an_extra_that_is_not_installed_says_how_to_install_it() -> None:
    """The provider minilm says how to install it, or loads."""
    config = configured(provider="minilm")
    try:
        embedder: Embedder = load_embedder(config)
    except ConfigWrong as trouble:
        assert "Run: scripts/bootstrap.sh minilm" == trouble.hint
    else:
        embedder.probe()


@pytest.mark.parametrize(
    ("key", "message"), [("", "OPENAI_API_KEY is not set"), ("sk-a b", "holds characters that no key has")]
)
def test_a_missing_key_is_found_without_a_call(monkeypatch: pytest.MonkeyPatch, key: str, message: str) -> None:
    """OpenAI's own address needs a key; a key that cannot be one is refused and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigWrong, match=message) as caught:
        check_ready(configured(provider="openai"))
    assert "sk-a" not in caught.value.what + caught.value.hint


def test_a_file_that_is_cut_short_is_no_weights(tmp_path: Path) -> None:
    """Weights that did not arrive whole are refused by name."""
    file = tmp_path / "weights.safetensors"
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + np.arange(4, dtype=np.float32).tobytes())
    assert [[0, 1], [2, 3]] == read_safetensors(file)["w"].tolist()
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(DocumentInvalid, match=r"weights\.safetensors is not a readable safetensors file"):
        read_safetensors(file)


def test_gelu_is_right_to_seven_digits() -> None:
    """The activation equals x times the normal distribution function."""
    import math

    points = np.linspace(-6, 6, 101, dtype=np.float32)
    exact = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in points.tolist()]
    assert np.allclose(exact, gelu(points), atol=1e-6)

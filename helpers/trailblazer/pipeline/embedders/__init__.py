"""The contract of an embedder, and the embedder that the configuration names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, DocumentInvalid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unserved:
    """How often a service answered 429 (`limited`) and failed by itself (`failed`); each request was sent again."""

    limited: int = 0
    failed: int = 0


class Embedder(Protocol):
    """Makes vectors of texts. It is loaded once per process and serves many runs."""

    @property
    def provider(self) -> str:
        """The name of the provider, as in the configuration."""

    @property
    def model(self) -> str:
        """The name of the model at that provider."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer of the model."""

    @property
    def tokenizer_version(self) -> str:
        """The version of the tokenizer."""

    @property
    def unserved(self) -> Unserved:
        """How often the service did not serve, since the embedder was made."""

    @property
    def batches_ahead(self) -> int:
        """How many batches may be made before they are asked for; 0 where a batch costs money or much time."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, float32 of shape (texts, dimension), each of length 1.

        A blank text is refused with DocumentInvalid before anything is sent. A service that does not answer is
        ServiceDown (a retry may help), a service that refuses for good is ProviderRefused.
        """

    def probe(self) -> None:
        """Make one small vector and check its dimension; raises what embed raises."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes the vectors. Vectors of two identities cannot be compared."""

    provider: str
    model: str
    dimension: int
    tokenizer_name: str
    tokenizer_version: str


@dataclass(frozen=True, slots=True)
class AskedVector:
    """The vector of a question, and the model that made it.

    `literal` is the vector as Postgres reads it, such as [0.25,-1]. `floor` is the cosine similarity from which on two
    texts have to do with each other; -1 where nobody has measured it.
    """

    provider: str
    model: str
    dimension: int
    literal: str
    floor: float


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a provider: the dimension of its vectors, and the smaller dimensions that they can be cut to.

    `floors` has the floor of an AskedVector for each dimension.
    """

    dimension: int
    smaller: frozenset[int] = frozenset()
    floors: Mapping[int, float] = field(default_factory=dict)

    def has(self, dimension: int) -> bool:
        """Return whether the model makes vectors of that many numbers."""
        return dimension == self.dimension or dimension in self.smaller


_MODULES = {
    "local": "trailblazer.pipeline.embedders.local",
    "minilm": "trailblazer.pipeline.embedders.minilm",
    "openai": "trailblazer.pipeline.embedders.openai",
}


def identify(config: Config) -> Identity:
    """Return what makes the vectors by the configuration, without loading it.

    A model or dimension that the provider does not have is refused with ConfigWrong.
    """
    found: Identity = _provider(config).identify(config)
    return found


def check_ready(config: Config) -> Identity:
    """Return the identity of the configured embedder. If it cannot be loaded here, refuse with ConfigWrong.

    Missing weights and a missing key are found without loading anything and without a call.
    """
    found: Identity = _provider(config).check_ready(config)
    return found


def learn_dimension(config: Config) -> None:
    """Ask the provider for the dimension of its model, and keep it in var/, when nothing says it yet.

    Most models are known and nothing is sent. A service that does not answer is ServiceDown.
    """
    _provider(config).learn_dimension(config)


def load_embedder(config: Config) -> Embedder:
    """Return the configured embedder, loaded, after learn_dimension. It refuses what check_ready refuses."""
    embedder: Embedder = _provider(config).load(config)
    return embedder


def vector_of(config: Config, question: str) -> AskedVector:
    """Return the vector of one question. It refuses what load_embedder and Embedder.embed refuse.

    A provider that can do so without loading all that it needs for many texts has a `vector_of` of its own.
    """
    provider = _provider(config)
    if hasattr(provider, "vector_of"):
        vector: AskedVector = provider.vector_of(config, question)
        return vector
    embedder: Embedder = provider.load(config)
    numbers = embedder.embed([question])[0].tolist()
    return asked_vector(embedder, numbers, getattr(provider, "MODELS", {}))


def asked_vector(made_by: Identity | Embedder, numbers: Sequence[float], models: Mapping[str, Model]) -> AskedVector:
    """Return the vector of a question as it is asked for."""
    model = models.get(made_by.model)
    floor = model.floors.get(made_by.dimension, -1.0) if model else -1.0
    return AskedVector(made_by.provider, made_by.model, made_by.dimension, f"[{','.join(map(repr, numbers))}]", floor)


def _provider(config: Config) -> Any:
    return importlib.import_module(_MODULES[config["embed.provider"]])


def choose_model(config: Config, models: Mapping[str, Model], default: str) -> tuple[str, int]:
    """Return the configured model and dimension. An unknown one is refused with ConfigWrong, which lists the known."""
    name = config["embed.model"] or default
    if name not in models:
        raise ConfigWrong(
            f"{config.settings['embed.model'].origin}: the provider {config['embed.provider']} has no model {name}",
            f"It has: {', '.join(models)}.",
        )
    model = models[name]
    dimension = config["embed.dimension"] or model.dimension
    if not model.has(dimension):
        known = ", ".join(str(size) for size in sorted({model.dimension, *model.smaller})[-8:])
        raise ConfigWrong(
            f"{config.settings['embed.dimension'].origin}: the model {name} makes no vectors of {dimension} numbers",
            f"It makes vectors of: {known}.",
        )
    return name, dimension


def refuse_blank(texts: Sequence[str]) -> None:
    """Refuse a batch with a blank text (DocumentInvalid): a blank text has no vector."""
    for position, text in enumerate(texts):
        if not text or text.isspace():
            raise DocumentInvalid(
                f"text {position + 1} of {len(texts)} to embed is blank", "Chunk the run again: trailblazer chunk."
            )

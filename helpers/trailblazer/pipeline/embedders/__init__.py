"""Who makes vectors: one contract, and the provider that the configuration names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, DocumentInvalid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Makes vectors of texts; loaded once a process and used for many runs."""

    @property
    def provider(self) -> str:
        """The provider's name, as in the configuration."""

    @property
    def model(self) -> str:
        """The model's name at that provider."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    @property
    def tokenizer_name(self) -> str:
        """What cuts texts into the tokens that the model reads."""

    @property
    def tokenizer_version(self) -> str:
        """The version of that."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, float32 of shape (texts, dimension), each of length 1.

        A blank text is refused with DocumentInvalid before anything is spent. A service that does not answer
        is ServiceDown (repeat it), one that says no for good ProviderRefused.
        """

    def probe(self) -> None:
        """Make one small vector and hold it against the dimension, or raise what embed would raise."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What vectors are made with; vectors of two identities cannot be compared."""

    provider: str
    model: str
    dimension: int
    tokenizer_name: str
    tokenizer_version: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider has: its own dimension, and the smaller ones it can be cut to."""

    dimension: int
    smaller: frozenset[int] = frozenset()

    def has(self, dimension: int) -> bool:
        """Say whether the model makes vectors of that many numbers."""
        return dimension == self.dimension or dimension in self.smaller


_MODULES = {
    "local": "trailblazer.pipeline.embedders.local",
    "minilm": "trailblazer.pipeline.embedders.minilm",
    "openai": "trailblazer.pipeline.embedders.openai",
}


def identify(config: Config) -> Identity:
    """Return what the configured embedder makes vectors with, without loading it.

    A model or dimension that the provider does not have is refused with ConfigWrong.
    """
    found: Identity = _provider(config).identify(config)
    return found


def check_ready(config: Config) -> Identity:
    """Return the identity of the configured embedder, or refuse with ConfigWrong what it lacks to be loaded here.

    Weights that are not installed or a key that is not set are found without loading and without a call.
    """
    found: Identity = _provider(config).check_ready(config)
    return found


def load_embedder(config: Config) -> Embedder:
    """Return the configured embedder, loaded; refuses what check_ready refuses."""
    embedder: Embedder = _provider(config).load(config)
    return embedder


def _provider(config: Config) -> Any:
    return importlib.import_module(_MODULES[config["embed.provider"]])


def choose_model(config: Config, models: Mapping[str, Model], default: str) -> tuple[str, int]:
    """Return the model and dimension asked for, or refuse them with ConfigWrong, naming what there is."""
    name = config["embed.model"] or default
    if name not in models:
        raise ConfigWrong(
            f"{config.settings['embed.model'].origin}: the provider {config['embed.provider']} has no model {name}",
            f"It has: {', '.join(models)}.",
        )
    model = models[name]
    dimension = config["embed.dimension"] or model.dimension
    if not model.has(dimension):
        known = ", ".join(str(known) for known in sorted({model.dimension, *model.smaller})[-8:])
        raise ConfigWrong(
            f"{config.settings['embed.dimension'].origin}: the model {name} makes no vectors of {dimension} numbers",
            f"It makes vectors of: {known}.",
        )
    return name, dimension


def refuse_blank(texts: Sequence[str]) -> None:
    """Refuse with DocumentInvalid a batch in which a text is blank: it has no vector."""
    for position, text in enumerate(texts):
        if not text or text.isspace():
            raise DocumentInvalid(
                f"text {position + 1} of {len(texts)} to embed is blank", "Chunk the run again: trailblazer chunk."
            )

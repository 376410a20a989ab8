"""The provider `openai`: any model at any address that speaks OpenAI's embeddings protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, ProviderRefused
from trailblazer.pipeline.embedders import Identity, Model, Unserved, choose_model, refuse_blank
from trailblazer.pipeline.embedders.dimensions import dimension_file, keep_dimension, read_dimension
from trailblazer.pipeline.embedders.service import KEY, EmbeddingsService, read_key
from trailblazer.plain import is_text

if TYPE_CHECKING:
    from trailblazer.pipeline.embedders import Vectors

MODELS = {
    "text-embedding-3-small": Model(1536, frozenset(range(1, 1536))),
    "text-embedding-3-large": Model(3072, frozenset(range(1, 3072))),
    "text-embedding-ada-002": Model(1536),
}
_DEFAULT = "text-embedding-3-small"
_OWN_HOST = "api.openai.com"
# One request may hold 300,000 tokens. No text has more tokens than bytes, nearly all have a quarter.
_CHARACTERS_PER_REQUEST = 600_000
LARGEST = 16_000  # numbers in a vector that pgvector stores


def identify(config: Config) -> Identity:
    """Return the configured model and dimension. A model of another service has the dimension that was kept.

    When neither the configuration nor var/ has the dimension, ConfigWrong says how to get it.
    """
    if not _is_of_another_service(config):
        model, own_dimension = choose_model(config, MODELS, _DEFAULT)
        return Identity("openai", model, own_dimension, "cl100k_base", "of-the-service")
    if problem := _problem_of_model(config):
        raise problem
    name, url = config["embed.model"], config["embed.base_url"]
    dimension: int | None = config["embed.dimension"] or read_dimension(config.places, url, name)
    if not dimension:
        raise ConfigWrong(
            f"the dimension of the model {name} is not known yet",
            "`trailblazer embed plan-preflight` asks the service for it once. Or set embed.dimension.",
        )
    return Identity("openai", name, dimension, "of-the-service", "unknown")


def check_ready(config: Config) -> Identity:
    """Return the identity. A wrong address, and a key that is missing or cannot be a key, are ConfigWrong."""
    identity = identify(config)
    if problem := _problem_of_access(config):
        raise problem
    return identity


def learn_dimension(config: Config) -> None:
    """Ask the service for the dimension of its model and keep it, when neither the configuration nor var/ has it.

    The service gets one request with one word. When it does not answer: ServiceDown, or ProviderRefused. A
    configuration that check_ready refuses is left to check_ready: nothing is sent.
    """
    url, model = config["embed.base_url"], config["embed.model"]
    if not _is_of_another_service(config) or config["embed.dimension"]:
        return
    if _problem_of_model(config) or _problem_of_access(config) or read_dimension(config.places, url, model):
        return
    dimension = int(_service(config).vectors_of(model, ["probe"], {}).shape[1])
    if not 1 <= dimension <= LARGEST:
        raise ProviderRefused(
            f"the model {model} makes vectors of {dimension} numbers", f"The database stores 1 to {LARGEST:,} numbers."
        )
    keep_dimension(config.places, url, model, dimension)


def load(config: Config) -> OpenAIEmbedder:
    """Return the embedder. Nothing is sent before embed or probe, unless the dimension must be learned."""
    learn_dimension(config)
    identity = check_ready(config)
    kept = dimension_file(config.places, config["embed.base_url"], identity.model)
    is_kept = _is_of_another_service(config) and not config["embed.dimension"]
    hint = f"Remove {kept}: the dimension is asked for again." if is_kept else "Set embed.dimension to that number."
    return OpenAIEmbedder(identity, _service(config), hint)


def _is_of_another_service(config: Config) -> bool:
    """Return whether the model is one that OpenAI does not have, at an address that is not OpenAI's."""
    return bool(config["embed.model"]) and config["embed.model"] not in MODELS and _host(config) != _OWN_HOST


def _problem_of_model(config: Config) -> ConfigWrong | None:
    if is_text(config["embed.model"]):
        return None
    return ConfigWrong(f"{config.settings['embed.model'].origin}: embed.model is not text in UTF-8", "Check the name.")


def _problem_of_access(config: Config) -> ConfigWrong | None:
    """Return why nothing can be sent with this address and key, None when nothing is wrong."""
    if not _host(config):
        origin = config.settings["embed.base_url"].origin
        return ConfigWrong(f"{origin}: embed.base_url is not an address", "For example https://host/v1.")
    key = read_key()
    if not key and _host(config) == _OWN_HOST:
        return ConfigWrong(f"{KEY} is not set", f"Put the key of {_OWN_HOST} into the environment, never into a file.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        return ConfigWrong(f"{KEY} holds characters that no key has", "Copy the key again.")
    return None


def _host(config: Config) -> str:
    """Return the host of embed.base_url, "" when it is not an address."""
    try:
        address = urlsplit(config["embed.base_url"])
        return "" if address.port == 0 else address.hostname or ""
    except ValueError:
        return ""


def _service(config: Config) -> EmbeddingsService:
    return EmbeddingsService(
        config["embed.base_url"], timeout=config["embed.timeout_seconds"], retries=config["embed.max_retries"]
    )


class OpenAIEmbedder:
    """Makes vectors with an embeddings service, and checks each answer before it is used."""

    provider = "openai"
    batches_ahead = 0  # each is paid for: one that is not stored is spent in vain

    def __init__(self, identity: Identity, service: EmbeddingsService, hint: str = "") -> None:
        self.model = identity.model
        self.dimension = identity.dimension
        self.tokenizer_name = identity.tokenizer_name
        self.tokenizer_version = identity.tokenizer_version
        self._service = service
        self._hint = hint
        known = MODELS.get(self.model)
        self._options = {} if known is None or self.dimension == known.dimension else {"dimensions": self.dimension}

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model!r}, {self.dimension}, {self._service.where!r})"

    @property
    def unserved(self) -> Unserved:
        """How often the service did not serve."""
        return self._service.unserved

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, shape (texts, dimension), each of length 1.

        Blank texts are refused with DocumentInvalid, vectors of another dimension with ProviderRefused. A service
        that does not answer is ServiceDown.
        """
        import numpy as np

        refuse_blank(texts)
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = np.concatenate([self._checked(part) for part in _requests(texts)])
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(length).all() or not length.all():
            what = "answered with a vector that is zero or holds no numbers"
            raise ProviderRefused(f"{self._service.where} {what}", "Check that service and its model.")
        vectors /= length
        return vectors

    def probe(self) -> None:
        """Ask for the vector of one word, which costs next to nothing."""
        self.embed(["probe"])

    def _checked(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of one request, shape (texts, dimension), or refuse another dimension."""
        vectors = self._service.vectors_of(self.model, texts, self._options)
        if vectors.shape[1] != self.dimension:
            raise ProviderRefused(
                f"{self._service.where} answered with vectors of {vectors.shape[1]} numbers, not {self.dimension}",
                f"Nothing was stored. {self._hint}",
            )
        return vectors


def _requests(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in parts that fit into one request each."""
    start = size = 0
    for position, text in enumerate(texts):
        if size and size + len(text) > _CHARACTERS_PER_REQUEST:
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    yield texts[start:]

"""The provider `openai`: any address that speaks OpenAI's embeddings protocol."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, ProviderRefused, ServiceDown, Trouble
from trailblazer.pipeline.embedders import Identity, Model, choose_model, refuse_blank
from trailblazer.plain import one_line

if TYPE_CHECKING:
    import httpx

    from trailblazer.pipeline.embedders import Vectors

KEY = "OPENAI_API_KEY"
MODELS = {
    "text-embedding-3-small": Model(1536, frozenset(range(1, 1536))),
    "text-embedding-3-large": Model(3072, frozenset(range(1, 3072))),
    "text-embedding-ada-002": Model(1536),
}
_DEFAULT = "text-embedding-3-small"
_OWN_HOST = "api.openai.com"
# One request may hold 300,000 tokens; no text has more tokens than bytes, nearly all have a quarter.
_CHARACTERS_PER_REQUEST = 600_000
_LONGEST_WAIT = 120.0
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)


def identify(config: Config) -> Identity:
    """Return the model and dimension asked for; a model that is not OpenAI's own needs an embed.dimension."""
    name, dimension = config["embed.model"], config["embed.dimension"]
    if name and name not in MODELS and _host(config) != _OWN_HOST:
        if not dimension:
            raise ConfigWrong(
                f"embed.dimension is not set, and the model {name} is not one whose dimension is known",
                "Set embed.dimension to the numbers in a vector of that model.",
            )
        return Identity("openai", name, dimension, "of-the-service", "unknown")
    model, dimension = choose_model(config, MODELS, _DEFAULT)
    return Identity("openai", model, dimension, "cl100k_base", "of-the-service")


def check_ready(config: Config) -> Identity:
    """Return the identity; an address that is none, and a key that is not set or cannot be one, are ConfigWrong."""
    identity = identify(config)
    if not _host(config):
        raise ConfigWrong(
            f"{config.settings['embed.base_url'].origin}: embed.base_url is no address", "For example https://host/v1."
        )
    key = _key()
    if not key and _host(config) == _OWN_HOST:
        raise ConfigWrong(f"{KEY} is not set", f"Put the key of {_OWN_HOST} into the environment, never into a file.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigWrong(f"{KEY} holds characters that no key has", "Copy it again.")
    return identity


def load(config: Config) -> OpenAIEmbedder:
    """Return the embedder; nothing is sent before embed or probe."""
    return OpenAIEmbedder(
        check_ready(config),
        config["embed.base_url"],
        timeout=config["embed.timeout_seconds"],
        retries=config["embed.max_retries"],
    )


def _key() -> str:
    return os.environ.get(KEY, "").strip()


def _host(config: Config) -> str:
    """Return the host of embed.base_url, or "" when it is no address."""
    try:
        address = urlsplit(config["embed.base_url"])
        return "" if address.port == 0 else address.hostname or ""
    except ValueError:
        return ""


class OpenAIEmbedder:
    """Sends texts to an embeddings service; the key stays in the headers of its client and in no message."""

    provider = "openai"

    def __init__(
        self,
        identity: Identity,
        base_url: str,
        *,
        timeout: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.model = identity.model
        self.dimension = identity.dimension
        self.tokenizer_name = identity.tokenizer_name
        self.tokenizer_version = identity.tokenizer_version
        address = urlsplit(base_url)
        self._where = f"{address.scheme}://{address.hostname}" + (f":{address.port}" if address.port else "")
        self._retries = retries
        self._timeout = timeout
        self._sleep = sleep
        known = MODELS.get(self.model)
        self._cut = {} if known is None or self.dimension == known.dimension else {"dimensions": self.dimension}
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {_key()}"} if _key() else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        )

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model!r}, {self.dimension}, {self._where!r})"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, shape (texts, dimension), each of length 1.

        Blank texts are refused with DocumentInvalid. Answers 429 and 5xx, dropped connections, time-outs and
        answers that are cut short are repeated, then ServiceDown; every other no is ProviderRefused.
        """
        import numpy as np

        refuse_blank(texts)
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = np.concatenate([self._ask(part) for part in _requests(texts)])
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(length).all() or not length.all():
            raise ProviderRefused(f"{self._where} answered with vectors that are not numbers", "Look at that service.")
        vectors /= length
        return vectors

    def probe(self) -> None:
        """Ask for the vector of one word, which costs next to nothing."""
        self.embed(["probe"])

    def _ask(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of one request as they came, shape (texts, dimension)."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(texts)
            except _Again as again:
                if attempt > self._retries or again.wait > _LONGEST_WAIT:
                    times = "once" if attempt == 1 else f"{attempt} times"
                    raise ServiceDown(
                        f"{self._where} {again.what} (asked {times})",
                        "Nothing was stored of this batch; run the same command again later.",
                    ) from None
                self._sleep(again.wait or min(0.5 * 2 ** (attempt - 1), 30.0))

    def _once(self, texts: Sequence[str]) -> Vectors:
        import httpx

        body = {"model": self.model, "input": list(texts), "encoding_format": "float", **self._cut}
        try:
            answer = self._client.post("embeddings", json=body)
        except httpx.TimeoutException:
            raise _Again(f"did not answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise _Again(f"could not be reached or hung up: {self._scrubbed(str(error))}") from None
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer)
        try:
            document = answer.json()
        except ValueError:
            raise _Again("answered with half a document") from None
        return self._vectors(document, len(texts))

    def _refusal(self, answer: httpx.Response) -> Exception:
        """Return what an answer other than 200 comes to: ask again, or never."""
        said, code = self._scrubbed(_message(answer)), _error_code(answer)
        what = f"answered {answer.status_code}" + (f": {said}" if said else "")
        if answer.status_code in _AGAIN and code != "insufficient_quota":
            return _Again(what, _retry_after(answer.headers.get("Retry-After")))
        hint = {
            401: f"Set {KEY} to a valid key.",
            403: f"The key in {KEY} may not use this model.",
            404: f"Look at embed.base_url and embed.model ({self.model}).",
            429: "The account's quota is used up; nothing was stored of this batch.",
        }
        return ProviderRefused(f"{self._where} {what}", hint.get(answer.status_code, "Look at embed.* in the config."))

    def _vectors(self, document: Any, count: int) -> Vectors:
        import numpy as np

        try:
            entries = sorted(document["data"], key=lambda entry: int(entry["index"]))
            found = [entry["embedding"] for entry in entries]
            sizes = {len(vector) for vector in found}
            if len(found) != count or [int(entry["index"]) for entry in entries] != list(range(count)):
                raise ProviderRefused(f"{self._where} answered with {len(found)} vectors for {count} texts")
            if sizes != {self.dimension}:
                told = " and ".join(str(size) for size in sorted(sizes))
                raise ProviderRefused(
                    f"{self._where} answered with vectors of {told} numbers, not {self.dimension}",
                    f"Set embed.dimension to what the model {self.model} makes; nothing was stored.",
                )
            return np.array(found, dtype=np.float32)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProviderRefused(
                f"{self._where} did not answer as an embeddings service does", "Look at embed.base_url."
            ) from error

    def _scrubbed(self, text: str) -> str:
        key = _key()
        return one_line(text.replace(key, "***") if key else text, 200)


class _Again(Trouble):
    """This call may go well when it is repeated, after `wait` seconds where the service says so."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


def _requests(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for position, text in enumerate(texts):
        if size and size + len(text) > _CHARACTERS_PER_REQUEST:
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    yield texts[start:]


def _message(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return ""


def _error_code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _retry_after(told: str | None) -> float:
    """Return the seconds that a Retry-After header asks to wait: a number, or a date; 0 for neither."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    if not told:
        return 0.0
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0

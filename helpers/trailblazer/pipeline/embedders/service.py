"""An embeddings service that speaks OpenAI's protocol: one request, its retries, and what its refusals mean."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trailblazer.errors import ProviderRefused, ServiceDown, Trouble
from trailblazer.pipeline.embedders import Unserved
from trailblazer.plain import one_line
from trailblazer.schemas import parse_json

if TYPE_CHECKING:
    import httpx

    from trailblazer.pipeline.embedders import Vectors

KEY = "OPENAI_API_KEY"
_LONGEST_WAIT = 120.0
_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 529)


def read_key() -> str:
    """Return the key of the service from the environment, "" when it is not set."""
    return os.environ.get(KEY, "").strip()


class EmbeddingsService:
    """Sends texts to an embeddings service. The key stays in the headers of the client and is in no message."""

    def __init__(
        self, base_url: str, *, timeout: float, retries: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        import httpx

        address = urlsplit(base_url)
        self.where = f"{address.scheme}://{address.hostname}" + (f":{address.port}" if address.port else "")
        self._retries = retries
        self._timeout = timeout
        self._sleep = sleep
        self.unserved = Unserved()
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {read_key()}"} if read_key() else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        )

    def vectors_of(self, model: str, texts: Sequence[str], options: dict[str, Any]) -> Vectors:
        """Return the vectors of the texts as the service sent them, shape (texts, dimension of the model).

        `options` are further fields of the request. Answers 429 and 5xx, dropped connections, time-outs and torn
        answers are retried, then ServiceDown; every other refusal is ProviderRefused.
        """
        request = {"model": model, "input": list(texts), "encoding_format": "float", **options}
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._vectors(self._answer(request), len(texts))
            except _RetryLater as failure:
                seen = self.unserved
                self.unserved = Unserved(seen.limited + failure.is_limit, seen.failed + (not failure.is_limit))
                if attempt > self._retries or failure.wait > _LONGEST_WAIT:
                    times = "once" if attempt == 1 else f"{attempt} times"
                    raise ServiceDown(
                        f"{self.where} {failure.what} (asked {times})",
                        "Nothing of this batch was stored. Run the same command again later.",
                    ) from None
                self._sleep(failure.wait or min(0.5 * 2 ** (attempt - 1), 30.0))

    def _answer(self, request: dict[str, Any]) -> Any:
        """Return the document that the service answers one request with."""
        import httpx

        try:
            answer = self._client.post("embeddings", json=request)
        except httpx.TimeoutException:
            raise _RetryLater(f"did not answer within {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise _RetryLater(f"could not be reached or hung up: {self._scrubbed(str(error))}") from None
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer, request["model"])
        try:
            return parse_json(answer.content)
        except ValueError:
            raise _RetryLater("answered with half a document") from None

    def _refusal(self, answer: httpx.Response, model: str) -> Exception:
        """Return what an answer other than 200 means: retry later, or a final refusal."""
        import httpx

        message, code = _error_of(answer)
        message = self._scrubbed(message)
        what = f"answered {answer.status_code}" + (f": {message}" if message else "")
        if answer.status_code in _RETRIED and code != "insufficient_quota":
            wait = _seconds_of(answer.headers.get("Retry-After"))
            return _RetryLater(what, wait, is_limit=answer.status_code == httpx.codes.TOO_MANY_REQUESTS)
        hint = {
            401: f"Set {KEY} to a valid key.",
            403: f"The key in {KEY} may not use this model.",
            404: f"Check embed.base_url and embed.model ({model}).",
            429: "The quota of the account is used up. Nothing of this batch was stored.",
        }
        return ProviderRefused(f"{self.where} {what}", hint.get(answer.status_code, "Check embed.* in the config."))

    def _vectors(self, document: Any, count: int) -> Vectors:
        import numpy as np

        try:
            entries = sorted(document["data"], key=lambda entry: int(entry["index"]))
            vectors = [entry["embedding"] for entry in entries]
            if len(vectors) != count or [int(entry["index"]) for entry in entries] != list(range(count)):
                raise ProviderRefused(f"{self.where} answered with {len(vectors)} vectors for {count} texts")
            sizes = sorted({len(vector) for vector in vectors})
            if len(sizes) != 1:
                several = " and ".join(map(str, sizes))
                raise ProviderRefused(f"{self.where} answered with vectors of {several} numbers in one answer")
            array = np.array(vectors, dtype=np.float32)
            if array.ndim != 2:
                raise ValueError("a vector is not a list of numbers")
            return array
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProviderRefused(
                f"{self.where} did not answer as an embeddings service does", "Check embed.base_url."
            ) from error

    def _scrubbed(self, text: str) -> str:
        key = read_key()
        return one_line(text.replace(key, "***") if key else text, 200)


class _RetryLater(Trouble):
    """A request that may succeed when it is sent again, after `wait` seconds if the service names them.

    `is_limit`: the service says that there are too many requests (429).
    """

    def __init__(self, what: str, wait: float = 0.0, *, is_limit: bool = False) -> None:
        super().__init__(what)
        self.wait, self.is_limit = wait, is_limit


def _error_of(answer: httpx.Response) -> tuple[str, str]:
    """Return message and code of a refusal, each "" when it has none."""
    try:
        error = parse_json(answer.content)["error"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    if not isinstance(error, dict):
        return str(error), ""
    return str(error.get("message") or ""), str(error.get("code") or "")


def _seconds_of(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After header asks to wait: a number or a date; 0 without a usable one."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0

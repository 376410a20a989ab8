"""Asks a health check in the manner of healthchecks.io at the start and at the end; one that is down is a warning."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

LIMIT_SECONDS = 10.0


class HealthCheck:
    """Asks ADDRESS/start, ADDRESS and ADDRESS/EXIT_CODE, with `rid` in the query. Without an address it does nothing.

    The address is a secret, as it lets anybody say that all is well: it is in no message.
    """

    def __init__(self, address: str | None, rid: str, warn: Callable[[str], None]) -> None:
        self._address, self._rid, self._warn = address, rid, warn
        self._asked: _Question | None = None

    def begin(self) -> None:
        """Say that a start begins. The answer is not waited for."""
        if self._address:
            self._asked = _Question(self._address, "start", self._rid)

    def end(self, exit_code: int) -> None:
        """Say how it ended, and wait for the answers. What went wrong is a warning."""
        if self._address:
            self._report(self._asked)
            self._report(_Question(self._address, "" if exit_code == 0 else str(exit_code), self._rid))

    def _report(self, question: _Question | None) -> None:
        wrong = question.wait() if question else ""
        if wrong:
            self._warn(f"the health check {wrong}")


class _Question:
    """One request, made by a thread. Nothing else is fetched: a redirection is not followed."""

    def __init__(self, address: str, suffix: str, rid: str) -> None:
        self._deadline = time.monotonic() + LIMIT_SECONDS
        self._wrong = ""
        self._thread = threading.Thread(target=self._ask, args=(address, suffix, rid), name="health check", daemon=True)
        self._thread.start()

    def wait(self) -> str:
        """Return what went wrong, or nothing. A server that sends a byte now and then cannot hold us."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        return f"did not answer within {LIMIT_SECONDS:g} s" if self._thread.is_alive() else self._wrong

    def _ask(self, address: str, suffix: str, rid: str) -> None:
        try:
            url = address_of(address, suffix, rid)
            request = urllib.request.Request(url, headers={"User-Agent": "trailblazer"})  # noqa: S310 - http or https, says the schema
            urllib.request.build_opener(_NoRedirection).open(request, timeout=2 * LIMIT_SECONDS).close()
        except urllib.error.HTTPError as error:
            self._wrong = f"answered {error.code}"
            error.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            self._wrong = f"could not be asked: {getattr(reason, 'strerror', None) or type(reason).__name__}"


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirection."""


def address_of(address: str, suffix: str, rid: str) -> str:
    """Return the address to ask: the suffix ends its path, and `rid` is added to its query."""
    parts = urllib.parse.urlsplit(address)
    path = parts.path.rstrip("/") + (f"/{suffix}" if suffix else "")
    query = "&".join(filter(None, [parts.query, f"rid={rid}"]))
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, query, ""))

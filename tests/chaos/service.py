"""An embeddings service that notices when two living processes ask for the same text at the same moment."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.embedding_server import EmbeddingServer, _Handler

PROBE = "probe"  # what a process asks for to learn the dimension of a model


class WatchingServer(EmbeddingServer):
    """Answers after `delay` seconds. `doubled` holds the texts that were asked for twice at once."""

    def __init__(self, delay: float) -> None:
        super().__init__("ok")
        self.RequestHandlerClass = _WatchingHandler
        self.pause = delay
        self.doubled: list[str] = []
        self._asked_now: dict[str, list[socket.socket]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def answering(self, texts: list[str], asker: socket.socket) -> Iterator[None]:
        """Hold texts as asked for until the block ends."""
        with self._lock:
            for text in texts:
                if text != PROBE and any(_is_open(other) for other in self._asked_now[text]):
                    self.doubled.append(text)
                self._asked_now[text].append(asker)
        try:
            yield
        finally:
            with self._lock:
                for text in texts:
                    self._asked_now[text].remove(asker)


class _WatchingHandler(_Handler):
    server: WatchingServer

    def _answer_vectors(self, body: dict[str, Any], behaviour: str) -> None:
        with self.server.answering(body["input"], self.connection):
            time.sleep(self.server.pause)
            super()._answer_vectors(body, behaviour)


def _is_open(asker: socket.socket) -> bool:
    """Say whether whoever asked still waits for the answer: the system closes the sockets of a killed process."""
    with contextlib.suppress(BlockingIOError):
        try:
            return asker.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except (ConnectionError, OSError) as error:
            if isinstance(error, BlockingIOError):
                raise
            return False
    return True


@contextmanager
def watching(delay: float) -> Iterator[WatchingServer]:
    """Serve in a thread while the block runs."""
    server = WatchingServer(delay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

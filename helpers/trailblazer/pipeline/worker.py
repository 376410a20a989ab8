"""A warm worker process: loads the embedder once, then works on one group of runs after another.

Requests come on stdin and replies go to stdout, one JSON object a line; whatever else is printed goes to stderr.
It ends when stdin does, and the system kills it when its dispatcher dies, whose pid is its only argument.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import BinaryIO

from trailblazer.errors import Trouble
from trailblazer.pipeline.answering import answers, trouble_reply
from trailblazer.pipeline.embedding import Embedding
from trailblazer.pipeline.messages import Reply, decode_request, encode_reply
from trailblazer.processes.marks import die_with

_RECORDED = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS", "TRACEPARENT")


def main() -> int:
    """Serve requests until stdin ends."""
    die_with(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    embedding: Embedding | None = None
    is_written = False
    for line in sys.stdin.buffer:
        request = decode_request(line)
        try:
            if embedding is None:
                embedding = Embedding(request.flags)
            if not is_written and any(task.do == "embed" for task in request.tasks):
                _write_environment(embedding)
                is_written = True
        except Trouble as trouble:
            for task in request.tasks:
                _send(replies, trouble_reply(task.run, trouble))
            continue
        said = _Said(replies, embedding)
        for reply in answers(embedding, request, said.progressed):
            said.say(reply)
    return 0


class _Said:
    """Sends replies, and remembers how far each run is: what was paid for is said even when the run fails."""

    def __init__(self, replies: BinaryIO, embedding: Embedding) -> None:
        self._replies, self._embedding = replies, embedding
        self._newest: dict[str, Reply] = {}
        self._unserved = embedding.unserved

    def progressed(self, reply: Reply) -> None:
        """Say how far a run is."""
        self._newest[reply.run] = reply
        self._send(reply)

    def say(self, reply: Reply) -> None:
        """Say what became of a run."""
        if reply.kind == "trouble" and (newest := self._newest.get(reply.run)):
            reply = replace(newest, kind="trouble", trouble=reply.trouble, what=reply.what, hint=reply.hint)
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        now, before = self._embedding.unserved, self._unserved
        self._unserved = now
        _send(self._replies, replace(reply, limited=now.limited - before.limited, failed=now.failed - before.failed))


def _send(replies: BinaryIO, reply: Reply) -> None:
    replies.write(encode_reply(reply))
    replies.flush()


def _write_environment(embedding: Embedding) -> None:
    """Write var/logs/embed_env.<PID>.json (E6): what this worker runs with, by an allow-list, never a secret."""
    from importlib.metadata import version

    from trailblazer.paths import timestamp
    from trailblazer.schemas import publish

    document = {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "startedOn": timestamp(),
        "python": sys.version.split()[0],
        "trailblazer": version("trailblazer"),
        "provider": embedding.embedder.provider,
        "model": embedding.embedder.model,
        "dimension": embedding.embedder.dimension,
        "batchSize": embedding.config["embed.batch_size"],
        "environment": {name: os.environ[name] for name in _RECORDED if name in os.environ},
    }
    publish("embed_env", document, embedding.config.places.logs / f"embed_env.{os.getpid()}.json")


if __name__ == "__main__":
    sys.exit(main())

"""A warm worker process: loads the embedder once, then works on one run after another.

Requests come on stdin and replies go to stdout, one JSON object a line; whatever else is printed goes to stderr.
It ends when stdin does, and the system kills it when its dispatcher dies, whose pid is its only argument.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import replace
from typing import BinaryIO

from trailblazer.errors import Trouble
from trailblazer.pipeline.embedders import Unserved
from trailblazer.pipeline.embedding import Embedding
from trailblazer.pipeline.messages import Reply, Task, decode_request, encode_reply
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
        for task in request.tasks:
            progress = _Progress(replies, task)
            try:
                if embedding is None:
                    embedding = Embedding(request.flags)
                progress.watch(embedding)
                if task.do == "embed" and not is_written:
                    _write_environment(embedding)
                    is_written = True
                reply = embedding.answer(request, task, progress)
            except Trouble as trouble:
                reply = _trouble(progress.newest, type(trouble).__name__, trouble.what, trouble.hint)
            except Exception as bug:  # noqa: BLE001 - one run's bug is that run's error; the traceback is in our stderr
                traceback.print_exc()
                reply = _trouble(progress.newest, "Trouble", f"a bug in the worker: {bug!r}")
            _send(replies, progress.counted(reply))
    return 0


class _Progress:
    """Says how far one run is, and remembers it: what was paid for is said even when the run fails."""

    def __init__(self, replies: BinaryIO, task: Task) -> None:
        self._replies, self.newest = replies, Reply(task.run)
        self._embedding: Embedding | None = None
        self._before = Unserved()

    def watch(self, embedding: Embedding) -> None:
        """Count from now on how often the service does not serve."""
        self._embedding, self._before = embedding, embedding.unserved

    def __call__(self, reply: Reply) -> None:
        self.newest = reply
        _send(self._replies, self.counted(reply))

    def counted(self, reply: Reply) -> Reply:
        """Return a reply with how often the service did not serve this task."""
        if self._embedding is None:
            return reply
        now, before = self._embedding.unserved, self._before
        return replace(reply, limited=now.limited - before.limited, failed=now.failed - before.failed)


def _trouble(newest: Reply, trouble: str, what: str, hint: str = "") -> Reply:
    return replace(newest, kind="trouble", trouble=trouble, what=what, hint=hint)


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

"""A warm worker process: loads the embedder once, then gates and embeds one run after another as it is told.

Requests come on stdin and replies go to stdout, one JSON object a line; whatever else is printed goes to stderr.
It ends when stdin does, so it never outlives its dispatcher.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from trailblazer.errors import Trouble
from trailblazer.pipeline.embedding import Embedding

_RECORDED = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS", "TRACEPARENT")


def main() -> int:
    """Serve requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    embedding: Embedding | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if embedding is None:
                embedding = Embedding(request["flags"])
                _write_environment(embedding)
            reply = embedding.answer(request)
        except Trouble as trouble:
            reply = {"trouble": type(trouble).__name__, "what": trouble.what, "hint": trouble.hint}
        except Exception as bug:  # noqa: BLE001 - one run's bug is that run's error; the traceback is in our stderr
            traceback.print_exc()
            reply = {"trouble": "Trouble", "what": f"a bug in the worker: {bug!r}", "hint": ""}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    return 0


def _write_environment(embedding: Embedding) -> None:
    """Write var/logs/embed_env.<PID>.json (E6): what this worker runs with, by an allow-list, never a secret."""
    from importlib.metadata import version

    from trailblazer.paths import timestamp
    from trailblazer.schemas import publish

    document: dict[str, Any] = {
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

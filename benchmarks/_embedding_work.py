"""The processes that benchmarks/embedding.py times: the embedder alone, and a worker of `trailblazer run`.

Run as `python _embedding_work.py alone|worker RUN...` in the folder of a project: it says `ready`, waits for a line,
works on the runs and prints seconds and processor seconds as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trailblazer.config import load_config
from trailblazer.database import claims
from trailblazer.database.connection import connect
from trailblazer.pipeline.documents import NORMALIZED, read_documents
from trailblazer.pipeline.embedders import load_embedder
from trailblazer.pipeline.messages import Request, Task, decode_reply, encode_request
from trailblazer.processes.identity import holder_name

WARM_UPS = {"part-0": "warm-up-0", "part-1": "warm-up-1"}  # what a process begins with, by its first run
BATCH = 256  # the default of embed.batch_size
LIMIT = 60.0  # seconds for a worker to end


def alone(rids: Sequence[str]) -> None:
    """Embed the chunks of some runs in memory."""
    texts = [text for rid in rids for text in json.loads(Path(f"{rid}.json").read_text())]
    embedder = load_embedder(load_config())
    documents = read_documents(Path("var/runs") / WARM_UPS[rids[0]] / NORMALIZED)
    embedder.embed([document.text_md for document in documents])
    print("ready", flush=True)
    sys.stdin.readline()
    begin, processor = time.perf_counter(), time.process_time()
    for start in range(0, len(texts), BATCH):
        embedder.embed(texts[start : start + BATCH])
    print(json.dumps({"seconds": time.perf_counter() - begin, "processor": time.process_time() - processor}))


def worker_of_run(rids: Sequence[str]) -> None:
    """Have a worker of `trailblazer run` chunk and embed some runs, under claims."""
    command = [sys.executable, "-m", "trailblazer.pipeline.worker", str(os.getpid())]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.stdin is not None
    assert worker.stdout is not None

    def answered(task: Task) -> float:
        """Return the seconds that a worker needs for a task."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        begin = time.perf_counter()
        worker.stdin.write(encode_request(Request({}, holder_name(), (task,))))
        worker.stdin.flush()
        while (reply := decode_reply(worker.stdout.readline())).kind == "progress":
            pass
        reply.raise_trouble()
        return time.perf_counter() - begin

    def chunk_and_embed(rid: str) -> float:
        chunking = answered(Task("chunk", rid))
        claim = claims.take(connection, [rid], claims.Terms("embed", holder_name(), 600, again=True))[rid]
        assert isinstance(claim, claims.Claim)
        answered(Task("embed", rid, claim.attempt))
        return chunking

    def processor() -> float:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()

    with connect(load_config()) as connection:
        chunk_and_embed(WARM_UPS[rids[0]])
        print("ready", flush=True)
        sys.stdin.readline()
        begin, before = time.perf_counter(), processor()
        chunking = sum(chunk_and_embed(rid) for rid in rids)
        told = {"seconds": time.perf_counter() - begin, "processor": processor() - before, "chunking": chunking}
    print(json.dumps(told))
    worker.stdin.close()
    worker.wait(LIMIT)


if __name__ == "__main__":
    {"alone": alone, "worker": worker_of_run}[sys.argv[1]](sys.argv[2:])

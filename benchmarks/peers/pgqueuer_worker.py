"""PgQueuer with its worker; it speaks as benchmarks/claims.py expects.

Run as `python pgqueuer_worker.py install|fill COUNT|work SIZE`, with libpq's variables.
"""

import json
import sys
import time
from datetime import timedelta

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

PART = 20_000


async def main() -> None:
    """Do one of the three."""
    word, number = sys.argv[1], int(sys.argv[2])
    queries = Queries(AsyncpgDriver(await asyncpg.connect()))
    if word == "install":
        await queries.install()
    elif word == "fill":
        for start in range(0, number, PART):
            size = min(PART, number - start)
            await queries.enqueue(["work"] * size, [None] * size, [0] * size)
    else:
        await work(queries, number)


async def work(queries, size) -> None:
    """Empty the queue and print what it took."""
    count, first, last = 0, 0.0, 0.0
    manager = QueueManager(queries)

    @manager.entrypoint("work")
    async def nothing(_job) -> None:
        nonlocal count, last
        count += 1
        last = time.time()

    print("ready", flush=True)
    sys.stdin.readline()
    first = time.time()
    await manager.run(batch_size=size, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))
    print(json.dumps({"done": count, "first": first, "last": last}))


uvloop.run(main())

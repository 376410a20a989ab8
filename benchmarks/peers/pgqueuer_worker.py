"""PgQueuer with its worker, and with its statements alone; speaks as benchmarks/claims.py listens.

Run as `python pgqueuer_worker.py install|fill COUNT|worker SIZE|statements SIZE`, with libpq's variables.
"""

import json
import sys
import time
import uuid
from datetime import timedelta

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

PART = 20_000


async def main() -> None:
    """Do one of the four."""
    word, number = sys.argv[1], int(sys.argv[2])
    queries = Queries(AsyncpgDriver(await asyncpg.connect()))
    if word == "install":
        await queries.install()
    elif word == "fill":
        for start in range(0, number, PART):
            size = min(PART, number - start)
            await queries.enqueue(["work"] * size, [None] * size, [0] * size)
    else:
        await work(queries, word, number)


async def work(queries, word, size) -> None:
    """Empty the line and print what it took."""
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
    if word == "worker":
        await manager.run(batch_size=size, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))
    else:
        me, entry = uuid.uuid4(), {"work": EntrypointExecutionParameter(0)}
        while jobs := await queries.dequeue(size, entry, me, None, timedelta(minutes=10)):
            await queries.log_jobs([(job, "successful", None) for job in jobs])
            count += len(jobs)
            last = time.time()
    print(json.dumps({"done": count, "first": first, "last": last}))


uvloop.run(main())

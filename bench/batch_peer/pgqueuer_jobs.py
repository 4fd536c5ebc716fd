"""pgqueuer: no-op jobs, enqueued a thousand at a time, worked in batches until none is left."""

import asyncio
import json
import sys
import time

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

TOGETHER = 1000
BATCH = 100


async def install(url: str) -> None:
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def enqueue(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    started = time.time()
    for start in range(0, count, TOGETHER):
        n = min(TOGETHER, count - start)
        await queries.enqueue(["noop"] * n, [str(start + i).encode() for i in range(n)], [0] * n)
    print(json.dumps([started, time.time()]))
    await connection.close()


async def work(url: str) -> None:
    connection = await asyncpg.connect(url)
    manager = QueueManager(Queries(AsyncpgDriver(connection)))

    @manager.entrypoint("noop")
    async def noop(job: object) -> None:
        pass

    started = time.time()
    await manager.run(batch_size=BATCH, mode=QueueExecutionMode.drain)
    print(json.dumps([started, time.time()]))


if __name__ == "__main__":
    command, url, *rest = sys.argv[1:]
    if command == "install":
        asyncio.run(install(url))
    elif command == "enqueue":
        asyncio.run(enqueue(url, int(rest[0])))
    else:
        asyncio.run(work(url))

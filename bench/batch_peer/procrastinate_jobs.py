"""procrastinate: no-op jobs, deferred a thousand at a time, worked until none is left."""

import asyncio
import json
import sys
import time

import procrastinate

TOGETHER = 1000
CONCURRENCY = 20


def made(url: str) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=CONCURRENCY)
    app = procrastinate.App(connector=connector)

    @app.task(name="noop")
    async def noop(n: int) -> None:
        pass

    return app


async def install(url: str) -> None:
    async with made(url).open_async() as app:
        await app.schema_manager.apply_schema_async()


async def enqueue(url: str, count: int) -> None:
    async with made(url).open_async() as app:
        task = app.tasks["noop"]
        started = time.time()
        for start in range(0, count, TOGETHER):
            n = min(TOGETHER, count - start)
            await task.batch_defer_async(*({"n": start + i} for i in range(n)))
        print(json.dumps([started, time.time()]))


async def work(url: str) -> None:
    async with made(url).open_async() as app:
        started = time.time()
        await app.run_worker_async(
            wait=False, concurrency=CONCURRENCY, listen_notify=False, install_signal_handlers=False
        )
        print(json.dumps([started, time.time()]))


if __name__ == "__main__":
    command, url, *rest = sys.argv[1:]
    if command == "install":
        asyncio.run(install(url))
    elif command == "enqueue":
        asyncio.run(enqueue(url, int(rest[0])))
    else:
        asyncio.run(work(url))

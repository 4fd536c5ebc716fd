"""Webhooks a second, taken and applied, and where the CPU goes.

`python -m bench.throughput [alone] [queue] [front]`; all three without.

PostgreSQL waits for the disk at every commit. First the worker alone: its function in awslambdaric
behind the local Runtime API, from byte code, given batches of ten, the ways to do it in turns. Then
from a full queue of the emulator through the event source mapping. Then everything together: one
process of senders over kept connections, front and runner (this process), the handler's sandboxes,
the emulator, the worker's sandboxes, PostgreSQL, all on the same cores. CPU is what /proc says of
each part's processes. Every event that was answered with 200 is looked for afterwards.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import psycopg  # noqa: E402
import uvloop  # noqa: E402

from bench import alone, create, senders, stages  # noqa: E402
from bench.stages import HANDLER, WORKER, Clock, Spent, sandboxes, with_children  # noqa: E402
from local.clients import client  # noqa: E402
from local.front import Front  # noqa: E402
from local.invocation import REGION, Version  # noqa: E402
from local.routes import Route, RouteTable  # noqa: E402
from local.runtime import Runtime, Settings  # noqa: E402
from local.serving import bind, serve  # noqa: E402
from local.sources import Mapping as SourceMapping  # noqa: E402
from local.sources import Poller, Queue  # noqa: E402
from local.wire import Caller  # noqa: E402

QUEUED: Final = 6000
CONNECTIONS: Final = 8
WARM_UP: Final = 8.0
SECONDS: Final = 20.0
LONGEST: Final = 120.0
CONCURRENCY: Final = {"WEBHOOKS_CRITICAL": 4, "WEBHOOKS": 4, "WEBHOOKS_BULK": 2}
ACCEPTED_GOAL, APPLIED_GOAL = 300, 1000


class Deployed:
    """A source of functions: one version of each."""

    def __init__(self, *versions: Version) -> None:
        self._versions = {version.function: version for version in versions}

    async def routing(self, *_: str) -> Mapping[str, float]:
        return {"1": 1.0}

    async def version(self, function: str, _: str) -> Version:
        return self._versions[function]

    async def reserved_concurrency(self, *_: str) -> int | None:
        return 10


@asynccontextmanager
async def runner(
    source: Deployed, aws_url: str
) -> AsyncIterator[tuple[Runtime, Callable[[], None]]]:
    """The runtime, and what begins to poll the queues."""
    runtime = Runtime(source, Settings(create.RUNTIME), lambda *_: None)
    tasks: list[asyncio.Task[None]] = []
    caller = Caller(aws_url)

    def poll() -> None:
        for topic, most in CONCURRENCY.items():
            arn = f"arn:aws:sqs:{REGION}:000000000000:{stages.queue_name(topic)}"
            mapping = SourceMapping(
                arn, WORKER, "live", report_item_failures=True, maximum_concurrency=most
            )
            tasks.append(asyncio.create_task(Poller(mapping, Queue(caller, arn), runtime).run()))

    try:
        yield runtime, poll
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.stop()
        caller.close()


class Progress:
    """How many events are committed, looked at now and then."""

    def __init__(self, owner_url: str) -> None:
        self._connection = psycopg.connect(owner_url, autocommit=True)
        self.samples: list[tuple[float, int]] = []

    def look(self) -> int:
        row = self._connection.execute("select count(*) from ops.webhook_attempts").fetchone()
        assert row is not None
        self.samples.append((time.monotonic(), row[0]))
        return int(row[0])

    def slope(self, since: float) -> float:
        """Events a second, by least squares."""
        times, counts = zip(*((at, n) for at, n in self.samples if at >= since), strict=True)
        return statistics.linear_regression(times, counts).slope

    def states(self) -> dict[str, int]:
        query = "select status, count(*) from ops.webhook_events group by status order by status"
        return dict(self._connection.execute(query).fetchall())

    async def reach(self, count: int) -> None:
        deadline = time.monotonic() + LONGEST
        while self.look() < count:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{count - self.look()} of {count} events never came: {self.states()}"
                )
            await asyncio.sleep(0.5)


class Place(NamedTuple):
    """The parts that stay between the measurements."""

    aws_url: str
    emulator: int
    postgres: int
    versions: tuple[Version, Version]
    progress: Progress

    def groups(self, sender: int | None = None) -> dict[str, Callable[[], list[int]]]:
        return {
            "senders": lambda: [sender] if sender else [],
            "front and runner": lambda: [os.getpid()],
            "handler": lambda: sandboxes(HANDLER),
            "emulator": lambda: [self.emulator],
            "worker": lambda: sandboxes(WORKER),
            "PostgreSQL": lambda: with_children(self.postgres),
        }


async def from_a_full_queue(place: Place) -> list[str]:
    sqs = client("sqs", place.aws_url)
    url = stages.queues(place.aws_url)["WEBHOOKS_QUEUE_URL"]
    events = senders.events()
    for start in range(0, QUEUED, 10):
        entries = [
            {"Id": str(number), "MessageBody": alone.message(next(events))} for number in range(10)
        ]
        assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed"), start
    before = place.progress.look()
    async with runner(Deployed(*place.versions), place.aws_url) as (_, poll):
        poll()
        await place.progress.reach(before + QUEUED // 6)
        clock, first = Clock(place.groups()), place.progress.look()
        since = place.progress.samples[-1][0]
        await place.progress.reach(before + QUEUED * 5 // 6)
        spent = clock.read()
        done = place.progress.look() - first
        rate = place.progress.slope(since)
        await place.progress.reach(before + QUEUED)
    return [
        f"From a full queue of the emulator, four sandboxes: {rate:.0f}/s",
        *costs(spent.by_group, dict.fromkeys(spent.by_group, done)),
        "",
        spent.cores,
    ]


def costs(spent: Mapping[str, float], events: Mapping[str, int]) -> list[str]:
    total = sum(spent.values())
    rows = [
        f"| {name} | {seconds * 1000 / max(events[name], 1):.2f} | {seconds / total:.0%} |"
        for name, seconds in spent.items()
        if seconds
    ]
    return ["", "| stage | CPU ms an event | share |", "|---|---:|---:|", *rows]


async def together(place: Place) -> list[str]:
    before = place.progress.look()
    listener = bind(0, "the benchmark", "-")
    async with runner(Deployed(*place.versions), place.aws_url) as (runtime, poll):
        routes = [
            Route("POST", f"/v1/webhooks/{path}", HANDLER)
            for path in ("{source}", "standard/{endpoint_id}")
        ]
        server = asyncio.create_task(serve(Front(runtime, RouteTable(routes)), listener))
        poll()
        sender = await started(listener.getsockname()[1])
        for _ in range(int(WARM_UP)):
            await asyncio.sleep(1)
            place.progress.look()
        clock, since = Clock(place.groups(sender.pid)), time.monotonic()
        for _ in range(int(SECONDS)):
            await asyncio.sleep(1)
            place.progress.look()
        spent = clock.read()
        rate, until = place.progress.slope(since), time.monotonic()
        answers = json.loads((await sender.communicate())[0])
        accepted = sum(status == 200 for _, status, _ in answers)
        await place.progress.reach(before + accepted)
        drained = time.monotonic() - until
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    window = [one for one in answers if since <= one[0] <= until]
    return [
        *told(window, answers, spent, rate, drained),
        *per_stage(spent, window, rate),
    ]


async def started(port: int) -> asyncio.subprocess.Process:
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.senders"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
    )
    assert sender.stdin is not None
    sender.stdin.write(json.dumps({"port": port, "connections": CONNECTIONS}).encode() + b"\n")
    await sender.stdin.drain()
    return sender


def told(
    window: Sequence[Any], answers: Sequence[Any], spent: Spent, rate: float, drained: float
) -> list[str]:
    took = sorted(latency * 1000 for _, _, latency in window)
    p50, p95, p99 = (took[int(len(took) * share)] for share in (0.5, 0.95, 0.99))
    refused = sum(status != 200 for _, status, _ in answers)
    accepted = sum(status == 200 for _, status, _ in window) / spent.seconds
    met = "met" if accepted >= ACCEPTED_GOAL else "MISSED"
    return [
        f"| accepted/s (goal {ACCEPTED_GOAL}) | committed/s | p50 ms | p95 ms | p99 ms | not 200 |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {accepted:.0f}: {met} | {rate:.0f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {refused} |",
        "",
        (
            f"All {len(answers) - refused} accepted events were committed, the last"
            f" {drained:.1f} s after the senders stopped."
        ),
    ]


def per_stage(spent: Spent, window: Sequence[Any], rate: float) -> list[str]:
    applied = round(rate * spent.seconds)
    events = {
        name: applied if name in {"worker", "PostgreSQL"} else len(window)
        for name in spent.by_group
    }
    return [*costs(spent.by_group, events), "", spent.cores]


async def measure(folder: Path) -> None:
    opt = await asyncio.to_thread(create.layers, folder / "opt")
    with stages.database(folder) as (url, postgres):
        progress = Progress(stages.owner(folder, url))
        for name in sys.argv[1:] or PARTS:
            # Its own queues for each part: the emulator gives messages to polls of the part before,
            # whose connections are closed, and they would not be seen again for six minutes.
            async with stages.emulator(folder / name) as (aws_url, emulator):
                stages.put_secrets(aws_url)
                variables = {"AWS_ENDPOINT_URL": aws_url, "DATABASE_URL": url}
                variables |= stages.queues(aws_url)
                versions = [stages.version(one, opt, variables) for one in (HANDLER, WORKER)]
                place = Place(aws_url, emulator, postgres, (versions[0], versions[1]), progress)
                print(*await PARTS[name](place), "", sep="\n", flush=True)


PARTS: Final[Mapping[str, Callable[[Place], Awaitable[list[str]]]]] = {
    "alone": lambda place: alone.measure(place.versions[1], place.postgres),
    "queue": from_a_full_queue,
    "front": together,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        uvloop.run(measure(folder))


if __name__ == "__main__":
    main()

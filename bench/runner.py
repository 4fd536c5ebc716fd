"""What our Lambda runtime and HTTP front cost: a function that returns a constant, measured.

`python -m bench.runner` prints the table; the goals are those of the issue.
"""

import asyncio
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from local.front import Front
from local.invocation import Version
from local.routes import Route, RouteTable
from local.runtime import Runtime, Settings
from local.serving import bind, serve
from local.settings import TOOLS

FUNCTION: Final = "def handler(event, context): return {'statusCode': 200, 'body': 'ok'}\n"
WARM_CALLS: Final = 2000
SECONDS: Final = 5.0
OVERHEAD_GOAL_MS: Final = 1.5
RATE_GOAL: Final = 200


class Constant:
    """A source with one function."""

    def __init__(self, folder: Path) -> None:
        (folder / "app.py").write_text(FUNCTION)
        self._version = Version("constant", "1", "app.handler", folder, timeout=10)

    async def routing(self, *_: str) -> Mapping[str, float]:
        return {"1": 1.0}

    async def version(self, *_: str) -> Version:
        return self._version

    async def reserved_concurrency(self, *_: str) -> int | None:
        return None


async def measure(folder: Path, *, freeze: bool) -> list[tuple[str, str, str]]:
    settings = Settings(TOOLS / "runtime" / "bin" / "python", freeze=freeze)
    runtime = Runtime(Constant(folder), settings, lambda *_: None)
    listener = bind(0, "the benchmark", "-")
    front = Front(runtime, RouteTable([Route("ANY", "/{proxy+}", "constant")]))
    server = asyncio.create_task(serve(front, listener))
    label = "frozen between calls" if freeze else "not frozen"
    try:
        cold = await timed(lambda: runtime.invoke("constant", b"{}"))
        warm = [await timed(lambda: runtime.invoke("constant", b"{}")) for _ in range(WARM_CALLS)]
        rows = [
            (f"cold start, {label}", f"{cold:.1f} ms", ""),
            (f"warm invoke p50, {label}", f"{statistics.median(warm):.2f} ms", goal_ms(warm)),
            (f"warm invoke p95, {label}", f"{statistics.quantiles(warm, n=20)[18]:.2f} ms", ""),
        ]
        for connections in (1, 4):
            rate = await requests_per_second(listener, connections)
            goal = f"≥ {RATE_GOAL}/s: {'met' if rate >= RATE_GOAL else 'MISSED'}"
            name = f"HTTP, {connections} connection{'s' * (connections > 1)}, {label}"
            rows.append((name, f"{rate:.0f}/s", goal))
        return rows
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        await runtime.stop()


def goal_ms(samples: list[float]) -> str:
    met = statistics.median(samples) <= OVERHEAD_GOAL_MS
    return f"≤ {OVERHEAD_GOAL_MS} ms: {'met' if met else 'MISSED'}"


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await call()
    return (time.perf_counter() - started) * 1000


async def requests_per_second(listener: socket.socket, connections: int) -> float:
    """Whole requests over kept connections; the client shares the two cores, as in life."""
    host, port = listener.getsockname()
    request = f"GET /constant HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def client(deadline: float) -> int:
        reader, writer = await asyncio.open_connection(host, port)
        count = 0
        while time.perf_counter() < deadline:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            assert await reader.readexactly(2) == b"ok"
            count += 1
        writer.close()
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(client(started + SECONDS) for _ in range(connections)))
    return sum(counts) / (time.perf_counter() - started)


async def main() -> None:
    table = Table("measured", "result", "goal", box=MARKDOWN)
    for freeze in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            for row in await measure(Path(folder), freeze=freeze):
                table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    uvloop.run(main())

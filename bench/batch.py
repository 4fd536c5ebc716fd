"""Batches: how long one takes through the whole stack, and a no-op job for each item beside
pgqueuer, procrastinate and Celery: `python -m bench.batch`.

The stack is one of its own, with the emulator's queues (which show a message up to 0.1 s late) and
Lambda's memory limits reported by the runner. The peers take turns with us on one PostgreSQL that
waits for the disk, two worker processes each, from a full queue until it is empty. Each of theirs
is a job with a life of its own; ours are items of one job, up to a thousand in a transaction.
Celery's are in memory, taken before they are done, and leave no result.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import httpx  # noqa: E402
import psycopg  # noqa: E402
from rich.box import MARKDOWN  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from bench import stages  # noqa: E402
from local.postgres import Server  # noqa: E402
from tests.stacks import Stack  # noqa: E402

PEERS: Final = ROOT / ".local/tools/bench/bin/python"
ITEMS: Final = int(os.environ.get("ITEMS") or 10_000)  # for the peers
ROUNDS: Final = 2
SMALL, LARGE, HUGE = 1_000, 100_000, 1_000_000
RUNS: Final = 30
SMALL_GOAL, WORKER_GOAL, LARGE_GOAL, MEMORY_GOAL = 250, 100, 15, 200
ACCOUNT: Final = "01900000-0000-7000-8000-0000000000a1"
USER: Final = "01900000-0000-7000-8000-000000000001"
PLAN: Final = """
insert into app.plans (key, name, quotes_per_month, clients, watermark, bulk_operations, analytics,
    monthly_price, yearly_price)
values ('bench', 'Bench', null, null, false, true, true, 1, 1)
"""
SUBSCRIBE: Final = """
insert into app.subscriptions (account_id, plan_key, status) values (%s, 'bench', 'active')
on conflict (account_id) do update set plan_key = 'bench', status = 'active'
"""
QUOTES: Final = """
insert into app.quotes (id, account_id, status, number, created_by, sent_at, title)
select gen_random_uuid(), %(account)s, 'sent', %(title)s || n, %(user)s, now(), %(title)s
from generate_series(1, %(count)s) as n
"""
SENT_AGAIN: Final = "update app.quotes set status = 'sent' where title = %s and status <> 'sent'"
ENDED: Final = """
select status, extract(epoch from finished_at)::float8, (
    select sum(milliseconds)::float8 from app.batch_chunks where job_id = job.id), (
    select sum(succeeded) from app.batch_chunks where job_id = job.id)
from app.batch_jobs as job where id = %s and finished_at is not null
"""


class Bench:
    """One stack, called as its demo user."""

    def __init__(self, stack: Stack) -> None:
        self.http = stack.http()
        self.owner = psycopg.connect(stack.facts["database_url"], autocommit=True)
        self.log = stack.folder / "data" / "functions.log"
        self.owner.execute("set session_replication_role = replica")  # no triggers for what is laid
        self.owner.execute(PLAN)
        self.owner.execute(SUBSCRIBE, [ACCOUNT])

    def quotes(self, title: str, count: int) -> list[str]:
        values = {"account": ACCOUNT, "user": USER, "title": title, "count": count}
        self.owner.execute(QUOTES, values)
        rows = self.owner.execute("select id from app.quotes where title = %s", [title])
        return [str(row[0]) for row in rows]

    def upload(self, lines: Iterator[str]) -> str:
        content = "\n".join(lines).encode()
        offer = {"format": "ndjson", "bytes": len(content)}
        told = self.http.post("/v1/batches/uploads", json=offer).raise_for_status().json()
        files = {"file": ("items", content)}
        sent = httpx.post(told["url"], data=told["fields"], files=files, timeout=120)
        sent.raise_for_status()
        upload: str = told["id"]
        return upload

    def run(self, operation: str, **more: Any) -> tuple[float, float, int]:
        """Seconds from the call to the end, ms of work in chunks, items that succeeded."""
        started = time.time()
        answer = self.http.post("/v1/batches", json={"operation": operation, **more})
        job = answer.raise_for_status().json()["id"]
        while (row := self.owner.execute(ENDED, [job]).fetchone()) is None:
            time.sleep(0.01)
        status, ended, work, succeeded = row
        if status != "completed":
            raise SystemExit(f"{operation}: {status}")
        return ended - started, work, succeeded

    def processors(self) -> tuple[float, float]:
        """Seconds of CPU that the worker's sandboxes have used, and that PostgreSQL has."""
        named = b"AWS_LAMBDA_FUNCTION_NAME=quotekit-local-batch-worker\0"
        place = str(self.log.parent).encode()
        first = int((self.log.parent / "postgres" / "postmaster.pid").read_text().split()[0])
        workers = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (folder / "environ").read_bytes()
                workers += (
                    [int(folder.name)] if named in environment and place in environment else []
                )
        return stages.processor(*workers), stages.processor(*stages.with_children(first))

    def reports(self, figure: str, since: int) -> list[float]:
        """A figure of the worker's REPORT lines behind a place in the log."""
        with self.log.open() as log:
            log.seek(since)
            lines = [line for line in log if line.startswith("batch-worker REPORT")]
        found = (re.search(rf"\t{figure}: ([0-9.]+)", line) for line in lines)
        return [float(match[1]) for match in found if match]


def met(value: float, goal: float, unit: str) -> str:
    return f"≤ {goal} {unit}: {'met' if value <= goal else 'MISSED'}"


def stacked() -> Table:
    table = Table("measured", "result", "goal", box=MARKDOWN)
    with tempfile.TemporaryDirectory(prefix="quotekit-bench-", dir="/var/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        stack = Stack.beside(folder)
        stack.start()
        try:
            for row in measured(Bench(stack)):
                table.add_row(*row)
        finally:
            stack.stop()
    return table


def measured(bench: Bench) -> Iterator[tuple[str, str, str]]:
    yield from small(bench)
    ids = bench.quotes("large", LARGE)
    upload = bench.upload(json.dumps({"id": one}) for one in ids)
    status = {"parameters": {"status": "accepted"}}
    seconds, _, done = bench.run("update_quote_status", upload=upload, **status)
    assert done == LARGE
    name = "update_quote_status of 100,000 uploaded items, from the call to finished"
    yield name, f"{seconds:.1f} s", met(seconds, LARGE_GOAL, "s")
    rows = (json.dumps({"name": f"Item {n}", "unit": "h", "unit_cost": "10"}) for n in range(HUGE))
    seconds, _, done = bench.run("bulk_create_items", upload=bench.upload(rows))
    assert done == HUGE
    yield "bulk_create_items of 1,000,000 uploaded lines", f"{seconds:.0f} s", ""
    memory = max(bench.reports("Max Memory Used", 0))
    name = "most memory of any batch-worker, by its REPORT lines"
    yield name, f"{memory:.0f} MB", met(memory, MEMORY_GOAL, "MB")


def small(bench: Bench) -> Iterator[tuple[str, str, str]]:
    ids = bench.quotes("small", SMALL)
    body = {"items": ids, "parameters": {"status": "accepted"}}
    for _ in range(3):  # starts sandboxes
        again(bench, body)
    since = bench.log.stat().st_size
    runs = [again(bench, body) for _ in range(RUNS)]
    name = "update_quote_status of 1,000 items, from the call to finished"
    yield from quantiles(name, [run[0] for run in runs], SMALL_GOAL)
    # What else was invoked found nothing to do: those that worked took longest.
    worker = sorted(bench.reports("Duration", since))[-RUNS:]
    yield from quantiles("the same, in the worker", worker, WORKER_GOAL)
    for place, part in ((1, "the worker"), (2, "PostgreSQL")):
        each = statistics.fmean(run[place] for run in runs)
        yield f"CPU of {part} for one such batch", f"{each:.0f} ms", ""


def again(bench: Bench, body: dict[str, Any]) -> tuple[float, float, float]:
    """ms from the call to the end, ms of CPU of the worker and of PostgreSQL."""
    bench.owner.execute(SENT_AGAIN, ["small"])
    bench.owner.execute("vacuum analyze app.quotes")
    before = bench.processors()
    seconds = bench.run("update_quote_status", **body)[0]
    after = bench.processors()
    time.sleep(0.3)
    return seconds * 1000, (after[0] - before[0]) * 1000, (after[1] - before[1]) * 1000


def quantiles(name: str, samples: list[float], goal: float) -> Iterator[tuple[str, str, str]]:
    p95 = statistics.quantiles(samples, n=20)[18]
    yield f"{name}, p50", f"{statistics.median(samples):.0f} ms", ""
    yield f"{name}, p95", f"{p95:.0f} ms", met(p95, goal, "ms")


type Times = tuple[float, float]  # seconds to put the jobs there, seconds to work them off


class Contender:
    """Somebody's jobs in a database of his own for each round."""

    def __init__(self, name: str, python: Path, script: Path, server: Server) -> None:
        self.name, self._command, self._server = name, [str(python), str(script)], server
        self.times: list[Times] = []

    def round(self) -> None:
        with self.database() as url:
            self.call("install", url)
            start, end = self.call("enqueue", url, str(ITEMS))
            workers = [self.begin("work", url) for _ in range(2)]
            told = [last(worker) for worker in workers]
        self.times.append((end - start, max(t[1] for t in told) - min(t[0] for t in told)))

    @contextmanager
    def database(self) -> Iterator[str]:
        with psycopg.connect(self._server.url, autocommit=True) as owner:
            owner.execute("create database contender")
            try:
                yield self._server.url.removesuffix("postgres") + "contender"
            finally:
                owner.execute("drop database contender with (force)")

    def call(self, *arguments: str) -> list[float]:
        return last(self.begin(*arguments))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )


def last(process: subprocess.Popen[str]) -> list[float]:
    """What a process printed at its end."""
    output = process.communicate()[0].strip()
    if process.returncode:
        raise SystemExit(f"{process.args} failed")
    found: list[float] = json.loads(output.splitlines()[-1]) if output else []
    return found


class Ours(Contender):
    def round(self) -> None:
        with self.database() as url:
            self._migrate(url)
            os.environ["DATABASE_URL"] = url
            os.environ["DOCUMENTS_BUCKET"] = "documents"
            start, end = self.call("prepare", url, str(ITEMS))
            workers = [self.begin("work") for _ in range(2)]
            told = [last(worker) for worker in workers]
        self.times.append((end - start, max(t[1] for t in told) - min(t[0] for t in told)))

    def _migrate(self, url: str) -> None:
        dbmate = [str(ROOT / ".venv/bin/dbmate"), "--url", f"{url}?sslmode=disable"]
        arguments = ["--migrations-dir", str(ROOT / "migrations"), "--no-dump-schema", "up"]
        subprocess.run([*dbmate, *arguments], check=True, stdout=subprocess.DEVNULL)


class Celery(Contender):
    """One worker with two processes, a broker of its own, no results."""

    def round(self) -> None:
        broker = self.begin("serve", "-")
        assert broker.stdout
        assert broker.stdin
        url = broker.stdout.readline().strip()
        try:
            start, end = self.call("enqueue", url, str(ITEMS))
            worker = self.begin("work", url)
            assert worker.stdout
            try:
                ready = next(json.loads(line)[0] for line in worker.stdout if line[0] == "[")
                (over,) = self.call("follow", url, str(ITEMS))
            finally:
                worker.terminate()
                worker.communicate()
        finally:
            broker.communicate()
        self.times.append((end - start, over - ready))


def beside_peers() -> Table:
    with tempfile.TemporaryDirectory(prefix="quotekit-bench-", dir="/var/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        peer = ROOT / "bench/batch_peer"
        with Server(folder / "data", settings={"synchronous_commit": "on"}) as server:
            ours = Ours("QuoteKit", Path(sys.executable), ROOT / "bench/batch_noop.py", server)
            contenders = [
                ours,
                Contender("pgqueuer", PEERS, peer / "pgqueuer_jobs.py", server),
                Contender("procrastinate", PEERS, peer / "procrastinate_jobs.py", server),
                Celery("Celery on Valkey, no results", PEERS, peer / "celery_jobs.py", server),
            ]
            for _ in range(ROUNDS):
                for contender in contenders:
                    contender.round()
    return compared(contenders)


def compared(contenders: list[Contender]) -> Table:
    title = f"no-op for each of {ITEMS:,} items"
    table = Table(
        title, "put there, items/s", "worked off, items/s", "ours is faster", box=MARKDOWN
    )
    ours = middle(contenders[0], 1)
    for contender in contenders:
        put, worked = middle(contender, 0), middle(contender, 1)
        ratio = f"{worked / ours:.1f} ×" if contender is not contenders[0] else ""
        table.add_row(contender.name, f"{ITEMS / put:,.0f}", f"{ITEMS / worked:,.0f}", ratio)
    return table


def middle(contender: Contender, place: int) -> float:
    return statistics.median(times[place] for times in contender.times)


def main() -> None:
    console = Console(width=200)
    asked = sys.argv[1:] or ["stack", "peers"]
    if "stack" in asked:
        console.print(stacked())
    if "peers" in asked:
        console.print(beside_peers())


if __name__ == "__main__":
    main()

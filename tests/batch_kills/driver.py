"""The queue, the sweeper's schedule, and the one who kills."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.batch_kills.worker import STEPS, SWEEPER_STEPS
from tests.batching import Desk

ROOT: Final = Path(__file__).parents[2]
SHORTEST_LEASE: Final = 0.6  # seconds
QUEUES: Final = {"batch_high": "batch-high", "batch": "batch", "batch_low": "batch-low"}
# Where a worker is stopped, and goes on when another has long taken over.
STOPPED_AT: Final = (
    "after a claim",
    "with the chunk held",
    "after the effect, before it is written down",
    "before the commit of a slice",
    "after the commit of a slice",
    "after a part is stored",
    "before a result is noted",
    "before chunks are laid",
)
STOPPED_FOR: Final = 2.5  # leases
SWEEP_EVERY: Final = 0.35  # seconds

UNFINISHED: Final = """
select job.operation, job.status, job.failures, job.error, job.lease, job.leased_until - now(),
    array_agg(distinct chunk.state || ' ' || coalesce(chunk.error, '') || chunk.failures)
from app.batch_jobs as job left join app.batch_chunks as chunk on chunk.job_id = job.id
where job.finished_at is null group by job.id
"""

type Order = dict[str, Any]


def environment(url: str, folder: Path, lease: float) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": url,
        "BUCKETS": str(folder),
        "DOCUMENTS_BUCKET": "documents",
        "BATCH_LEASE_SECONDS": str(lease),
        "BATCH_ATTEMPTS": "1000",  # here it is the worker that is to blame, never the item
        "DATABASE_TRANSACTION_IDLE_TIMEOUT": str(1.5 * lease),
        "POWERTOOLS_SERVICE_NAME": "batch-worker",
        "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit",
        "PYTHONPATH": f"{ROOT / 'layers/shared'}:{ROOT}",
    }


class Nursery:
    """A process that has imported everything and forks a worker for each order."""

    def __init__(self, variables: Mapping[str, str], lease: float) -> None:
        self._lease = lease
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.batch_kills.worker"],
            cwd=ROOT,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, order: Order, kill_after: float | None = None) -> list[dict[str, Any]]:
        """What the worker said and how it ended; killed after so many seconds, if it is told."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        said: list[dict[str, Any]] = []
        timers: list[threading.Timer] = []
        for line in self._process.stdout:
            try:
                told = json.loads(line)
            except ValueError:  # a line of the log that was cut by a kill
                continue
            said.append(told)
            if "started" in told and kill_after is not None:
                timers.append(self._later(kill_after, told["started"], signal.SIGKILL))
            if "stopped" in told:
                timers.append(
                    self._later(STOPPED_FOR * self._lease, told["stopped"], signal.SIGCONT)
                )
            if "ended" in told:
                break
        for timer in timers:
            timer.cancel()
        return said

    def _later(self, seconds: float, pid: int, number: int) -> threading.Timer:
        timer = threading.Timer(seconds, _send, (pid, number))
        timer.start()
        return timer

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass
class Tally:
    """What happened."""

    killed: Counter[str] = field(default_factory=Counter)
    stopped: Counter[str] = field(default_factory=Counter)
    at_random: int = 0
    workers: int = 0
    refused: int = 0
    leases_lost: int = 0
    errors: list[str] = field(default_factory=list)

    def count(self, order: Order, said: list[dict[str, Any]]) -> None:
        self.workers += 1
        died = [line["dies"] for line in said if "dies" in line]
        stopping = order.get("signal") == signal.SIGSTOP
        (self.stopped if stopping else self.killed).update(died)
        self.at_random += not died and said[-1]["ended"] == -signal.SIGKILL
        self.refused += sum(_figures(line, "CommitsRefused") for line in said)
        self.leases_lost += sum(_figures(line, "LeasesLost") for line in said)
        self.errors += [line["error"] for line in said if "error" in line]


def _figures(line: Mapping[str, Any], name: str) -> int:
    found = line.get(name, 0)
    return int(sum(found) if isinstance(found, list) else found)


class Plans:
    """Who is to die next, and where, until every step has had its death."""

    def __init__(self, seed: int, *, deaths: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._deaths = deaths
        self.steps: list[Order] = [{"step": step, "signal": signal.SIGKILL} for step in STEPS]
        self.steps += [{"step": step, "signal": signal.SIGSTOP} for step in STOPPED_AT]
        self.sweeps: list[Order] = [
            {"step": step, "signal": signal.SIGKILL} for step in SWEEPER_STEPS
        ]
        self._random.shuffle(self.steps)

    @property
    def done(self) -> bool:
        with self._lock:
            return not self.steps and not self.sweeps and self._deaths <= 0

    def next(self, order: Order) -> tuple[Order, float | None]:
        """An order with what befalls its worker: a step to die at, a moment, or nothing."""
        with self._lock:
            plans = self.steps if "job_id" in order else self.sweeps
            if plans and self._random.random() < 0.9:
                plan = plans.pop(0)
                return order | plan | {"occurrence": self._random.choice((1, 1, 1, 2, 3))}, None
            if self._deaths > 0 and self._random.random() < 0.7:
                self._deaths -= 1
                return order, self._random.expovariate(1 / 0.05)
        return order, None

    def ran(self, order: Order, kill_after: float | None, said: list[dict[str, Any]]) -> None:
        """What did not befall its worker befalls another: it ended before, or went elsewhere."""
        if "step" in order and not any("dies" in line for line in said):
            plan = {name: order[name] for name in ("step", "signal")}
            with self._lock:
                (self.steps if "job_id" in order else self.sweeps).append(plan)
        elif kill_after is not None and said[-1]["ended"] != -signal.SIGKILL:
            with self._lock:
                self._deaths += 1


class Stage:
    """Workers that take tickets until all jobs are over.

    A lease has to outlive a live worker's slice on this machine as it is now, or nobody gets on."""

    def __init__(
        self, url: str, folder: Path, plans: Plans | None, *, lease: float, workers: int = 3
    ) -> None:
        self.tally = Tally()
        self._plans = plans
        self._tickets: list[tuple[float, Order]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        variables = environment(url, folder, lease)
        self._nurseries = [Nursery(variables, lease) for _ in range(workers + 1)]

    def run(self, desk: Desk, jobs: list[str], *, seconds: float) -> None:
        """Let workers loose on these jobs until they are over. Raises TimeoutError."""
        self._over.clear()
        for job in jobs[:2]:  # of the others the tickets got lost
            self._add({"job_id": job, "queue": "batch"}, 0)
        sweeper, *workers = self._nurseries
        threads = [threading.Thread(target=self._work, args=(one,)) for one in workers]
        threads.append(threading.Thread(target=self._sweep, args=(sweeper,)))
        for thread in threads:
            thread.start()
        try:
            self._wait(desk, seconds)
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            self._tickets.clear()

    def _wait(self, desk: Desk, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while stuck := desk.connection.execute(UNFINISHED).fetchall():
            if time.monotonic() > deadline:
                raise TimeoutError(f"stuck: {stuck}")
            time.sleep(0.05)

    def close(self) -> None:
        for nursery in self._nurseries:
            nursery.close()

    def _add(self, order: Order, after: float) -> None:
        with self._lock:
            self._tickets.append((time.monotonic() + after, order))

    def _take(self) -> Order | None:
        with self._lock:
            for place, (due, order) in enumerate(self._tickets):
                if due <= time.monotonic():
                    del self._tickets[place]
                    return order
        return None

    def _work(self, nursery: Nursery) -> None:
        while not self._over.is_set():
            order = self._take()
            if order is None:
                self._over.wait(0.01)
            elif self._do(nursery, order) != 0:
                self._add(order, 0.1)  # the queue shows it again

    def _sweep(self, nursery: Nursery) -> None:
        while not self._over.wait(SWEEP_EVERY):
            self._do(nursery, {"sweep": True})

    def _do(self, nursery: Nursery, order: Order) -> int:
        planned, kill_after = self._plans.next(order) if self._plans else (order, None)
        said = nursery.run(planned, kill_after)
        if self._plans:
            self._plans.ran(planned, kill_after, said)
        with self._lock:
            self.tally.count(planned, said)
        for line in said:
            if line.get("queue") in QUEUES:
                job = line["message"]["job_id"]
                self._add({"job_id": job, "queue": QUEUES[line["queue"]]}, min(line["after"], 0.5))
        ended: int = said[-1]["ended"]
        return ended

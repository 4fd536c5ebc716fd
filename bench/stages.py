"""The parts of a stack for webhooks, each with the processes whose CPU it costs."""

import base64
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from bench import create, senders
from local.clients import CREDENTIALS, client
from local.emulator import Emulator
from local.invocation import Version
from local.settings import PORTS, ROOT, Settings

TICKS: Final = os.sysconf("SC_CLK_TCK")
HANDLER, WORKER = "webhook-handler", "webhook-worker"
TOPICS: Final = ("WEBHOOKS_CRITICAL", "WEBHOOKS", "WEBHOOKS_BULK")
SECRETS: Final = "quotekit/bench/webhooks"


def processor(*pids: int) -> float:
    """Seconds of CPU that processes used so far, with children of theirs that ended."""
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, stat[11:15]))
    return total / TICKS


def children(pid: int) -> list[int]:
    """The processes whose parent it is."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            found += [int(place.name)] if int(parent) == pid else []
    return found


def with_children(pid: int) -> list[int]:
    return [pid, *children(pid)]


def sandboxes(function: str) -> list[int]:
    """Our processes that run a function."""
    named = f"AWS_LAMBDA_FUNCTION_NAME={function}\0".encode()
    return [
        pid for pid in children(os.getpid()) if named in Path(f"/proc/{pid}/environ").read_bytes()
    ]


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, int]]:
    """PostgreSQL's address for the functions, every commit on the disk, and its first process."""
    with create.database(folder) as url:
        with psycopg.connect(owner(folder, url), autocommit=True) as connection:
            connection.execute("alter role quotekit_functions set synchronous_commit = on")
            connection.cursor().executemany(
                "insert into app.accounts (id) values (%s)",
                [[senders.account(number)] for number in range(senders.CUSTOMERS)],
            )
        yield url, int((folder / "data" / "postmaster.pid").read_text().split()[0])


def owner(folder: Path, url: str) -> str:
    password = (folder / "data" / "superuser.password").read_text()
    return f"postgresql://postgres:{password}@{url.rpartition('@')[2]}"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


@asynccontextmanager
async def emulator(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The AWS emulator's address and process."""
    settings = Settings(folder, dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))
    running = Emulator(settings)
    try:
        await running.start()
        process = running._process  # noqa: SLF001 its CPU is what we came for
        assert process is not None
        yield settings.aws_url, process.pid
    finally:
        await running.stop()


def queue_name(topic: str) -> str:
    return f"bench-{topic.lower().replace('_', '-')}"


def queues(url: str) -> dict[str, str]:
    """The three queues, by the variables that name them."""
    sqs = client("sqs", url)
    return {
        f"{topic}_QUEUE_URL": sqs.create_queue(
            QueueName=queue_name(topic),
            Attributes={"VisibilityTimeout": "360"},
        )["QueueUrl"]
        for topic in TOPICS
    }


def put_secrets(url: str) -> None:
    store = client("secretsmanager", url)
    for source, secret in senders.SECRETS.items():
        document = json.dumps({"secrets": [secret]})
        store.create_secret(Name=f"{SECRETS}/{source}", SecretString=document)
    key = "whsec_" + base64.b64encode(senders.STANDARD_KEY).decode()
    for number in range(senders.TENANTS):
        tenant = str(senders.account(number))
        document = json.dumps({"secrets": [key], "account_id": tenant})
        store.create_secret(Name=f"{SECRETS}/standard/{tenant}", SecretString=document)


def version(function: str, layers: Path, variables: Mapping[str, str]) -> Version:
    """A function as it is deployed; its settings as template.yaml has them."""
    given = {
        **CREDENTIALS,
        "POWERTOOLS_SERVICE_NAME": function,
        "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit",
        "STAGE": "local",
        "DATABASE_STATEMENT_TIMEOUT": "10",
        "WEBHOOK_SECRETS": SECRETS,
        **variables,
    }
    root = ROOT / "functions" / function.replace("-", "_")
    return Version(function, "1", "app.lambda_handler", root, layers, 60.0, 1024, given)


class Spent(NamedTuple):
    """Seconds that passed, and of CPU by group; `others` is what all else here took."""

    seconds: float
    by_group: dict[str, float]
    others: float

    @property
    def cores(self) -> str:
        ours = sum(self.by_group.values()) / self.seconds
        return (
            f"{ours:.2f} of {os.cpu_count()} cores were busy with it,"
            f" {self.others / self.seconds:.2f} with other work of the machine."
        )


class Clock:
    """CPU of groups of processes since it was made."""

    def __init__(self, groups: Mapping[str, Callable[[], list[int]]]) -> None:
        self._groups = groups
        self._before, self._all = self._now(), busy()
        self._started = time.monotonic()

    def _now(self) -> dict[str, float]:
        return {name: processor(*pids()) for name, pids in self._groups.items()}

    def read(self) -> Spent:
        now = self._now()
        spent = {name: now[name] - self._before[name] for name in now}
        others = max(busy() - self._all - sum(spent.values()), 0.0)
        return Spent(time.monotonic() - self._started, spent, others)


def busy() -> float:
    """Seconds all cores together worked since the machine started."""
    user, nice, system, _idle, _waiting, *rest = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    )
    return (user + nice + system + sum(rest[:3])) / TICKS

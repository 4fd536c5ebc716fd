"""A stack over a PostgreSQL that can be taken away from it and given back."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from local.database import ensure_database
from local.postgres import PostgresError, Server
from local.settings import STACK_NAME, STAGE
from local.sources import POLL_SECONDS
from tests.soak.faults import MODES, Mode
from tests.soak.letters import Place, account, endpoint
from tests.soak.parcels import TENANTS
from tests.soak.signing import Signer
from tests.stacks import Stack, eventually

QUEUES: Final = ("webhooks-critical", "webhooks", "webhooks-bulk")
# Processes die here, the machine does not: what was written need not reach the disk, but it has to
# be written before a commit is confirmed, as PostgreSQL does by default and `make run` does not.
DURABLE: Final = {"synchronous_commit": "on", "fsync": "off"}
RESTART_SECONDS: Final = 30


class Ground:
    """Started and ended as a context, also on failure; the data stay in `folder`.

    To be used from one thread that outlives it: PostgreSQL ends with the thread that started it.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._server = Server(folder / "postgres", settings=DURABLE | settings)
        self._folder = folder
        self.stack = Stack(folder, {})

    def __enter__(self) -> Self:
        try:
            self._server.start()
            self.database_url = ensure_database(self._server.url)
            self.stack = Stack.beside(self._folder / "stack", DATABASE_URL=self.database_url)
            self.stack.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.stack.is_running:
                self.stack.stop()
        finally:
            self._server.stop()

    @contextmanager
    def without_database(self, mode: Mode) -> Iterator[None]:
        self._server.stop(MODES[mode])
        try:
            yield
        finally:
            eventually(self._start, seconds=RESTART_SECONDS)

    def _start(self) -> bool:
        """False while processes of a server that was killed have not noticed yet."""
        with suppress(PostgresError):
            self._server.start()
            return True
        return False

    def owner(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url, autocommit=True)

    def prepare(self, run: str, places: list[Place]) -> None:
        """Make the accounts and the tenants' secrets that the letters speak of."""
        numbers = {place.number for place in places if place.kind == "subscription"}
        names = [account(run, "subscription", number) for number in numbers]
        names += [account(run, "tenant", number) for number in range(TENANTS)]
        with self.owner() as owner:
            owner.execute(
                "insert into app.accounts (id, name) select unnest(%s::uuid[]), 'soak'", [names]
            )
        secrets = self.stack.aws("secretsmanager")
        keys = Signer(run).endpoints
        for number in range(TENANTS):
            address = endpoint(run, number)
            held = {"secrets": [keys[address]], "account_id": account(run, "tenant", number)}
            secrets.create_secret(
                Name=f"quotekit/{STAGE}/webhooks/standard/{address}", SecretString=json.dumps(held)
            )

    def hide_for(self, seconds: int) -> None:
        """Let messages whose worker died come back sooner than deployed."""
        for url in self._queue_urls(dead=False):
            self._sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)}
            )
        # A poll that waits hides what it gets by the old setting, and nothing tells of its end.
        time.sleep(POLL_SECONDS + 1)

    @contextmanager
    def dead_after(self, receives: int) -> Iterator[None]:
        """Let SQS give a message up after so few deliveries, as it does in a long outage."""
        name = "RedrivePolicy"
        deployed = {}
        for url in self._queue_urls(dead=False):
            found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])[
                "Attributes"
            ]
            deployed[url] = found
            fewer = json.loads(found[name]) | {"maxReceiveCount": receives}
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes={name: json.dumps(fewer)})
        try:
            yield
        finally:
            for url, found in deployed.items():
                self._sqs.set_queue_attributes(QueueUrl=url, Attributes=found)

    def waiting(self, *, dead: bool = False, hidden: bool = True) -> int:
        """Messages in the webhooks' queues, or in their dead-letter queues."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        names += ["ApproximateNumberOfMessagesNotVisible"] if hidden else []
        asked = (
            self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            for url in self._queue_urls(dead=dead)
        )
        return sum(int(count) for found in asked for count in found.values())

    def drained_after(self, seconds: float) -> float | None:
        """Seconds until no message is left, hidden and dead ones among them; None when some are."""
        started = time.monotonic()
        with suppress(AssertionError):
            eventually(lambda: not self.waiting() and not self.waiting(dead=True), seconds=seconds)
            return time.monotonic() - started
        return None

    def visibility(self, *, dead: bool = False) -> int:
        """Seconds after which a dead worker's messages come back, or a dead recorder's."""
        name = "VisibilityTimeout"
        return max(
            int(
                self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][
                    name
                ]
            )
            for url in self._queue_urls(dead=dead)
        )

    @cached_property
    def _sqs(self) -> Any:
        return self.stack.aws("sqs")

    @cache  # noqa: B019 there is one ground
    def _queue_urls(self, *, dead: bool) -> list[str]:
        suffix = "-dead-letter" if dead else ""
        names = [f"{STACK_NAME}-{name}{suffix}" for name in QUEUES]
        return [self._sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in names]

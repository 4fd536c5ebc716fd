"""Batches for tests: jobs laid down by SQL, an operation that keeps its own ledger, and a look."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from quotekit.batches import operations
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.identifiers import new_id

ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")
USER: Final = UUID("01900000-0000-7000-8000-000000000001")

# Kept apart from everything the engine writes; nothing in it stops a second entry.
LEDGER: Final = """
create table app.ledger (
    job_id uuid not null, item integer not null, at timestamptz not null default clock_timestamp());
grant select, insert on app.ledger to authenticated, service_role;
"""


class Entry(Body):
    """An item of the test's own operation."""

    n: int
    seconds: float = Field(default=0)
    fault: str = ""


WRITE: Final = """
insert into app.ledger (job_id, item)
select %(job_id)s, n from unnest(%(n)s::integer[]) as n
"""


class ItemError(Exception):
    """An item that cannot be done."""


def write_entries(connection: Connection, work: Work, items: Sequence[Entry]) -> list[Outcome]:
    values = {"job_id": work.job_id, "n": [item.n for item in items if item.fault != "missing"]}
    pause = sum(item.seconds for item in items)
    if pause:
        connection.execute("select pg_sleep(%s)", [pause])
    connection.execute(WRITE, values)
    if any(item.fault == "boom" for item in items):
        raise ItemError
    return [Outcome("missing" if item.fault == "missing" else "created") for item in items]


def write_entry(connection: Connection, work: Work, item: Entry) -> Outcome:
    return write_entries(connection, work, [item])[0]


WRITE_ENTRIES: Final = Operation(
    name="write_entries", item=Entry, apply=write_entries, milliseconds=0.1
)
WRITE_ENTRY: Final = Operation(
    name="write_entry", item=Entry, apply_one=write_entry, milliseconds=5
)


def register(*added: Operation) -> None:
    """Let the engine know these operations as well, until `unregister`."""
    known = operations.OPERATIONS
    assert isinstance(known, dict)
    known.update({operation.name: operation for operation in added})


def unregister(*added: Operation) -> None:
    known = operations.OPERATIONS
    assert isinstance(known, dict)
    for operation in added:
        known.pop(operation.name, None)


JOB: Final = """
insert into app.batch_jobs (id, account_id, created_by, operation, parameters, priority, dry_run,
    stop_on_error_percent, rate_limit_per_second, notify_url, status, total)
values (%(id)s, %(account_id)s, %(created_by)s, %(operation)s, %(parameters)s, %(priority)s,
    %(dry_run)s, %(stop)s, %(rate)s, %(notify_url)s, 'pending', %(total)s)
"""
CHUNK: Final = """
insert into app.batch_chunks (job_id, account_id, number, first_position, size, items)
values (%(id)s, %(account_id)s, %(number)s, %(first)s, %(size)s, %(items)s)
"""


@dataclass
class Job:
    """What a job came to, as its rows tell."""

    status: str
    succeeded: int
    failed: int
    skipped: int
    total: int
    error: str | None
    results: list[Any] = field(repr=False, default_factory=list)

    @property
    def codes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for result in self.results:
            found[result["code"]] = found.get(result["code"], 0) + 1
        return found


LOOK: Final = """
select job.status, coalesce(sum(chunk.succeeded), 0), coalesce(sum(chunk.failed), 0),
    coalesce(sum(chunk.skipped), 0), job.total, job.error
from app.batch_jobs as job left join app.batch_chunks as chunk on chunk.job_id = job.id
where job.id = %(id)s group by job.id
"""
RESULTS: Final = """
select result from app.batch_chunks, jsonb_array_elements(results) with ordinality as r (result, n)
where job_id = %(id)s order by number, n
"""


class Desk:
    """The owner's view of a database with batches."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)

    def prepare(self, *accounts: UUID) -> None:
        self.connection.execute(LEDGER)
        for account in accounts or (ACCOUNT,):
            self.connection.execute("insert into app.accounts (id) values (%s)", [account])
            self.connection.execute(
                "insert into app.members (account_id, user_id) values (%s, %s)", [account, USER]
            )

    def submit(
        self,
        operation: str,
        items: Sequence[Any],
        *,
        chunk: int = 10,
        account: UUID = ACCOUNT,
        **options: Any,
    ) -> UUID:
        job = new_id()
        values = {
            "id": job,
            "account_id": account,
            "created_by": USER,
            "operation": operation,
            "parameters": Jsonb(options.pop("parameters", {})),
            "priority": "normal",
            "dry_run": False,
            "stop": None,
            "rate": None,
            "notify_url": None,
            "total": len(items),
        }
        with self.connection.transaction():
            self.connection.execute(JOB, values | options)
            with self.connection.cursor() as cursor:
                cursor.executemany(CHUNK, list(chunks(job, account, items, chunk)))
        return job

    def job(self, job_id: UUID) -> Job:
        row = self.connection.execute(LOOK, {"id": job_id}).fetchone()
        assert row is not None
        found = Job(*row)
        found.results = [r[0] for r in self.connection.execute(RESULTS, {"id": job_id})]
        return found

    def entries(self, job_id: UUID) -> list[int]:
        query = "select item from app.ledger where job_id = %s order by item"
        return [row[0] for row in self.connection.execute(query, [job_id])]

    def set(self, job_id: UUID, status: str) -> None:
        query = "update app.batch_jobs set status = %s where id = %s"
        self.connection.execute(query, [status, job_id])

    def value(self, query: str, *values: Any) -> Any:
        row = self.connection.execute(query.encode(), values).fetchone()
        return row and row[0]


def chunks(job: UUID, account: UUID, items: Sequence[Any], size: int) -> Iterable[dict[str, Any]]:
    first = 1
    for number, part in enumerate(batched(items, size, strict=False)):
        values = {"id": job, "account_id": account, "number": number, "first": first}
        yield values | {"size": len(part), "items": Jsonb(list(part))}
        first += len(part)


def entries(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"n": n, **more} for n in range(count)]


def ticket(job_id: UUID, queue: str = "quotekit-test-batch") -> dict[str, Any]:
    """The event of a ticket."""
    record = {
        "messageId": uuid4().hex,
        "receiptHandle": "receipt",
        "body": json.dumps({"job_id": str(job_id)}),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{queue}",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


type Handler = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]

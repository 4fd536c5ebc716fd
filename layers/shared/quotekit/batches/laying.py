"""Chunks of an upload laid down, each commit fenced by the lease of the worker that prepares."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, Self
from uuid import UUID

from psycopg.rows import class_row

from quotekit import database
from quotekit.batches import notices, sizing
from quotekit.batches.model import Operation, Outcome, Priority
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.reading import START, Place
from quotekit.connection import Actor
from quotekit.database import Connection
from quotekit.outbox import Promise
from quotekit.settings import batch_settings

LARGEST_CHUNK: Final = 1_048_576  # bytes of items, after the one that passes it
TOGETHER: Final = 20  # chunks read at a time when a worker takes over


@dataclass(slots=True)
class Draft:
    """A chunk in the making."""

    items: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    bytes: int = 0
    after: Place = START

    def take(self, line: int, item: str) -> None:
        self.items.append(item)
        self.lines.append(line)
        self.bytes += len(item)

    def refuse(self, line: int, item: str, why: str) -> None:
        self.refused[len(self.items)] = why
        self.take(line, item)

    def full(self, size: int) -> bool:
        return len(self.items) >= size or self.bytes >= LARGEST_CHUNK

    def closed(self, after: Place) -> Self:
        self.after = after
        return self

    @property
    def results(self) -> list[Any]:
        if not self.refused:
            return []
        found = {at: Outcome("invalid", why).stored for at, why in self.refused.items()}
        return [found.get(at) for at in range(len(self.items))]


@dataclass(frozen=True, slots=True)
class Preparing:
    """A job that is being prepared, and how far."""

    id: UUID
    account_id: UUID
    created_by: UUID
    operation: str
    priority: Priority
    etag: str
    key: str
    format: str
    prepared_bytes: int
    prepared_lines: int
    chunks: int
    items: int
    largest: int | None


@dataclass(frozen=True)
class Task:
    """A job in the hands of the worker that prepares it, by `size` items a chunk."""

    job: Preparing
    lease: int
    operation: Operation
    size: int

    @property
    def place(self) -> Place:
        """Behind what is laid down."""
        return Place(self.job.prepared_bytes, self.job.prepared_lines)

    @cached_property
    def service(self) -> Actor:
        claims = {"role": "service_role", "sub": str(self.job.created_by)}
        return Actor("service_role", claims | {"account_id": str(self.job.account_id)})

    @property
    def fence(self) -> dict[str, Any]:
        return {"job_id": self.job.id, "lease": self.lease}


LOAD: Final = """
select job.id, job.account_id, job.created_by, job.operation, job.priority,
    job.upload_etag as etag, upload.key, upload.format, job.prepared_bytes, job.prepared_lines,
    laid.chunks, laid.items, laid.largest
from app.batch_jobs as job
join app.batch_uploads as upload
    on upload.account_id = job.account_id and upload.id = job.upload_id
cross join lateral (
    select count(*) as chunks, coalesce(sum(size), 0) as items, max(size) as largest
    from app.batch_chunks where job_id = job.id
) as laid
where job.id = %(job_id)s and job.lease = %(lease)s and job.status = 'preparing'
"""


def load(job_id: UUID, lease: int) -> Task | None:
    """The job, when it is ours to prepare."""
    with (
        database.reading(database.SERVICE) as connection,
        connection.cursor(row_factory=class_row(Preparing)) as cursor,
    ):
        found = cursor.execute(LOAD, {"job_id": job_id, "lease": lease}).fetchone()
        if found is None:
            return None
        operation = OPERATIONS[found.operation]
        size = found.largest or sizing.chunk_size(connection, found.account_id, operation)
    return Task(found, lease, operation, size)


# A text among the items is a line that was refused.
LAID: Final = """
select number, array(
    select jsonb_build_array(item.value, item.line)
    from rows from (jsonb_array_elements(items), unnest(lines)) as item (value, line)
    where jsonb_typeof(item.value) = 'object')
from app.batch_chunks
where job_id = %(job_id)s and number >= %(number)s
order by number limit %(limit)s
"""


def laid(task: Task) -> Iterator[tuple[Any, int]]:
    """The items that are laid down and the lines they stood in."""
    number = 0
    while True:
        values = {"job_id": task.job.id, "number": number, "limit": TOGETHER}
        with database.reading(task.service) as connection:
            found = connection.execute(LAID, values).fetchall()
        for _, items in found:
            yield from items
        if not found:
            return
        number = found[-1][0] + 1


LAY: Final = """
with held as (
    update app.batch_jobs
    set prepared_bytes = %(offset)s, prepared_lines = %(lines)s,
        leased_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    where id = %(job_id)s and lease = %(lease)s and status = 'preparing'
    returning id, account_id
)
insert into app.batch_chunks (job_id, account_id, number, first_position, size, items, lines,
    results, failed, tallies, state, finished_at)
select held.id, held.account_id, draft.number, draft.first, draft.size, draft.items::jsonb,
    draft.lines::integer[], draft.results::jsonb, draft.failed, draft.tallies::jsonb,
    case when draft.failed = draft.size then 'done' else 'pending' end,
    case when draft.failed = draft.size then now() end
from held cross join unnest(%(numbers)s::integer[], %(firsts)s::integer[], %(sizes)s::integer[],
    %(items)b::text[], %(places)b::text[], %(results)b::text[], %(failed)s::integer[],
    %(tallies)b::text[])
    as draft (number, first, size, items, lines, results, failed, tallies)
"""


def lay(task: Task, number: int, first: int, drafts: Sequence[Draft]) -> bool:
    """Commit chunks, the first of that number and with that position, and the place behind them.

    False: the job is not ours any more."""
    sizes = [len(draft.items) for draft in drafts]
    failed = [len(draft.refused) for draft in drafts]
    values = {
        **task.fence,
        **drafts[-1].after._asdict(),
        "seconds": batch_settings().lease_seconds,
        "numbers": list(range(number, number + len(drafts))),
        "firsts": list(accumulate(sizes[:-1], initial=first)),
        "sizes": sizes,
        "items": [f"[{','.join(draft.items)}]" for draft in drafts],
        "places": [f"{{{','.join(map(str, draft.lines))}}}" for draft in drafts],
        "results": [json.dumps(draft.results) for draft in drafts],
        "failed": failed,
        "tallies": [json.dumps({"invalid": count} if count else {}) for count in failed],
    }
    with database.transaction(task.service) as connection:
        return connection.execute(LAY, values).rowcount > 0


FINISH: Final = """
update app.batch_jobs
set status = 'pending', total = %(total)s, lease = null, leased_until = null, failures = 0
where id = %(job_id)s and lease = %(lease)s and status = 'preparing'
returning id
"""


def finish(connection: Connection, task: Task, total: int) -> bool:
    """All of the upload is laid down: workers may come. False: the job is not ours now."""
    values = task.fence | {"total": total}
    return connection.execute(FINISH, values).fetchone() is not None


REFUSE: Final = """
update app.batch_jobs
set status = 'failed', error = %(error)s, finished_at = now(), lease = null, leased_until = null
where id = %(job_id)s and lease = %(lease)s and status = 'preparing'
returning id
"""
CLEAR: Final = "delete from app.batch_chunks where job_id = %(job_id)s"


def refuse(task: Task, error: str) -> list[Promise]:
    """The job fails, and nothing of its upload stays; who is to be told, is promised."""
    with database.transaction(task.service) as connection:
        if not connection.execute(REFUSE, task.fence | {"error": error[:2000]}).fetchone():
            return []
        connection.execute(CLEAR, task.fence)
        return notices.promise(connection, task.job.id, task.job.account_id, "failed")

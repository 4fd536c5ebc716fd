"""Batches as their accounts see them: committed rows, counted at the moment of the question."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row, dict_row

from quotekit import paging
from quotekit.batches.model import FINAL, Priority, Status
from quotekit.batches.requests import Listing
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.paging import Page

STALE: Final = timedelta(minutes=1)
UNREAD: Final = "Its upload is not read yet."
NONE_YET: Final = "No chunk is finished yet."
NONE_LATELY: Final = "No chunk was finished in the last minute."
OVER: Final = "It is over."
STANDING: Final[Mapping[Status, str]] = {
    "preparing": UNREAD,
    "paused": "It is paused.",
    "cancelling": "It is being cancelled.",
    "stopping": "It is being stopped.",
    "finishing": "Its items are done; its result is put together.",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Items by what became of them. `total` and `pending` are null until an upload is read."""

    total: int | None
    succeeded: int
    failed: int
    skipped: int
    pending: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """Where a batch's result can be fetched for a while, and what it is."""

    url: str
    expires_at: datetime
    bytes: int
    type: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Items a second over the last finished chunks; null with its reason."""

    items_per_second: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """When the last item will be done if all goes on as it does; null with its reason."""

    finished_at: datetime | None
    seconds: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Chunks:
    """How many chunks are in which state."""

    pending: int
    running: int
    done: int


@dataclass(frozen=True, slots=True)
class Read:
    """How far the upload is read; null when the items came with the request."""

    upload_id: UUID
    bytes: int
    lines: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A batch in a list."""

    id: UUID
    operation: str
    status: Status
    priority: Priority
    dry_run: bool
    counts: Counts
    error: str | None
    created_by: UUID
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A batch, its items and chunks counted at `observed_at`.

    `tallies` are items by their exact outcome, and `matched`: those that named something of the
    account's, whatever became of it."""

    id: UUID
    operation: str
    parameters: Mapping[str, Any]
    status: Status
    priority: Priority
    dry_run: bool
    stop_on_error_percent: Decimal | None
    rate_limit_per_second: Decimal | None
    dedupe_key: str | None
    notify_url: str | None
    error: str | None
    counts: Counts
    tallies: Mapping[str, int]
    chunks: Chunks
    rate: Rate
    expected: Expected
    upload: Read | None
    has_result: bool
    retries: int
    created_by: UUID
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    observed_at: datetime


COUNTED: Final[LiteralString] = """
cross join lateral (
    select coalesce(sum(succeeded), 0)::integer as succeeded,
        coalesce(sum(failed), 0)::integer as failed,
        coalesce(sum(skipped), 0)::integer as skipped,
        count(*) filter (where state = 'pending') as pending_chunks,
        count(*) filter (where state = 'running') as running_chunks,
        count(*) filter (where state = 'done') as done_chunks
    from app.batch_chunks where job_id = job.id
) as counted
"""
LATELY: Final = 20  # chunks of which the rate is taken
GET: Final[LiteralString] = f"""
select job.id, job.operation, job.parameters, job.status, job.priority, job.dry_run,
    job.stop_on_error_percent, job.rate_limit_per_second, job.dedupe_key, job.notify_url,
    job.error, job.total, job.upload_id, job.prepared_bytes, job.prepared_lines,
    job.result_key is not null as has_result, job.retries, job.created_by, job.created_at,
    job.started_at, job.finished_at, counted.*, tallied.tallies, lately.*,
    now() as observed_at
from app.batch_jobs as job
{COUNTED}
cross join lateral (
    select coalesce(jsonb_object_agg(code, items), '{{}}') as tallies
    from (
        select code, sum(count::integer)::integer as items
        from app.batch_chunks as chunk cross join lateral jsonb_each_text(chunk.tallies) as tally
            (code, count)
        where chunk.job_id = job.id group by code
    ) as tallies
) as tallied
cross join lateral (
    select sum(size)::integer as late_items, max(finished_at) as late_at,
        extract(epoch from max(finished_at) - min(started_at))::float8 as late_seconds
    from (
        select size, started_at, finished_at from app.batch_chunks
        where job_id = job.id and state = 'done' and started_at is not null
        order by finished_at desc limit %(lately)s
    ) as chunk
) as lately
where job.account_id = (select auth.account_id()) and job.id = %(id)s
"""


def get(connection: Connection, job_id: UUID) -> Job:
    """A batch of the caller's. Raises NotFoundError, also for another account's."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(GET, {"id": job_id, "lately": LATELY}).fetchone()
    if row is None:
        raise NotFoundError("There is no such batch.")
    return job(row)


AS_THEY_ARE: Final = (
    *("id", "operation", "parameters", "status", "priority", "dry_run", "stop_on_error_percent"),
    *("rate_limit_per_second", "dedupe_key", "notify_url", "error", "has_result", "retries"),
    *("created_by", "created_at", "started_at", "finished_at", "observed_at"),
)
UNMATCHED: Final = frozenset({"created", "missing", "invalid", "error", "skipped"})
UNMATCHED_BY: Final = {"import_clients": UNMATCHED | {"quota"}}  # who had no room was nobody yet


def job(row: Mapping[str, Any]) -> Job:
    counts, rate = counts_of(row), rate_of(row)
    unmatched = UNMATCHED_BY.get(row["operation"], UNMATCHED)
    matched = sum(count for code, count in row["tallies"].items() if code not in unmatched)
    read = Read(row["upload_id"], row["prepared_bytes"], row["prepared_lines"])
    return Job(
        **{name: row[name] for name in AS_THEY_ARE},
        counts=counts,
        tallies=row["tallies"] | {"matched": matched},
        chunks=Chunks(row["pending_chunks"], row["running_chunks"], row["done_chunks"]),
        rate=rate,
        expected=expected(row, counts, rate),
        upload=read if row["upload_id"] else None,
    )


def counts_of(row: Mapping[str, Any]) -> Counts:
    done = row["succeeded"] + row["failed"] + row["skipped"]
    pending = None if row["total"] is None else row["total"] - done
    return Counts(row["total"], row["succeeded"], row["failed"], row["skipped"], pending)


def rate_of(row: Mapping[str, Any]) -> Rate:
    if not row["late_items"] or not row["late_seconds"]:
        return Rate(None, NONE_YET)
    if row["finished_at"] is None and row["observed_at"] - row["late_at"] > STALE:
        return Rate(None, NONE_LATELY)
    return Rate(round(row["late_items"] / row["late_seconds"], 3), None)


def expected(row: Mapping[str, Any], counts: Counts, rate: Rate) -> Expected:
    reason = OVER if row["status"] in FINAL else STANDING.get(row["status"], rate.reason)
    if reason or rate.items_per_second is None or counts.pending is None:
        return Expected(None, None, reason or UNREAD)
    seconds = round(counts.pending / rate.items_per_second, 3)
    return Expected(row["observed_at"] + timedelta(seconds=seconds), seconds, None)


LIST: Final[LiteralString] = f"""
select job.id, job.operation, job.status, job.priority, job.dry_run, job.error, job.total,
    job.created_by, job.created_at, job.started_at, job.finished_at, counted.*
from (
    select * from app.batch_jobs
    where account_id = (select auth.account_id())
      and (%(status)s::text is null or status = %(status)s)
      and (%(operation)s::text is null or operation = %(operation)s)
      and (%(created_from)s::date is null or created_at >= %(created_from)s)
      and (%(created_to)s::date is null or created_at < %(created_to)s::date + 1)
      and (%(after_id)s::uuid is null
           or (created_at, id) < (%(after)s::timestamptz, %(after_id)s))
    order by created_at desc, id desc limit %(limit)s
) as job
{COUNTED}
order by job.created_at desc, job.id desc
"""
LISTED: Final = tuple(name for name in Summary.__dataclass_fields__ if name != "counts")


def page(connection: Connection, wanted: Listing) -> Page[Summary]:
    """One page of the caller's batches. Raises InvalidInputError for a foreign cursor."""
    after, after_id = paging.decode(wanted.cursor, datetime.fromisoformat)
    values = wanted.model_dump() | {"after": after, "after_id": after_id}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(LIST, values | {"limit": wanted.limit + 1}).fetchall()
    found = [Summary(**{name: row[name] for name in LISTED}, counts=counts_of(row)) for row in rows]
    return paging.page(found, wanted.limit, lambda row: (row.created_at, row.id))


@dataclass(frozen=True, slots=True)
class Held:
    """A batch whose state nobody changes until the commit."""

    id: UUID
    status: Status
    priority: Priority
    started_at: datetime | None


HOLD: Final = """
select id, status, priority, started_at from app.batch_jobs
where account_id = (select auth.account_id()) and id = %(id)s for no key update
"""


def hold(connection: Connection, job_id: UUID) -> Held:
    with connection.cursor(row_factory=class_row(Held)) as cursor:
        found = cursor.execute(HOLD, {"id": job_id}).fetchone()
    if found is None:
        raise NotFoundError("There is no such batch.")
    return found

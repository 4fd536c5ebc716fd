"""What the monitor answers about batches: the newest of all accounts, and what they came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.operations.webhooks import requests
from quotekit.operations.webhooks.counts import Period

MOST: Final = 100
SOURCE: Final = "app.batch_jobs; of those that are not over, app.batch_chunks"
UNKNOWN: Final = {
    "recent_jobs[].total_items": "null until its upload is read",
    "recent_jobs[].progress_percent": "null until its upload is read",
    "recent_jobs[].execution_time_ms": "null until it is over, or when it was over unstarted",
    "statistics.average_execution_time_ms": "null when no job of the period was over",
}


@dataclass(frozen=True, slots=True)
class Job:
    """Its counts are of committed items."""

    id: UUID
    account_id: UUID
    operation_type: str
    priority: str
    dry_run: bool
    total_items: int | None
    processed_items: int
    succeeded_items: int
    failed_items: int
    skipped_items: int
    progress_percent: float | None
    status: str
    error: str | None
    retries: int
    execution_time_ms: float | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of all jobs made in the period, those that still run included. Processed is what succeeded,
    failed or was skipped; times are in ms, from a job's start to its end."""

    total: int
    by_status: Mapping[str, int]
    by_operation: Mapping[str, int]
    total_items_processed: int
    total_items_failed: int
    total_execution_time: float
    jobs_with_timing: int
    average_execution_time_ms: float | None


@dataclass(frozen=True, slots=True)
class Filter:
    days_back: int
    limit: int = MOST


@dataclass(frozen=True, slots=True)
class Jobs:
    recent_jobs: Sequence[Job]
    statistics: Statistics
    filter: Filter
    unknown: Mapping[str, str]
    observed_at: datetime
    source: str = SOURCE


RECENT: Final = """
select job.id, job.account_id, job.operation as operation_type, job.priority, job.dry_run,
    job.total as total_items, counted.succeeded + counted.failed + counted.skipped
        as processed_items,
    counted.succeeded as succeeded_items, counted.failed as failed_items,
    counted.skipped as skipped_items,
    case when job.total = 0 then 100 else round(100.0 * (counted.succeeded + counted.failed
        + counted.skipped) / job.total, 2) end::float8 as progress_percent,
    job.status, job.error, job.retries,
    round(extract(epoch from job.finished_at - job.started_at) * 1000, 3)::float8
        as execution_time_ms,
    job.created_at, job.started_at, job.finished_at as completed_at
from app.batch_jobs as job
cross join lateral (
    select coalesce(job.items_succeeded, sum(chunk.succeeded), 0)::integer as succeeded,
        coalesce(job.items_failed, sum(chunk.failed), 0)::integer as failed,
        coalesce(job.items_skipped, sum(chunk.skipped), 0)::integer as skipped
    from app.batch_chunks as chunk where chunk.job_id = job.id and job.finished_at is null
) as counted
where job.created_at >= %(since)s
order by job.created_at desc, job.id desc limit %(most)s
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The jobs of an operation that are in the same state."""

    operation: str
    status: str
    jobs: int
    processed: int
    failed: int
    milliseconds: float
    timed: int


GROUPS: Final = """
with running as (
    select chunk.job_id, sum(chunk.succeeded) as succeeded, sum(chunk.failed) as failed,
        sum(chunk.skipped) as skipped
    from app.batch_jobs as job join app.batch_chunks as chunk on chunk.job_id = job.id
    where job.finished_at is null and job.created_at >= %(since)s group by chunk.job_id
)
select job.operation, job.status, count(*) as jobs,
    coalesce(sum(coalesce(job.items_succeeded + job.items_failed + job.items_skipped,
        running.succeeded + running.failed + running.skipped)), 0)::bigint as processed,
    coalesce(sum(coalesce(job.items_failed, running.failed)), 0)::bigint as failed,
    coalesce(extract(epoch from sum(job.finished_at - job.started_at)) * 1000, 0)::float8
        as milliseconds,
    count(job.finished_at - job.started_at) as timed
from app.batch_jobs as job left join running on running.job_id = job.id
where job.created_at >= %(since)s group by job.operation, job.status
"""


def batch_jobs(connection: Connection, asked: requests.Period, now: datetime) -> Jobs:
    """The latest hundred, and sums over the whole period."""
    since = Period.of(asked.days_back, now).since
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        recent = cursor.execute(RECENT, {"since": since, "most": MOST}).fetchall()
    return Jobs(
        recent_jobs=recent,
        statistics=summed(groups(connection, since)),
        filter=Filter(asked.days_back),
        unknown=UNKNOWN,
        observed_at=now,
    )


def groups(connection: Connection, since: datetime) -> list[Group]:
    with connection.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(GROUPS, {"since": since}).fetchall()


def summed(found: Sequence[Group]) -> Statistics:
    timed = sum(group.timed for group in found)
    spent = sum(group.milliseconds for group in found)
    return Statistics(
        total=sum(group.jobs for group in found),
        by_status=_by([(group.status, group.jobs) for group in found]),
        by_operation=_by([(group.operation, group.jobs) for group in found]),
        total_items_processed=sum(group.processed for group in found),
        total_items_failed=sum(group.failed for group in found),
        total_execution_time=round(spent, 3),
        jobs_with_timing=timed,
        average_execution_time_ms=round(spent / timed, 3) if timed else None,
    )


def _by(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, count in sorted(pairs):
        counts[name] = counts.get(name, 0) + count
    return counts

"""Who works at what: leases on chunks and jobs, taken, held, and given back.

A lease that nobody renews is another's after some seconds. Its number says whose work counts: one
who was stopped meanwhile finds a higher one in the row, and nothing of his is committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row

from quotekit import database
from quotekit.batches.model import Priority, Status, Work
from quotekit.database import SERVICE, Connection
from quotekit.settings import batch_settings

FIRST_PAUSE: Final = 1.0  # seconds; doubled with each failure
LONGEST_PAUSE: Final = 60.0
ERROR: Final = 2_000  # characters of it that are kept
RUNNABLE: Final = frozenset({"pending", "running"})


class LeaseLostError(Exception):
    """Another has it now: what this worker did is not committed."""


class NotRunnableError(Exception):
    """The job was paused, cancelled or stopped."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on a chunk of a job, or on a job that is to be prepared or finished."""

    kind: Literal["prepare", "chunk", "finish"]
    id: UUID
    account_id: UUID
    created_by: UUID
    operation: str
    parameters: Mapping[str, Any]
    priority: Priority
    status: Status
    dry_run: bool
    is_limited: bool
    stops: bool
    notifies: bool
    lease: int
    took_over: bool
    failures: int
    number: int
    items: list[Any]
    results: list[dict[str, Any] | None]

    def work(self, parameters: Any) -> Work:  # noqa: ANN401 - the operation's own
        return Work(
            job_id=self.id,
            account_id=self.account_id,
            created_by=self.created_by,
            parameters=parameters,
            dry_run=self.dry_run,
            now=datetime.now(UTC),
            number=self.number,
        )

    @property
    def key(self) -> dict[str, Any]:
        return {"job_id": self.id, "number": self.number, "lease": self.lease}


CLAIM: Final = """
select kind, id, account_id, created_by, operation, parameters, priority, status, dry_run,
    is_limited, stops, notifies, lease, took_over, failures, number, items, results
from app.claim_batch_v1(%(priority)s, %(seconds)s::numeric, %(finishing)s::numeric)
"""


def claim(priority: Priority, *, seconds: float) -> Claim | None:
    """Take what is next; `seconds` is what this worker has left, for a job to be finished."""
    lease = batch_settings().lease_seconds
    values = {"priority": priority, "seconds": lease, "finishing": max(lease, seconds)}
    with (
        database.transaction(SERVICE) as connection,
        connection.cursor(row_factory=class_row(Claim)) as cursor,
    ):
        return cursor.execute(CLAIM, values).fetchone()


HOLD: Final = """
select job.status
from app.batch_chunks as chunk join app.batch_jobs as job on job.id = chunk.job_id
where chunk.job_id = %(job_id)s and chunk.number = %(number)s and chunk.lease = %(lease)s
for no key update of chunk
"""


def hold(connection: Connection, claim: Claim) -> None:
    """Keep the chunk until the end of the transaction, if it is still this worker's to work at."""
    row = connection.execute(HOLD, claim.key).fetchone()
    if row is None:
        raise LeaseLostError
    if row[0] not in RUNNABLE:
        raise NotRunnableError


RENEW: Final = """
update app.batch_chunks set leased_until = clock_timestamp() + make_interval(secs => %(seconds)s)
where job_id = %(job_id)s and number = %(number)s and lease = %(lease)s
"""


def renew(connection: Connection, claim: Claim) -> None:
    connection.defer(RENEW, {**claim.key, "seconds": batch_settings().lease_seconds})


HAND_BACK: Final = """
update app.batch_chunks
set state = 'pending', lease = null, leased_until = null, error = left(%(error)s, %(most)s),
    failures = failures + (%(error)s::text is not null)::integer,
    due_at = clock_timestamp() + make_interval(secs => %(pause)s)
where job_id = %(job_id)s and number = %(number)s and lease = %(lease)s
"""


def hand_back(claim: Claim, error: str | None = None) -> None:
    """Let others have the chunk: at once, or after a pause when it failed here."""
    wait = pause(claim.failures) if error else 0.0
    values = {**claim.key, "error": error, "most": ERROR, "pause": wait}
    with database.transaction(SERVICE) as connection:
        connection.defer(HAND_BACK, values)


def pause(failures: int) -> float:
    """Seconds a chunk rests after so many failures before this one."""
    return min(FIRST_PAUSE * 2.0**failures, LONGEST_PAUSE)


RELEASE: Final = """
update app.batch_jobs set lease = null, leased_until = null, failures = 0
where id = %(job_id)s and lease = %(lease)s
"""


def release(claim: Claim) -> None:
    """Let go of a job that was prepared, or of which a part was."""
    with database.transaction(SERVICE) as connection:
        connection.defer(RELEASE, claim.key)


POSTPONE: Final = """
update app.batch_jobs set leased_until = clock_timestamp() + make_interval(secs => %(pause)s)
where id = %(job_id)s and lease = %(lease)s
"""


def postpone(claim: Claim) -> None:
    """Leave a job alone for a while after a failure; whoever takes it then counts that."""
    with database.transaction(SERVICE) as connection:
        connection.defer(POSTPONE, {**claim.key, "pause": pause(claim.failures)})


ALLOW: Final = """
with known as (
    select job.id, app.batch_allowance_v1(job) as allowance
    from app.batch_jobs as job where job.id = %(id)s for no key update
), granted as (
    select id, allowance, floor(least(allowance, %(wanted)s::numeric)) as items from known
)
update app.batch_jobs as job
set rate_allowance = granted.allowance - granted.items, rate_at = clock_timestamp()
from granted where job.id = granted.id
returning granted.items::integer
"""


def allowance(claim: Claim, wanted: int) -> int:
    """How many of these items the job's rate limit lets begin now."""
    with database.transaction(SERVICE) as connection:
        row = connection.execute(ALLOW, {"id": claim.id, "wanted": wanted}).fetchone()
    return row[0] if row else 0


AWAIT: Final = """
with due as (
    select extract(epoch from max(moment) - clock_timestamp()) as seconds
    from (
        select min(chunk.due_at) as moment from app.batch_chunks as chunk
        where chunk.job_id = %(id)s and chunk.state = 'pending'
        union all
        select job.rate_at + make_interval(secs => (1 / job.rate_limit_per_second)::float8)
        from app.batch_jobs as job where job.id = %(id)s
    ) as moments
    where exists (select from app.batch_chunks where job_id = %(id)s and state = 'pending')
), known as (
    select least(greatest(ceil(seconds), 1), 900)::float8 as seconds
    from due where seconds is not null
)
update app.batch_jobs as job
set awaited_until = clock_timestamp() + make_interval(secs => known.seconds)
from known
where job.id = %(id)s and job.status in ('pending', 'running')
  and (job.awaited_until is null or job.awaited_until <= clock_timestamp())
returning known.seconds
"""


def awaited(job_id: UUID) -> int | None:
    """Seconds after which a job has work again, when no other's ticket waits for that."""
    with database.transaction(SERVICE) as connection:
        row = connection.execute(AWAIT, {"id": job_id}).fetchone()
    return int(row[0]) if row else None

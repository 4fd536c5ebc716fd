"""What an account's own server is told of a batch: promised with the event, kept with its fate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import auth, database
from quotekit.auth import Principal
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.identifiers import new_id
from quotekit.outbox import Promise

type Event = Literal["started", "progress", "finished", "failed"]
type Fate = Literal["pending", "delivered", "failed", "dropped"]

# Progress never waits for another worker's row: whoever holds it has news as fresh.
DUE: Final = """
with due as (
    select id from app.batch_jobs
    where id = %(job_id)s and account_id = %(account_id)s and notify_url is not null
      and started_at is not null and finished_at is null
      and coalesce(announced_at, started_at) <= now() - interval '10 seconds'
    for no key update skip locked
)
update app.batch_jobs as job set announced_at = now() from due where job.id = due.id returning true
"""
ISO: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
PROMISE: Final = """
with counted as (
    select coalesce(sum(succeeded), 0) as succeeded, coalesce(sum(failed), 0) as failed,
           coalesce(sum(skipped), 0) as skipped
    from app.batch_chunks where account_id = %(account_id)s and job_id = %(job_id)s
), noticed as (
    insert into app.batch_notices (id, account_id, job_id, run, event, data)
    select %(id)s, job.account_id, job.id, job.retries, %(event)s, jsonb_build_object(
        'batch_id', job.id, 'operation', job.operation, 'dry_run', job.dry_run,
        'status', job.status, 'error', job.error, 'total', job.total,
        'succeeded', counted.succeeded, 'failed', counted.failed, 'skipped', counted.skipped,
        'pending', job.total - counted.succeeded - counted.failed - counted.skipped,
        'started_at', to_char(job.started_at at time zone 'UTC', %(iso)s),
        'finished_at', to_char(job.finished_at at time zone 'UTC', %(iso)s)) || %(details)s::jsonb
    from app.batch_jobs as job cross join counted
    where job.id = %(job_id)s and job.account_id = %(account_id)s and job.notify_url is not null
    on conflict (job_id, run, event) where event <> 'progress' do nothing
    returning id, account_id
)
insert into app.outbox (id, account_id, topic, payload)
select %(outbox_id)s, account_id, 'notifications', jsonb_build_object('notice_id', id)
from noticed returning id, topic, payload
"""


def promise(
    connection: Connection,
    job_id: UUID,
    account_id: UUID,
    event: Event,
    details: Mapping[str, Any] | None = None,
) -> list[Promise]:
    """Promise a notification, as the service; nothing when nobody is to be told.

    Call it in the transaction that settles the job's status and counts: they are told as it sees
    them. Each run of a job starts and ends once, whoever says so; progress is told every ten
    seconds at most. The caller delivers after the commit.
    """
    values: dict[str, Any] = {"job_id": job_id, "account_id": account_id, "event": event}
    if event == "progress" and connection.execute(DUE, values).fetchone() is None:
        return []
    values |= {"id": new_id(), "outbox_id": new_id(), "details": Jsonb(details or {}), "iso": ISO}
    with connection.cursor(row_factory=class_row(Promise)) as cursor:
        return cursor.execute(PROMISE, values).fetchall()


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification on its way; `overtaken` when it is progress and there is newer news."""

    id: UUID
    account_id: UUID
    notify_url: str | None
    event: Event
    data: Mapping[str, Any]
    created_at: datetime
    status: Fate
    overtaken: bool

    @property
    def document(self) -> dict[str, Any]:
        """The body, by the conventions of Standard Webhooks."""
        moment = self.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"type": f"batch.{self.event}", "timestamp": moment, "data": self.data}


GET: Final = """
select notice.id, notice.account_id, job.notify_url, notice.event, notice.data, notice.created_at,
       notice.status, notice.event = 'progress' and exists (
           select from app.batch_notices as newer
           where newer.account_id = notice.account_id and newer.job_id = notice.job_id
             and newer.created_at > notice.created_at) as overtaken
from app.batch_notices as notice
join app.batch_jobs as job on job.account_id = notice.account_id and job.id = notice.job_id
where notice.id = %(id)s
"""


def get(connection: Connection, notice_id: UUID) -> Notice | None:
    with connection.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(GET, {"id": notice_id}).fetchone()


DROP: Final = """
update app.batch_notices set status = 'dropped', reason = 'newer news had overtaken it'
where id = %(id)s and status = 'pending'
"""


def drop(connection: Connection, notice_id: UUID) -> None:
    connection.execute(DROP, {"id": notice_id})


ATTEMPTED: Final = """
update app.batch_notices
set status = %(status)s, attempts = attempts + 1, response_status = %(response_status)s,
    reason = left(%(reason)s, 2000), milliseconds = %(milliseconds)s, attempted_at = now()
where id = %(id)s and status = 'pending'
"""


def attempted(
    connection: Connection,
    notice_id: UUID,
    fate: Fate,
    *,
    response_status: int | None,
    reason: str | None,
    milliseconds: float,
) -> None:
    """Write down an attempt and what it came to."""
    values = {
        "id": notice_id,
        "status": fate,
        "response_status": response_status,
        "reason": reason,
        "milliseconds": milliseconds,
    }
    connection.execute(ATTEMPTED, values)


@dataclass(frozen=True, slots=True)
class Told:
    """A notification as its account sees it. `reason` says why it has not arrived yet."""

    id: UUID
    type: str
    status: Fate
    attempts: int
    response_status: int | None
    reason: str | None
    milliseconds: float | None
    created_at: datetime
    attempted_at: datetime | None


TOLD: Final = """
select notice.id, 'batch.' || notice.event as type, notice.status, notice.attempts,
       notice.response_status, notice.reason, notice.milliseconds::float8, notice.created_at,
       notice.attempted_at
from app.batch_notices as notice
where notice.account_id = (select auth.account_id()) and notice.job_id = %(job_id)s
order by notice.created_at desc, notice.id desc limit 100
"""
KNOWN: Final = """
select true from app.batch_jobs where account_id = (select auth.account_id()) and id = %(job_id)s
"""


def told(connection: Connection, job_id: UUID) -> Sequence[Told]:
    """The newest hundred notifications of a batch. Raises NotFoundError."""
    values = {"job_id": job_id}
    if connection.execute(KNOWN, values).fetchone() is None:
        raise NotFoundError("There is no such batch.")
    with connection.cursor(row_factory=class_row(Told)) as cursor:
        return cursor.execute(TOLD, values).fetchall()


@dataclass(frozen=True, slots=True)
class Signing:
    """What an account checks its notifications with; `previous` is still good while it is there."""

    secret: str
    previous: str | None


def signing(caller: Principal) -> Signing:
    """For who manages the account. Raises ForbiddenError."""
    from quotekit.batches import signatures  # noqa: PLC0415 - http.client and ssl, for this only

    with database.reading(caller.actor) as connection:
        auth.require_manager(connection)
    newest, *older = signatures.signing_secrets(caller.account_id)
    return Signing(newest, older[0] if older else None)

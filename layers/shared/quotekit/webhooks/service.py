"""Sending dead events again: one, those that match, or all; a part a minute, until told to stop.

A redrive is a row. Each part moves its cursor, marks the events and promises their messages in one
transaction: killed anywhere, the next part goes on behind the last, and nothing is promised twice.
What took effect meanwhile is not dead any more, and the worker would do nothing with it anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import outbox
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.identifiers import new_id
from quotekit.outbox import Promise
from quotekit.webhooks.model import Category

PER_MINUTE: Final = 600
MOST_IN_A_PART: Final = 1000
PERIOD: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead events; what is None matches all. `error` is a part of the error's text."""

    source: str | None = None
    type: str | None = None
    category: Category | None = None
    error: str | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    ids: Sequence[UUID] | None = None

    @property
    def stored(self) -> dict[str, Any]:
        """Without what matches all, as JSON can hold it."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        return {
            key: [str(item) for item in value] if key == "ids" else _text(value)
            for key, value in given.items()
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Filter":
        given = dict(stored)
        for key in ("received_since", "received_until"):
            if key in given:
                given[key] = datetime.fromisoformat(given[key])
        if "ids" in given:
            given["ids"] = [UUID(item) for item in given["ids"]]
        return cls(**given)


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True)
class Redrive:
    """`outcomes` counts the events sent again by their status now. `id` is None for a dry run."""

    id: UUID | None
    filter: Mapping[str, Any]
    per_minute: int
    status: Literal["running", "cancelled", "done", "dry_run"]
    matching: int
    promised: int
    created_by: UUID | None
    reason: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    outcomes: Mapping[str, int] = field(default_factory=dict)


COUNT: Final = """
select count(*) from ops.webhook_events as event
where event.status = 'dead'
  and (%(source)s::text is null or event.source = %(source)s)
  and (%(type)s::text is null or event.type = %(type)s)
  and (%(category)s::text is null or event.category = %(category)s)
  and (%(error)s::text is null or position(lower(%(error)s) in lower(event.error)) > 0)
  and (%(received_since)s::timestamptz is null or event.received_at >= %(received_since)s)
  and (%(received_until)s::timestamptz is null or event.received_at < %(received_until)s)
  and (%(ids)s::uuid[] is null or event.id = any(%(ids)s))
"""
BEGIN: Final = """
insert into ops.webhook_redrives (id, filter, per_minute, matching, created_by, reason)
values (%(id)s, %(filter)s, %(per_minute)s, %(matching)s, %(created_by)s, %(reason)s)
returning id, filter, per_minute, status, matching, promised, created_by, reason, created_at,
    updated_at, finished_at
"""


def start_redrive(
    connection: Connection,
    chosen: Filter,
    *,
    now: datetime,
    by: UUID | None = None,
    reason: str = "",
    per_minute: int = PER_MINUTE,
    dry_run: bool = False,
) -> Redrive:
    """Begin a redrive, or count what it would send; `continue_redrives` sends the parts."""
    (matching,) = connection.execute(COUNT, asdict(chosen)).fetchone() or (0,)
    if dry_run:
        return Redrive(
            *(None, chosen.stored, per_minute, "dry_run", matching, 0, by, reason, now, now, now)
        )
    values = {
        "id": new_id(),
        "filter": Jsonb(chosen.stored),
        "per_minute": per_minute,
        "matching": matching,
        "created_by": by,
        "reason": reason,
    }
    with connection.cursor(row_factory=class_row(Redrive)) as cursor:
        (redrive,) = cursor.execute(BEGIN, values).fetchall()
    return redrive


STOP: Final = """
update ops.webhook_redrives set status = 'cancelled', finished_at = now()
where id = %(id)s and status = 'running'
"""
RESUME: Final = """
update ops.webhook_redrives set status = 'running', finished_at = null
where id = %(id)s and status = 'cancelled'
"""


def cancel_redrive(connection: Connection, redrive_id: UUID) -> Redrive:
    """Send no further part; what was sent stays sent. Raises NotFoundError."""
    connection.execute(STOP, {"id": redrive_id})
    return redrive_status(connection, redrive_id)


def resume_redrive(connection: Connection, redrive_id: UUID) -> Redrive:
    """Go on behind the last part of a cancelled redrive. Raises NotFoundError."""
    connection.execute(RESUME, {"id": redrive_id})
    return redrive_status(connection, redrive_id)


STATUS: Final = """
select id, filter, per_minute, status, matching, promised, created_by, reason, created_at,
    updated_at, finished_at, (
        select coalesce(jsonb_object_agg(status, events), '{}') from (
            select event.status, count(*) as events
            from ops.webhook_redrive_items as item
            join ops.webhook_events as event on event.id = item.webhook_id
            where item.redrive_id = redrive.id group by event.status
        ) as counted
    ) as outcomes
from ops.webhook_redrives as redrive
where %(id)s::uuid is null or id = %(id)s
order by created_at desc, id desc limit %(limit)s
"""


def redrive_status(connection: Connection, redrive_id: UUID) -> Redrive:
    """Raises NotFoundError."""
    found = redrives(connection, redrive_id=redrive_id)
    if not found:
        raise NotFoundError("There is no such redrive.")
    return found[0]


def redrives(
    connection: Connection, *, redrive_id: UUID | None = None, limit: int = 50
) -> list[Redrive]:
    """The latest first."""
    with connection.cursor(row_factory=class_row(Redrive)) as cursor:
        return cursor.execute(STATUS, {"id": redrive_id, "limit": limit}).fetchall()


RETRY: Final = """
update ops.webhook_events set status = 'queued', failures = 0, finished_at = null
where id = %(id)s and status in ('dead', 'failed')
returning queue
"""
SEEN: Final = "select status from ops.webhook_events where id = %(id)s"


def retry_event(connection: Connection, webhook_id: UUID) -> Promise:
    """Send one event again; deliver the promise after the commit.

    Raises NotFoundError, and ConflictError for what has taken effect or is on its way already.
    """
    row = connection.execute(RETRY, {"id": webhook_id}).fetchone()
    if row:
        return outbox.promise_for_house(connection, row[0], {"stored": str(webhook_id)})
    seen = connection.execute(SEEN, {"id": webhook_id}).fetchone()
    if seen is None:
        raise NotFoundError("There is no such event.")
    raise ConflictError(f"The event is {seen[0]}; only a failed or dead one is sent again.")


@dataclass(frozen=True, slots=True)
class Running:
    id: UUID
    filter: Mapping[str, Any]
    per_minute: int
    continued_at: datetime | None


RUNNING: Final = """
select id, filter, per_minute, continued_at from ops.webhook_redrives
where status = 'running' order by created_at, id for update skip locked
"""
PART: Final = """
with chosen as (
    select event.id, event.queue from ops.webhook_events as event
    join ops.webhook_redrives as redrive on redrive.id = %(redrive_id)s
    where event.status = 'dead' and event.recorded_at <= redrive.created_at
      and (redrive.after_id is null or event.id > redrive.after_id)
      and (%(source)s::text is null or event.source = %(source)s)
      and (%(type)s::text is null or event.type = %(type)s)
      and (%(category)s::text is null or event.category = %(category)s)
      and (%(error)s::text is null or position(lower(%(error)s) in lower(event.error)) > 0)
      and (%(received_since)s::timestamptz is null or event.received_at >= %(received_since)s)
      and (%(received_until)s::timestamptz is null or event.received_at < %(received_until)s)
      and (%(ids)s::uuid[] is null or event.id = any(%(ids)s))
    order by event.id limit %(limit)s for update of event
), moved as (
    update ops.webhook_redrives as redrive
    set after_id = coalesce((select id from chosen order by id desc limit 1), redrive.after_id),
        promised = redrive.promised + (select count(*) from chosen), continued_at = %(now)s,
        status = case when (select count(*) from chosen) < %(limit)s then 'done' else 'running' end,
        finished_at = case when (select count(*) from chosen) < %(limit)s then now() end
    where redrive.id = %(redrive_id)s
), marked as (
    update ops.webhook_events as event set status = 'queued', failures = 0, finished_at = null
    from chosen where event.id = chosen.id
), noted as (
    insert into ops.webhook_redrive_items (redrive_id, webhook_id)
    select %(redrive_id)s, id from chosen
)
insert into app.outbox (id, topic, payload)
select gen_random_uuid(), queue, jsonb_build_object('stored', id) from chosen
returning id, topic, payload
"""


def continue_redrives(connection: Connection, now: datetime) -> list[Promise]:
    """Promise the next part of every running redrive; deliver the promises after the commit."""
    with connection.cursor(row_factory=class_row(Running)) as cursor:
        running = cursor.execute(RUNNING).fetchall()
    return [promise for redrive in running for promise in _continue(connection, redrive, now)]


def _continue(connection: Connection, redrive: Running, now: datetime) -> list[Promise]:
    limit = _allowance(redrive, now)
    if not limit:
        return []
    values = asdict(Filter.of(redrive.filter)) | {
        "redrive_id": redrive.id,
        "limit": limit,
        "now": now,
    }
    with connection.cursor(row_factory=class_row(Promise)) as cursor:
        return cursor.execute(PART, values).fetchall()


def _allowance(redrive: Running, now: datetime) -> int:
    """How many may go now: a minute's worth at most, less when the last part was just sent."""
    passed = PERIOD if redrive.continued_at is None else now - redrive.continued_at
    share = min(max(passed / PERIOD, 0), 1)
    return min(int(redrive.per_minute * share), MOST_IN_A_PART)

"""What the monitor answers about who did what: each attempt at an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.operations.webhooks import counts, requests
from quotekit.operations.webhooks.counts import Period


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt at an event."""

    id: UUID
    attempt: int
    source: str
    event_id: str
    event_type: str
    signature_validated: bool
    idempotency_checked: bool
    handler_matched: bool | None
    processing_started_at: datetime
    processing_ended_at: datetime
    total_processing_time_ms: float
    outcome: str
    error: str | None
    account_id: UUID | None
    response_status: None = None
    user_id: None = None
    ip_address: None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Events of the whole period, not of the entries shown only."""

    total: int
    signature_validated: int
    idempotency_checked: int
    handler_matched: int
    successful: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    days_back: int
    limit: int


@dataclass(frozen=True, slots=True)
class Audit:
    audit_entries: Sequence[Entry]
    validation_stats: Validation
    refusals_sampled: Mapping[str, int]
    filter: AuditFilter
    unknown: Mapping[str, str]
    observed_at: datetime
    source: str = "ops.webhook_attempts with ops.webhook_events; the stats from ops.webhook_days"


UNKNOWN: Final = {
    "audit_entries[].handler_matched": "null where the attempt failed before it could be said",
    "audit_entries[].response_status": "the sender was answered before the event was recorded",
    "audit_entries[].user_id": "a sender is no user; account_id is the tenant where there is one",
    "audit_entries[].ip_address": "senders' addresses are not stored",
    "refusals_sampled": "counts of a sample; the metric Refusals counts every one",
}

ENTRIES: Final = """
select event.id, attempt.number as attempt, event.source, event.event_id, event.type as event_type,
       event.signature_key is not null as signature_validated, unique_key.enforced
           as idempotency_checked,
       case attempt.outcome when 'failed' then null else attempt.outcome <> 'ignored' end
           as handler_matched,
       attempt.started_at as processing_started_at,
       attempt.started_at + attempt.milliseconds * interval '1 millisecond' as processing_ended_at,
       attempt.milliseconds::float8 as total_processing_time_ms, attempt.outcome, attempt.error,
       event.account_id
from ops.webhook_attempts as attempt
join ops.webhook_events as event on event.id = attempt.webhook_id
cross join (
    select coalesce(bool_or(convalidated), false) as enforced from pg_catalog.pg_constraint
    where conrelid = 'ops.webhook_events'::regclass and conname = 'webhook_events_once'
) as unique_key
where attempt.started_at >= %(since)s
order by attempt.started_at desc, attempt.webhook_id desc limit %(limit)s
"""
REFUSALS: Final = """
select reason, count(*) from ops.webhook_refusals
where received_at >= %(since)s group by 1 order by 2 desc, 1 limit 50
"""


def audit_trail(connection: Connection, asked: requests.Trail, now: datetime) -> Audit:
    """The latest attempts, and how many events of the period passed which check."""
    period = Period.of(asked.days_back, now)
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        values = {"since": period.since, "limit": asked.limit}
        entries = cursor.execute(ENTRIES, values).fetchall()
    counted = counts.by_type(connection, period)
    refusals = connection.execute(REFUSALS, {"since": period.since}).fetchall()
    total = sum(one.events for one in counted)
    return Audit(
        audit_entries=entries,
        validation_stats=Validation(
            total=total,
            signature_validated=sum(one.verified for one in counted),
            idempotency_checked=total if all(one.idempotency_checked for one in entries) else 0,
            handler_matched=sum(one.applied + one.stale for one in counted),
            successful=sum(one.processed for one in counted),
        ),
        refusals_sampled=dict(refusals),
        filter=AuditFilter(asked.days_back, asked.limit),
        unknown=UNKNOWN,
        observed_at=now,
    )

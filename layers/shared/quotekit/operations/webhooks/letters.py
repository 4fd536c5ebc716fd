"""Dead letters: how many there are, why, which; and settling one by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.operations.webhooks import requests

MANUAL: Final = "validation"  # a retry cannot mend it
MANY_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """An event that died `failure_count` times, after so many attempts in all.

    `webhook_id` and `attempts` are null where nobody could read the event."""

    id: UUID
    webhook_id: UUID | None
    source: str
    event_id: str
    event_type: str | None
    failure_reason: str
    failure_count: int
    first_failed_at: datetime
    last_failed_at: datetime
    last_error_message: str
    requires_manual_review: bool
    attempts: int | None


@dataclass(frozen=True, slots=True)
class Letters:
    unresolved_count: int
    high_priority_count: int
    failure_reasons: Mapping[str, int]
    unresolved_entries: Sequence[FailedMessage]
    high_priority_items: Sequence[FailedMessage]
    limit: int
    observed_at: datetime
    source: str = "ops.webhook_dead_letters"


REASONS: Final = """
select category, count(*), count(*) filter (where category = %(manual)s or count >= %(many)s)
from ops.webhook_dead_letters
where resolved_at is null
group by 1 order by 2 desc, 1
"""
LETTERS: Final = """
select letter.id, letter.webhook_id, letter.source, letter.event_id, letter.type as event_type,
       letter.category as failure_reason, letter.count as failure_count, letter.first_failed_at,
       letter.last_failed_at, letter.reason as last_error_message,
       letter.category = %(manual)s as requires_manual_review, event.attempts
from ops.webhook_dead_letters as letter
left join ops.webhook_events as event on event.id = letter.webhook_id
where letter.resolved_at is null
  and (not %(urgent)s or letter.category = %(manual)s or letter.count >= %(many)s)
order by letter.last_failed_at desc, letter.id limit %(limit)s
"""


def dead_letters(connection: Connection, asked: requests.Latest, now: datetime) -> Letters:
    """What nobody will try again by himself; the newest failures first."""
    reasons = connection.execute(REASONS, {"manual": MANUAL, "many": MANY_FAILURES}).fetchall()
    return Letters(
        unresolved_count=sum(count for _, count, _ in reasons),
        high_priority_count=sum(urgent for _, _, urgent in reasons),
        failure_reasons={category: count for category, count, _ in reasons},
        unresolved_entries=_letters(connection, asked.limit, urgent=False),
        high_priority_items=_letters(connection, asked.limit, urgent=True),
        limit=asked.limit,
        observed_at=now,
    )


def _letters(connection: Connection, limit: int, *, urgent: bool) -> list[FailedMessage]:
    values = {"manual": MANUAL, "many": MANY_FAILURES, "urgent": urgent, "limit": limit}
    with connection.cursor(row_factory=class_row(FailedMessage)) as cursor:
        return cursor.execute(LETTERS, values).fetchall()


@dataclass(frozen=True, slots=True)
class Resolved:
    id: UUID
    resolved_at: datetime
    resolved_by: UUID
    resolution: str


RESOLVE: Final = """
update ops.webhook_dead_letters
set resolved_at = now(), resolved_by = (select auth.uid()), resolution = %(resolution)s
where id = %(id)s and resolved_at is null
returning id, resolved_at, resolved_by, resolution
"""
KNOWN: Final = "select resolution from ops.webhook_dead_letters where id = %(id)s"


def resolve(connection: Connection, letter_id: UUID, body: requests.Resolution) -> Resolved:
    """Settle a dead letter without sending it. Raises NotFoundError, and ConflictError when it is
    settled already."""
    values = {"id": letter_id, "resolution": body.resolution}
    with connection.cursor(row_factory=class_row(Resolved)) as cursor:
        resolved = cursor.execute(RESOLVE, values).fetchone()
    if resolved is None:
        known = connection.execute(KNOWN, values).fetchone()
        if known is None:
            raise NotFoundError("There is no such dead letter.")
        raise ConflictError(f"It was resolved before: {known[0]}")
    audit.record(connection, "webhook_dead_letter.resolved", letter_id, {"how": body.resolution})
    return resolved

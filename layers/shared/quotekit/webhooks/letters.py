"""Dead letters: what failed for good, why, and how often; nothing is thrown away unread."""

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row, dict_row

from quotekit import outbox
from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks import repository
from quotekit.webhooks.model import Category, Event, body_id
from quotekit.webhooks.repository import Topic, storable

UNREADABLE: Final = "unreadable"
NO_TRACE: Final = "no attempt left a trace: the worker was killed, or the database was away"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its dead-letter queue gave it; `unread` says why it is no event's."""

    message_id: str
    queue: Topic
    body: str
    event: Event | None = None
    unread: str = ""

    @property
    def key(self) -> dict[str, Any]:
        """What an event is known by, and what nobody can read by its hash."""
        event = self.event
        return {
            "source": storable(event.source)[:50] if event else UNREADABLE,
            "endpoint_id": event and event.endpoint_id,
            "event_id": storable(event.event_id) if event else body_id(self.body),
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """A letter in the book. `is_new` unless the same message had been written down before."""

    id: UUID
    webhook_id: UUID | None
    category: Category
    count: int
    message_id: str
    is_new: bool = True
    sent_again: bool = False


# One at a time for each event: a message delivered twice would else be judged twice.
LOCK: Final = """
select pg_advisory_xact_lock(hashtextextended(
    concat_ws('|', 'letter', %(source)s::text, %(endpoint_id)s::text, %(event_id)s::text), 0))
"""
KNOWN: Final = """
select id, webhook_id, category, count, message_id, false as is_new
from ops.webhook_dead_letters
where source = %(source)s and event_id = %(event_id)s
  and endpoint_id is not distinct from %(endpoint_id)s::uuid
"""


def record(connection: Connection, letter: Letter) -> Recorded:
    """Write a letter down, in the caller's transaction; the same event counts up.

    An event that was never tried, as far as anything shows, is sent again, once: a database that
    was away for longer than the queue waits needs nobody's hand afterwards.
    """
    connection.defer(LOCK, letter.key)
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        known = cursor.execute(KNOWN, letter.key).fetchone()
    if known and known.message_id == letter.message_id:
        return known
    buried = _bury(connection, letter)
    again = known is None and buried.get("status") == "dead" and not buried["failures"]
    recorded = _write(connection, letter, buried, sent_again=again)
    if again:
        connection.defer(REVIVE, {"id": buried["id"]})
        outbox.promise_for_house(connection, letter.queue, {"stored": str(buried["id"])})
    return recorded


# What was applied stays applied; what was sent again and came back without a trace is unknown.
BURY: Final = """
insert into ops.webhook_events as known (id, source, endpoint_id, event_id, type, action, object_id,
    account_id, handler, queue, debounce_seconds, signature_key, status, attempts, category, error,
    sent_at, received_at, finished_at, bytes, is_json, body)
values (%(id)s, %(source)s, %(endpoint_id)s, %(event_id)s, %(type)s, %(action)s, %(object_id)s,
    %(account_id)s, %(handler)s, %(queue)s, %(debounce_seconds)s, %(signature_key)s, 'dead', 0,
    'unknown', %(no_trace)s, %(sent_at)s, %(received_at)s, now(), %(bytes)s, %(is_json)s, %(body)s)
on conflict on constraint webhook_events_once do update
set status = case when known.status in ('queued', 'failed') then 'dead' else known.status end,
    category = case known.status when 'queued' then 'unknown' else known.category end,
    error = case known.status when 'queued' then %(no_trace)s else known.error end
returning id, status, failures, category, error
"""
REVIVE: Final = """
update ops.webhook_events set status = 'queued', finished_at = null where id = %(id)s
"""


def _bury(connection: Connection, letter: Letter) -> dict[str, Any]:
    """The event's row as it is now, made if nobody could make it before; empty without one."""
    if letter.event is None:
        return {}
    values = repository.values_of(letter.event, letter.queue) | {"no_trace": NO_TRACE}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(BURY, values).fetchone() or {}


WRITE: Final = """
insert into ops.webhook_dead_letters as known (id, webhook_id, source, endpoint_id, event_id, type,
    queue, body, reason, category, message_id, resolved_at, resolution)
values (%(id)s, %(webhook_id)s, %(source)s, %(endpoint_id)s, %(event_id)s, %(type)s, %(queue)s,
    %(body)s, %(reason)s, %(category)s, %(message_id)s,
    case when %(resolution)s::text is not null then now() end, %(resolution)s)
on conflict on constraint webhook_dead_letters_once do update
set count = known.count + 1, last_failed_at = now(), webhook_id = excluded.webhook_id,
    queue = excluded.queue, body = excluded.body, reason = excluded.reason,
    category = excluded.category, message_id = excluded.message_id,
    resolved_at = excluded.resolved_at, resolution = excluded.resolution, resolved_by = null
returning id, webhook_id, category, count, message_id, true as is_new,
    %(sent_again)s::boolean as sent_again
"""


def _write(
    connection: Connection, letter: Letter, buried: dict[str, Any], *, sent_again: bool
) -> Recorded:
    applied = bool(buried) and buried["status"] != "dead"
    unread = letter.unread or "no event's message"
    reason = unread if letter.event is None else buried["error"] or NO_TRACE
    values = letter.key | {
        "id": new_id(),
        "webhook_id": buried.get("id"),
        "type": letter.event and storable(letter.event.type)[:200],
        "queue": letter.queue,
        "body": storable(json.dumps(letter.event.message) if letter.event else letter.body),
        "reason": storable(reason)[:2000],
        "category": _category(letter, buried),
        "message_id": letter.message_id[:200],
        "resolution": "it had been applied" if applied else None,
        "sent_again": sent_again,
    }
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        (recorded,) = cursor.execute(WRITE, values).fetchall()
    return recorded


def _category(letter: Letter, buried: dict[str, Any]) -> Category:
    """From the attempts recorded; a message that is none can only be invalid."""
    if letter.event is None:
        return "validation"
    found: Category = buried["category"] or "unknown"
    return found

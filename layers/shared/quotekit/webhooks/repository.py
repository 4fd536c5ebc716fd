"""Events, their attempts and the senders' objects in PostgreSQL; all of it for the service."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks.model import Category, Event, Outcome, PermanentError

type Topic = Literal["webhooks_critical", "webhooks", "webhooks_bulk"]

TOPICS: Final[tuple[Topic, ...]] = ("webhooks_critical", "webhooks_bulk", "webhooks")

# What JSON may hold and jsonb may not: the null character and half surrogates.
DOUBTFUL: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def topic_of(queue_name: str) -> Topic:
    """The topic of one of the three queues, or of its dead letters."""
    name = queue_name.removesuffix("-dead-letter").replace("-", "_")
    return next(topic for topic in TOPICS if name.endswith(topic))


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event reached the worker this time."""

    queue: Topic
    receives: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """An event that is this transaction's to apply: no other applied it or can meanwhile."""

    id: UUID
    attempts: int
    is_new: bool


CLAIM: Final = """
insert into ops.webhook_events as known (id, source, endpoint_id, event_id, type, action, object_id,
    account_id, handler, queue, debounce_seconds, signature_key, status, sent_at, received_at,
    finished_at, bytes, is_json, body)
values (%(id)s, %(source)s, %(endpoint_id)s, %(event_id)s, %(type)s, %(action)s, %(object_id)s,
    %(account_id)s, %(handler)s, %(queue)s, %(debounce_seconds)s, %(signature_key)s, 'applied',
    %(sent_at)s, %(received_at)s, now(), %(bytes)s, %(is_json)s, %(body)s)
on conflict on constraint webhook_events_once do update
set status = 'applied', attempts = known.attempts + 1, finished_at = now(), error = null,
    category = null
where known.status in ('queued', 'failed', 'dead')
returning id, attempts, id = %(id)s as is_new
"""


def claim(connection: Connection, event: Event, queue: Topic) -> Claim | None:
    """Record the event as applied, which the transaction is to make true; None for a duplicate.

    A twin that comes while this transaction runs waits for its end.
    """
    with connection.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(CLAIM, values_of(event, queue)).fetchone()


ATTEMPT: Final = """
insert into ops.webhook_attempts (webhook_id, number, receives, started_at, milliseconds, outcome,
    category, error, details)
values (%(id)s, %(number)s, %(receives)s, %(started_at)s,
    extract(epoch from clock_timestamp() - %(started_at)s) * 1000, %(outcome)s, %(category)s,
    %(error)s, %(details)s)
"""
OUTCOME: Final = "update ops.webhook_events set status = %(status)s where id = %(id)s"
RESOLVE: Final = """
update ops.webhook_dead_letters set resolved_at = now(), resolution = 'applied after all'
where webhook_id = %(id)s and resolved_at is null
"""


def finish(connection: Connection, claimed: Claim, delivery: Delivery, outcome: Outcome) -> None:
    """Note what the event came to; the statements travel with the commit."""
    if outcome.state != "applied":
        connection.defer(OUTCOME, {"id": claimed.id, "status": outcome.state})
    if not claimed.is_new:
        connection.defer(RESOLVE, {"id": claimed.id})
    _attempt(connection, claimed, delivery, outcome.state, details=dict(outcome.details))


@dataclass(frozen=True, slots=True)
class Failure(Claim):
    """A failed attempt, written down."""

    status: Literal["failed", "dead"]
    failures: int


FAIL: Final = """
insert into ops.webhook_events as known (id, source, endpoint_id, event_id, type, action, object_id,
    account_id, handler, queue, debounce_seconds, signature_key, status, failures, category, error,
    sent_at, received_at, finished_at, bytes, is_json, body)
values (%(id)s, %(source)s, %(endpoint_id)s, %(event_id)s, %(type)s, %(action)s, %(object_id)s,
    %(account_id)s, %(handler)s, %(queue)s, %(debounce_seconds)s, %(signature_key)s,
    case when %(most)s <= 1 then 'dead' else 'failed' end, 1, %(category)s, %(error)s, %(sent_at)s,
    %(received_at)s, now(), %(bytes)s, %(is_json)s, %(body)s)
on conflict on constraint webhook_events_once do update
set status = case when known.failures + 1 >= %(most)s then 'dead' else 'failed' end,
    attempts = known.attempts + 1, failures = known.failures + 1, finished_at = now(),
    category = excluded.category, error = excluded.error
where known.status in ('queued', 'failed', 'dead')
returning id, attempts, id = %(id)s as is_new, status, failures
"""


def fail(
    connection: Connection,
    event: Event,
    delivery: Delivery,
    category: Category,
    error: str,
    *,
    most: int,
) -> Failure | None:
    """Note a failed attempt; dead at the `most`-th. None when a twin applied the event."""
    error = storable(error)[:2000] or "no message"
    values = values_of(event, delivery.queue) | {"category": category, "error": error, "most": most}
    with connection.cursor(row_factory=class_row(Failure)) as cursor:
        failure = cursor.execute(FAIL, values).fetchone()
    if failure:
        _attempt(connection, failure, delivery, "failed", category=category, error=error)
    return failure


def _attempt(
    connection: Connection,
    of: Claim,
    delivery: Delivery,
    outcome: str,
    *,
    category: Category | None = None,
    error: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    values = {
        "id": of.id,
        "number": of.attempts,
        "receives": delivery.receives,
        "started_at": delivery.started_at,
        "outcome": outcome,
        "category": category,
        "error": error,
        "details": Jsonb(details or {}),
    }
    connection.defer(ATTEMPT, values)


LOAD: Final = """
select source, event_id, type, handler, received_at, body, action, object_id,
    sent_at as created_at, account_id, endpoint_id, debounce_seconds, signature_key
from ops.webhook_events where id = %(id)s
"""


def load(connection: Connection, webhook_id: UUID) -> Event:
    """The event a redrive's message means. Raises PermanentError when it is gone."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(LOAD, {"id": webhook_id}).fetchone()
    if row is None:
        raise PermanentError(f"there is no event {webhook_id} any more")
    return Event(**row)


REFUSE: Final = """
insert into ops.webhook_refusals (id, source, endpoint_id, reason, sample, received_at)
values (%(id)s, %(source)s, %(endpoint_id)s, %(reason)s, %(sample)s, %(received_at)s)
on conflict (id) do nothing
"""


def record_refusal(connection: Connection, event: Event) -> None:
    """Keep the sample of a refused request; the same message makes the same row."""
    digest = hashlib.sha256(json.dumps(event.message).encode()).digest()
    values = {
        "id": UUID(bytes=digest[:16]),
        "source": storable(event.source)[:50],
        "endpoint_id": event.endpoint_id,
        "reason": storable(event.refused or "")[:200],
        "sample": storable(event.body),
        "received_at": event.received_at,
    }
    connection.execute(REFUSE, values)


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a sender's object; of all we hear of, the greatest (rank, at, tie) stands.

    A rank above 0 is for states that only a higher one follows, whatever their time. `tie` decides
    between versions of the same time: arbitrary, but the same in every order of arrival.
    """

    source: str
    kind: str
    object_id: str
    state: str
    at: datetime
    tie: str
    rank: int = 0
    scope: str = ""


ADVANCE: Final = """
insert into ops.webhook_objects as known (source, scope, kind, object_id, rank, version_at,
    event_id, state, details)
values (%(source)s, %(scope)s, %(kind)s, %(object_id)s, %(rank)s, %(at)s, %(tie)s, %(state)s,
    %(details)s)
on conflict (source, scope, kind, object_id) do update
set rank = excluded.rank, version_at = excluded.version_at, event_id = excluded.event_id,
    state = excluded.state, details = excluded.details, updated_at = now()
where (excluded.rank, excluded.version_at, excluded.event_id collate "C")
    > (known.rank, known.version_at, known.event_id collate "C")
returning true
"""


def advance(connection: Connection, version: Version, details: dict[str, Any]) -> bool:
    """Bring an object to this version; False when it is already there or further."""
    values = {
        "source": version.source,
        "scope": version.scope,
        "kind": version.kind,
        "object_id": storable(version.object_id)[:500],
        "rank": version.rank,
        "at": version.at,
        "tie": storable(version.tie)[:255],
        "state": storable(version.state)[:100],
        "details": Jsonb(_clean(details)),
    }
    return connection.execute(ADVANCE, values).fetchone() is not None


def values_of(event: Event, queue: Topic) -> dict[str, Any]:
    """The columns of an event's row."""
    return {
        "id": new_id(),
        "source": storable(event.source)[:50],
        "endpoint_id": event.endpoint_id,
        "event_id": storable(event.event_id),
        "type": storable(event.type)[:200],
        "action": event.action and storable(event.action)[:200],
        "object_id": event.object_id and storable(event.object_id)[:255],
        "account_id": event.account_id,
        "handler": storable(event.handler)[:50],
        "queue": queue,
        "debounce_seconds": event.debounce_seconds,
        "signature_key": event.signature_key,
        "sent_at": event.created_at,
        "received_at": event.received_at,
        "bytes": len(event.body.encode(errors="surrogatepass")),
        "is_json": is_json(event),
        "body": storable(event.body),
    }


def storable(text: str) -> str:
    """The text without what PostgreSQL's text cannot hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _clean(details: dict[str, Any]) -> dict[str, Any]:
    """Details whose texts jsonb can hold."""
    return {
        key: storable(value) if isinstance(value, str) else value for key, value in details.items()
    }


def is_json(event: Event) -> bool:
    """Whether PostgreSQL can read the body as jsonb."""
    try:
        parsed = event.parsed
        if not DOUBTFUL.search(event.body):
            return "\x00" not in event.body
        return r"\u0000" not in json.dumps(parsed, ensure_ascii=False).encode().decode()
    except (PermanentError, UnicodeEncodeError):
        return False

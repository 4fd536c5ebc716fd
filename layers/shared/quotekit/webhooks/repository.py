"""Events and their attempts in PostgreSQL; all of it for the service."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from psycopg.rows import class_row, dict_row

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks.model import Category, Event, Outcome, PermanentError, State

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


class Delivered(NamedTuple):
    """An event and how it came; `unread` says why nothing follows from it."""

    event: Event
    delivery: Delivery
    unread: Mapping[str, Any] | None = None

    @property
    def becomes(self) -> State:
        """What it is recorded as before anything followed."""
        return "ignored" if self.unread else "applied"


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
select id, source, endpoint_id, event_id, type, action, object_id, account_id, handler, queue,
    debounce_seconds, signature_key, status, sent_at, received_at, now(), bytes, is_json, body
from unnest(%(id)s::uuid[], %(source)s::text[], %(endpoint_id)s::uuid[], %(event_id)s::text[],
    %(type)s::text[], %(action)s::text[], %(object_id)s::text[], %(account_id)s::uuid[],
    %(handler)s::text[], %(queue)s::text[], %(debounce_seconds)s::integer[],
    %(signature_key)s::integer[], %(status)s::text[], %(sent_at)s::timestamptz[],
    %(received_at)s::timestamptz[], %(bytes)s::integer[], %(is_json)s::boolean[],
    %(body)b::text[]) as told (id, source, endpoint_id, event_id, type, action, object_id,
    account_id, handler, queue, debounce_seconds, signature_key, status, sent_at, received_at,
    bytes, is_json, body)
on conflict on constraint webhook_events_once do update
set status = excluded.status, attempts = known.attempts + 1, finished_at = now(), error = null,
    category = null
where known.status in ('queued', 'failed', 'dead')
returning source, endpoint_id, event_id, id, attempts, id = any(%(id)s) as is_new
"""


def claim(connection: Connection, given: Sequence[Delivered]) -> list[Claim | None]:
    """Record events as what they are to become, applied most of them; None for each duplicate.

    A twin that comes while this transaction runs waits for its end.
    """
    rows = [values_of(one.event, one.delivery.queue) | {"status": one.becomes} for one in given]
    keys = [(row["source"], row["endpoint_id"], row["event_id"]) for row in rows]
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    # In one order everywhere, so that two batches with the same events do not deadlock.
    places = sorted(first.values(), key=lambda place: tuple(map(str, keys[place])))
    found = connection.execute(CLAIM, columns([rows[place] for place in places]))
    claims: list[Claim | None] = [None] * len(rows)
    for *key, webhook_id, attempts, is_new in found:
        claims[first[tuple(key)]] = Claim(webhook_id, attempts, is_new)
    return claims


@dataclass(frozen=True, slots=True)
class Result:
    """What an event came to by one delivery."""

    claim: Claim
    given: Delivered
    outcome: Outcome


ATTEMPTS: Final = """
insert into ops.webhook_attempts (webhook_id, number, receives, started_at, milliseconds, outcome,
    details)
select id, number, receives, started_at,
    extract(epoch from clock_timestamp() - started_at) * 1000, outcome, details::jsonb
from unnest(%(id)s::uuid[], %(number)s::integer[], %(receives)s::integer[],
    %(started_at)s::timestamptz[], %(outcome)s::text[], %(details)s::text[])
    as told (id, number, receives, started_at, outcome, details)
"""
OUTCOMES: Final = """
update ops.webhook_events as known set status = told.status
from unnest(%(ids)s::uuid[], %(states)s::text[]) as told (id, status) where known.id = told.id
"""
RESOLVE: Final = """
update ops.webhook_dead_letters set resolved_at = now(), resolution = 'applied after all'
where webhook_id = any(%(ids)s) and resolved_at is null
"""


def finish(connection: Connection, results: Sequence[Result]) -> None:
    """Note what events came to; the statements travel with the commit."""
    if not results:
        return
    others = [one for one in results if one.outcome.state != one.given.becomes]
    if others:
        states = [result.outcome.state for result in others]
        connection.defer(OUTCOMES, {"ids": [one.claim.id for one in others], "states": states})
    if again := [result.claim.id for result in results if not result.claim.is_new]:
        connection.defer(RESOLVE, {"ids": again})
    connection.defer(ATTEMPTS, columns([_succeeded(result) for result in results]))


def _succeeded(result: Result) -> dict[str, Any]:
    return {
        "id": result.claim.id,
        "number": result.claim.attempts,
        "receives": result.given.delivery.receives,
        "started_at": result.given.delivery.started_at,
        "outcome": result.outcome.state,
        "details": json.dumps(result.outcome.details),
    }


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
        connection.defer(FAILED, _failed(failure, delivery, category, error))
    return failure


FAILED: Final = """
insert into ops.webhook_attempts (webhook_id, number, receives, started_at, milliseconds, outcome,
    category, error)
values (%(id)s, %(number)s, %(receives)s, %(started_at)s,
    extract(epoch from clock_timestamp() - %(started_at)s) * 1000, 'failed', %(category)s,
    %(error)s)
"""


def _failed(failure: Failure, delivery: Delivery, category: Category, error: str) -> dict[str, Any]:
    return {
        "id": failure.id,
        "number": failure.attempts,
        "receives": delivery.receives,
        "started_at": delivery.started_at,
        "category": category,
        "error": error,
    }


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


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as the columns that `unnest` puts together again."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def storable(text: str) -> str:
    """The text without what PostgreSQL's text cannot hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def is_json(event: Event) -> bool:
    """Whether PostgreSQL can read the body as jsonb."""
    try:
        parsed = event.parsed
        if not DOUBTFUL.search(event.body):
            return "\x00" not in event.body
        return r"\u0000" not in json.dumps(parsed, ensure_ascii=False).encode().decode()
    except (PermanentError, UnicodeEncodeError):
        return False

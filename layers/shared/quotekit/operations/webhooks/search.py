"""Finding events: by what indexes know, and in a bounded part of those by what is inside.

Newest recorded first. Conditions no index serves (a status that most events have, a text in the
error, a value in the body) are looked for in the next so many events only, so a page costs no more
than that: `next_cursor` leads on behind them even when the page holds fewer than `limit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from quotekit import paging
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.operations.webhooks.requests import Search
from quotekit.paging import Page

MOST_LOOKED_AT: Final = 20_000
MOST_BODIES: Final = 2_000  # each is read and parsed
LARGEST_BODY: Final = 1_048_576  # an answer of Lambda may have six times that
TOO_LARGE: Final = "the body is larger than an answer should be; it is in ops.webhook_events"


@dataclass(frozen=True, slots=True)
class Found:
    """An event without its body."""

    id: UUID
    source: str
    endpoint_id: UUID | None
    event_id: str
    type: str
    action: str | None
    object_id: str | None
    account_id: UUID | None
    handler: str
    queue: str
    status: str
    attempts: int
    failures: int
    category: str | None
    error: str | None
    sent_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    finished_at: datetime | None
    bytes: int


COLUMNS: Final[LiteralString] = """id, source, endpoint_id, event_id, type, action, object_id,
    account_id, handler, queue, status, attempts, failures, category, error, sent_at, received_at,
    recorded_at, finished_at, bytes"""
INDEXED: Final[Mapping[str, LiteralString]] = {
    "source": "source = %(source)s",
    "type": "type = %(type)s",
    "object_id": "object_id = %(object_id)s",
    "event_id": "event_id = %(event_id)s",
    "since": "id >= (select ops.id_floor(%(since)s))",
    "until": "id < (select ops.id_floor(%(until)s))",
    "after": "id < %(after)s",
}
UNFINISHED: Final[LiteralString] = "status in ('queued', 'failed', 'dead')"
LOOKED_FOR: Final[Mapping[str, LiteralString]] = {
    "status": "status = %(status)s",
    "error": "position(lower(%(error)s) in lower(error)) > 0",
    "path": "case when is_json then body::jsonb #>> %(path)s::text[] = %(value)s else false end",
}


def search(connection: Connection, wanted: Search, _now: datetime) -> Page[Found]:
    """One page. Raises InvalidInputError for a foreign cursor."""
    _, after = paging.decode(wanted.cursor, str)
    given = wanted.model_dump(exclude_none=True) | ({"after": after} if after else {})
    values = given | {"limit": wanted.limit + 1, "path": (wanted.path or "").split(".")}
    indexed = [text for name, text in INDEXED.items() if name in given]
    if wanted.error or wanted.status in {"queued", "failed", "dead"}:
        indexed.append(UNFINISHED)  # only these have an error; and there is an index on them
    looked_for = [text for name, text in LOOKED_FOR.items() if name in given]
    end = _end(connection, indexed, values) if looked_for else None
    if end:
        indexed.append("id >= %(end)s")
    found = _rows(connection, [*indexed, *looked_for], values | {"end": end})
    page = paging.page(found, wanted.limit, lambda row: ("", row.id))
    if page.next_cursor is None and end:
        return Page(page.data, paging.encode("", end))
    return page


def _rows(
    connection: Connection, conditions: Sequence[LiteralString], values: Mapping[str, Any]
) -> list[Found]:
    where: LiteralString = " and ".join(conditions) or "true"
    query: LiteralString = (
        f"select {COLUMNS} from ops.webhook_events where {where} order by id desc limit %(limit)s"
    )
    with connection.cursor(row_factory=class_row(Found)) as cursor:
        return cursor.execute(query, values).fetchall()


def _end(
    connection: Connection, conditions: Sequence[LiteralString], values: Mapping[str, Any]
) -> UUID | None:
    """The last event to look at for this page; none when fewer are left."""
    where: LiteralString = " and ".join(conditions) or "true"
    most = MOST_BODIES if "value" in values else MOST_LOOKED_AT
    query: LiteralString = (
        f"select id from ops.webhook_events where {where}"
        " order by id desc offset %(most)s - 1 limit 1"
    )
    row = connection.execute(query, {**values, "most": most}).fetchone()
    return None if row is None else row[0]


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    receives: int
    started_at: datetime
    milliseconds: float
    outcome: str
    category: str | None
    error: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Detail(Found):
    """`debounce_seconds` and `signature_key` as the handler decided them."""

    debounce_seconds: int | None
    signature_key: int | None
    is_json: bool
    body: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    id: UUID
    category: str
    reason: str
    count: int
    first_failed_at: datetime
    last_failed_at: datetime
    resolved_at: datetime | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Event:
    event: Detail
    attempts: Sequence[Attempt]
    dead_letter: DeadLetter | None
    redrives: Sequence[UUID]
    unknown: Mapping[str, str]
    observed_at: datetime
    source: str = (
        "ops.webhook_events, ops.webhook_attempts, ops.webhook_dead_letters,"
        " ops.webhook_redrive_items"
    )


GET: Final[LiteralString] = f"""
select {COLUMNS}, debounce_seconds, signature_key, is_json,
       case when bytes <= %(largest)s then body end as body
from ops.webhook_events where id = %(id)s
"""
ATTEMPTS: Final = """
select number, receives, started_at, milliseconds::float8 as milliseconds, outcome, category, error,
       details
from ops.webhook_attempts where webhook_id = %(id)s order by number
"""
LETTER: Final = """
select id, category, reason, count, first_failed_at, last_failed_at, resolved_at, resolution
from ops.webhook_dead_letters where webhook_id = %(id)s
"""
REDRIVES: Final = """
select redrive_id from ops.webhook_redrive_items where webhook_id = %(id)s
order by promised_at desc, redrive_id
"""


def get(connection: Connection, webhook_id: UUID, now: datetime) -> Event:
    """An event with all that was tried. Raises NotFoundError."""
    values = {"id": webhook_id, "largest": LARGEST_BODY}
    with connection.cursor(row_factory=class_row(Detail)) as cursor:
        event = cursor.execute(GET, values).fetchone()
    if event is None:
        raise NotFoundError("There is no such event.")
    with connection.cursor(row_factory=class_row(Attempt)) as cursor:
        attempts = cursor.execute(ATTEMPTS, values).fetchall()
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        letter = cursor.execute(LETTER, values).fetchone()
    redrives = [row[0] for row in connection.execute(REDRIVES, values)]
    unknown = {} if event.body is not None else {"event.body": TOO_LARGE}
    return Event(event, attempts, letter, redrives, unknown, now)

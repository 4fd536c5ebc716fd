"""Messages promised by a transaction: written in it, sent after it, again until the queue has
them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import database, queues
from quotekit.database import Connection
from quotekit.identifiers import new_id


@dataclass(frozen=True, slots=True)
class Promise:
    """A row of the outbox: what is to go to which topic's queue."""

    id: UUID
    topic: str
    payload: Mapping[str, Any]

    @property
    def message(self) -> dict[str, Any]:
        return {**self.payload, "outbox_id": str(self.id)}


INSERT: Final = """
insert into app.outbox (id, topic, payload, blocked_by)
values (%(id)s, %(topic)s, %(payload)s, %(blocked_by)s)
"""
INSERT_FOR_HOUSE: Final = """
insert into app.outbox (id, account_id, topic, payload)
values (%(id)s, null, %(topic)s, %(payload)s)
"""


def promise(
    connection: Connection,
    topic: str,
    payload: Mapping[str, Any],
    *,
    after: Promise | None = None,
) -> Promise:
    """Promise a message; with `after`, one that waits until that one's work is done."""
    made = Promise(new_id(), topic, payload)
    values = {
        "id": made.id,
        "topic": topic,
        "payload": Jsonb(payload),
        "blocked_by": after and after.id,
    }
    connection.execute(INSERT, values)
    return made


def promise_for_house(connection: Connection, topic: str, payload: Mapping[str, Any]) -> Promise:
    """Promise a message that is no account's, whoever asked for it; for the service."""
    made = Promise(new_id(), topic, payload)
    values = {"id": made.id, "topic": topic, "payload": Jsonb(payload)}
    connection.execute(INSERT_FOR_HOUSE, values)
    return made


RELEASE: Final = """
update app.outbox set blocked_by = null, due_at = now()
where blocked_by = %(id)s
returning id, topic, payload
"""


def release(connection: Connection, outbox_id: UUID) -> list[Promise]:
    """Free what waited for a message's work, for the service."""
    with connection.cursor(row_factory=class_row(Promise)) as cursor:
        return cursor.execute(RELEASE, {"id": outbox_id}).fetchall()


DUE: Final = """
update app.outbox as outbox
set attempts = outbox.attempts + 1,
    due_at = now() + least(interval '1 hour', interval '10 seconds' * power(2,
    least(outbox.attempts, 12)))
from (
    select id from app.outbox
    where sent_at is null and due_at <= now() - interval '5 seconds'
      and (blocked_by is null or created_at < now() - %(patience)s::interval)
    order by due_at limit %(limit)s for update skip locked
) as due
where outbox.id = due.id
returning outbox.id, outbox.topic, outbox.payload
"""
PATIENCE: Final = "15 minutes"


def take_due(connection: Connection, limit: int) -> list[Promise]:
    """Messages nobody delivered, for the service; each is left alone for a while after this look.

    What waits for another's work longer than a quarter of an hour goes without it: the other is
    dead.
    """
    with connection.cursor(row_factory=class_row(Promise)) as cursor:
        return cursor.execute(DUE, {"limit": limit, "patience": PATIENCE}).fetchall()


MARK_SENT: Final = """
update app.outbox set sent_at = now(), blocked_by = null where id = any(%(ids)s) and sent_at is null
"""


def deliver(promises: Sequence[Promise]) -> int:
    """Put promised messages on their queues and note it; how many went.

    Call it after the commit. What the queue refuses stays for the sweeper.
    """
    sent = [
        item.id
        for topic in sorted({item.topic for item in promises})
        for item in _send(topic, [item for item in promises if item.topic == topic])
    ]
    if sent:
        with database.transaction(database.SERVICE) as connection:
            connection.execute(MARK_SENT, {"ids": sent})
    return len(sent)


def _send(topic: str, promises: Sequence[Promise]) -> list[Promise]:
    by_id = {str(item.id): item for item in promises}
    messages = {name: item.message for name, item in by_id.items()}
    return [by_id[name] for name in queues.send(queues.url(topic), messages)]

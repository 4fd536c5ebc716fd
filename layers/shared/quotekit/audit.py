"""Who did what: rows that are added and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit.database import Connection
from quotekit.identifiers import new_id

RECORD: Final = """
insert into app.audit_events (id, action, object_id, details)
values (%(id)s, %(action)s, %(object_id)s, %(details)s)
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `actor_id` is null when no person did it."""

    id: UUID
    actor_id: UUID | None
    action: str
    details: Mapping[str, Any]
    occurred_at: datetime


def record(
    connection: Connection, action: str, object_id: UUID, details: Mapping[str, Any] | None = None
) -> None:
    """Write an event in the caller's transaction; `action` is `thing.verb` in the past tense."""
    values = {
        "id": new_id(),
        "action": action,
        "object_id": object_id,
        "details": Jsonb(details or {}),
    }
    connection.defer(RECORD, values)


RECORD_ALL: Final = """
insert into app.audit_events (id, account_id, actor_id, action, object_id, details)
select id, (select auth.account_id()), (select auth.uid()), %(action)s, object_id, details
from jsonb_to_recordset(%(events)s) as event (id uuid, object_id uuid, details jsonb)
"""


def record_all(
    connection: Connection, action: str, happened: Mapping[UUID, Mapping[str, Any]]
) -> None:
    """Write one event for each object, with its details, in one statement."""
    events = [
        {"id": str(new_id()), "object_id": str(object_id), "details": details}
        for object_id, details in happened.items()
    ]
    if events:
        connection.defer(RECORD_ALL, {"action": action, "events": Jsonb(events)})


RECORD_FOR: Final = """
insert into app.audit_events (id, account_id, actor_id, action, object_id, details)
values (%(id)s, %(account_id)s, null, %(action)s, %(object_id)s, %(details)s)
"""


def record_for(
    connection: Connection,
    account_id: UUID,
    action: str,
    object_id: UUID,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write what the house itself did to an account; for transactions of the service."""
    values = {
        "id": new_id(),
        "account_id": account_id,
        "action": action,
        "object_id": object_id,
        "details": Jsonb(details or {}),
    }
    connection.defer(RECORD_FOR, values)


HISTORY: Final = """
select id, actor_id, action, details, occurred_at
from app.audit_events
where account_id = (select auth.account_id()) and object_id = %(object_id)s
order by occurred_at, id
"""


@dataclass(frozen=True, slots=True)
class History:
    """What was done to a thing, the first first."""

    data: Sequence[Event]


def history(connection: Connection, object_id: UUID) -> History:
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        return History(cursor.execute(HISTORY, {"object_id": object_id}).fetchall())

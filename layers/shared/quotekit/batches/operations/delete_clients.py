"""Delete clients whom no quote names."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from quotekit.batches.items import ById, by_id
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.database import Connection
from quotekit.identifiers import new_id

LOCK: Final = """
select id from app.clients
where account_id = (select auth.account_id()) and id = any(%(ids)s)
order by id for update
"""
NAMED: Final = """
select client_id, count(*) from app.quotes
where account_id = (select auth.account_id()) and client_id = any(%(ids)s)
group by client_id
"""
DELETE: Final = """
with deleted as (
    delete from app.clients
    where account_id = (select auth.account_id()) and id = any(%(ids)s)
    returning id
)
insert into app.audit_events (id, action, object_id, details)
select event.id, 'client.deleted', deleted.id, %(details)s
from unnest(%(ids)s::uuid[], %(event_ids)s::uuid[]) as event (client_id, id)
join deleted on deleted.id = event.client_id
"""


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    ids = [item.id for item in items]
    found = {row[0] for row in connection.execute(LOCK, {"ids": ids})}
    named: dict[UUID, int] = dict(connection.execute(NAMED, {"ids": ids}).fetchall())
    free = [client for client in found if client not in named]
    details = Jsonb({"batch": str(work.job_id)})
    values = {"ids": free, "event_ids": [new_id() for _ in free], "details": details}
    connection.execute(DELETE, values)
    missing = Outcome("missing")
    deleted = Outcome("deleted")
    return [
        missing
        if client not in found
        else Outcome("conflict", f"{named[client]} quotes name this client.")
        if client in named
        else deleted
        for client in ids
    ]


DELETE_CLIENTS: Final = Operation(
    name="delete_clients", item=ById, key=by_id, apply=apply, milliseconds=0.1
)

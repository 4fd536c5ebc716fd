"""Delete clients whom no quote names."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from quotekit import audit
from quotekit.batches.items import ById, answered, by_id, ids_of
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.database import Connection

HOLD: Final = """
select id from app.clients
where account_id = (select auth.account_id()) and id = any(%(ids)s)
order by id for update
"""
# A statement later than the lock: no quote can name a held client any more.
NAMED: Final = """
select client_id, count(*) from app.quotes
where account_id = (select auth.account_id()) and client_id = any(%(ids)s)
group by client_id
"""
DELETE: Final = """
delete from app.clients where account_id = (select auth.account_id()) and id = any(%(ids)s)
"""


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    held = [row[0] for row in connection.execute(HOLD, {"ids": ids_of(items)})]
    named: dict[UUID, int] = dict(connection.execute(NAMED, {"ids": held}).fetchall())
    free = [client_id for client_id in held if client_id not in named]
    connection.execute(DELETE, {"ids": free})
    details = {"batch": str(work.job_id)}
    audit.record_all(connection, "client.deleted", dict.fromkeys(free, details))
    return answered(items, {client_id: outcome(named.get(client_id)) for client_id in held})


def outcome(quotes: int | None) -> Outcome:
    if quotes is None:
        return Outcome("deleted")
    named = "1 quote names" if quotes == 1 else f"{quotes} quotes name"
    return Outcome("conflict", f"{named} this client.")


DELETE_CLIENTS: Final = Operation(
    name="delete_clients", item=ById, key=by_id, apply=apply, milliseconds=0.1
)

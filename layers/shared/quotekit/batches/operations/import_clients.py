"""Take over clients from elsewhere: whoever is known already is left alone, or brought up to date.

A client is known by his e-mail address, whatever its capitals; without one, by being the same in
everything. app.clients.import_key is that in one column, so that the house looks by an index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import audit
from quotekit.batches.items import REPEATED, Row
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.bodies import Body
from quotekit.catalog.requests import ClientCreate
from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.refusals import translated

FIELDS: Final = ("name", "email", "phone", "address", "notes")


class NewClient(Row, ClientCreate):
    """As one client is created."""


class Parameters(Body):
    """`update` gives a known client what the row says of him; what it leaves out stays."""

    on_existing: Literal["skip", "update"] = "skip"


def same_client(item: NewClient) -> str:
    if item.email is not None:
        return item.email.lower()
    return "\x1f".join((item.name, item.phone or "", item.address or "", item.notes or ""))


# Imports of an account wait for each other: two could not know of each other's clients.
PLAN: Final = """
select plan.clients from app.accounts as account
join app.plans as plan on plan.key = app.plan_key(account.id)
where account.id = (select auth.account_id())
for no key update of account
"""
COUNT: Final = "select count(*) from app.clients where account_id = (select auth.account_id())"
KNOWN: Final = """
select given.position, client.id, client.name, client.email, client.phone, client.address,
    client.notes
from (
    select position, app.client_import_key(name, email, phone, address, notes) as key
    from jsonb_to_recordset(%(rows)s) as item (position integer, name text, email text,
        phone text, address text, notes text)
    offset 0) as given
join app.clients as client on client.import_key = given.key
where client.account_id = (select auth.account_id())
order by client.id for update of client
"""
INSERT: Final = """
insert into app.clients (id, name, email, phone, address, notes)
select id, name, email, phone, address, notes
from jsonb_to_recordset(%(rows)s) as item (id uuid, name text, email text, phone text,
    address text, notes text)
"""
UPDATE: Final = """
update app.clients as client
set name = item.name, email = item.email, phone = item.phone, address = item.address,
    notes = item.notes, version = client.version + 1
from jsonb_to_recordset(%(rows)s) as item (id uuid, name text, email text, phone text,
    address text, notes text)
where client.account_id = (select auth.account_id()) and client.id = item.id
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A client who is there already, and the item that names him."""

    position: int
    id: UUID
    name: str
    email: str | None
    phone: str | None
    address: str | None
    notes: str | None


class Change(NamedTuple):
    """What a known client becomes."""

    row: Mapping[str, Any]
    fields: Sequence[str]


class Room(NamedTuple):
    """How many clients the plan allows, and how many more that is; None is no limit."""

    allowed: int | None
    left: int | None


def apply(connection: Connection, work: Work, items: Sequence[NewClient]) -> list[Outcome]:
    room = room_left(connection)
    rows = [item.model_dump(include=set(FIELDS)) for item in items]
    known = known_clients(connection, rows)
    firsts = first_positions(items)
    outcomes = [REPEATED] * len(items)

    new = [position for position in firsts if position not in known]
    fitting = new if room.left is None else new[: room.left]
    for position, client in zip(fitting, create(connection, work, rows, fitting), strict=True):
        outcomes[position] = Outcome("created", data={"id": str(client)})
    for position in new[len(fitting) :]:
        outcomes[position] = Outcome("quota", f"The plan allows {room.allowed} clients.")

    changes: dict[UUID, Change] = {}
    for position in (position for position in firsts if position in known):
        outcomes[position] = meet(work.parameters, rows[position], known[position], changes)
    update(connection, work, changes)
    return outcomes


def room_left(connection: Connection) -> Room:
    (allowed,) = connection.execute(PLAN).fetchone() or (0,)
    if allowed is None:
        return Room(None, None)
    (clients,) = connection.execute(COUNT).fetchone() or (0,)
    return Room(allowed, max(0, allowed - clients))


def first_positions(items: Sequence[NewClient]) -> list[int]:
    """Those that repeat none before them."""
    return sorted({same_client(item): i for i, item in reversed([*enumerate(items)])}.values())


def known_clients(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[int, list[Known]]:
    """Who is there already, by the position of the item that names him."""
    numbered = [{"position": i, **row} for i, row in enumerate(rows)]
    known: dict[int, list[Known]] = {}
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        for client in cursor.execute(KNOWN, {"rows": Jsonb(numbered)}):
            known.setdefault(client.position, []).append(client)
    return known


def create(
    connection: Connection, work: Work, rows: Sequence[Mapping[str, Any]], positions: Sequence[int]
) -> list[UUID]:
    ids = [new_id() for _ in positions]
    named = [
        {**rows[position], "id": str(client)}
        for client, position in zip(ids, positions, strict=True)
    ]
    try:
        connection.execute(INSERT, {"rows": Jsonb(named)})
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    details = {"batch": str(work.job_id)}
    audit.record_all(connection, "client.created", dict.fromkeys(ids, details))
    return ids


def meet(
    wanted: Parameters,
    row: Mapping[str, Any],
    known: Sequence[Known],
    changes: dict[UUID, Change],
) -> Outcome:
    """Say what becomes of a known client, and note it if something does."""
    client = known[0]
    data = {"id": str(client.id)}
    if wanted.on_existing == "skip":
        return Outcome("unchanged", data=data)
    if len(known) > 1:
        return Outcome("conflict", f"{len(known)} clients are this one already.", data)
    now = {name: getattr(client, name) for name in FIELDS}
    becomes = now | {name: value for name, value in row.items() if value is not None}
    fields = [name for name in FIELDS if becomes[name] != now[name]]
    if not fields:
        return Outcome("unchanged", data=data)
    changes[client.id] = Change({**becomes, "id": str(client.id)}, fields)
    return Outcome("changed", data=data)


def update(connection: Connection, work: Work, changes: Mapping[UUID, Change]) -> None:
    if not changes:
        return
    connection.execute(UPDATE, {"rows": Jsonb([change.row for change in changes.values()])})
    happened = {
        client: {"fields": change.fields, "batch": str(work.job_id)}
        for client, change in changes.items()
    }
    audit.record_all(connection, "client.changed", happened)


IMPORT_CLIENTS: Final = Operation(
    name="import_clients",
    item=NewClient,
    key=same_client,
    parameters=Parameters,
    apply=apply,
    milliseconds=0.2,
)

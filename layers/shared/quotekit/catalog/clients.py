"""Clients: whom an account sends its quotes to."""

from typing import Final, LiteralString
from uuid import UUID

import psycopg

from quotekit import audit
from quotekit.catalog import rows
from quotekit.catalog.model import Client
from quotekit.catalog.requests import ClientChange, ClientCreate, Listing
from quotekit.database import Connection
from quotekit.errors import ConflictError
from quotekit.identifiers import new_id
from quotekit.paging import Page
from quotekit.refusals import translated

COLUMNS: Final[LiteralString] = """id, name, email, phone, address, notes, version, created_at,
    updated_at"""
INSERT: Final[LiteralString] = (
    """
insert into app.clients (id, name, email, phone, address, notes)
values (%(id)s, %(name)s, %(email)s, %(phone)s, %(address)s, %(notes)s)
returning """
    + COLUMNS
)


def create(connection: Connection, body: ClientCreate) -> Client:
    """Store a client. Raises QuotaExceededError at the plan's limit."""
    try:
        client = rows.insert(connection, Client, INSERT, {"id": new_id(), **body.model_dump()})
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    audit.record(connection, "client.created", client.id)
    return client


GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.clients "
    "where account_id = (select auth.account_id()) and id = %(id)s"
)
GET_FOR_UPDATE: Final[LiteralString] = GET + " for update"


def get(connection: Connection, client_id: UUID) -> Client:
    return rows.get(connection, Client, GET, client_id)


# The parser of texts takes an address or a number for one word: its beginning is compared as typed.
LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.clients
where account_id = (select auth.account_id())
  and (%(words)s::text is null
       or search @@ to_tsquery('simple', %(words)s)
       or starts_with(lower(email), lower(%(q)s))
       or starts_with(phone, %(q)s))"""
)


def page(connection: Connection, wanted: Listing) -> Page[Client]:
    return rows.page(connection, Client, LIST, wanted)


UPDATE: Final[LiteralString] = (
    """
update app.clients
set name = %(name)s, email = %(email)s, phone = %(phone)s, address = %(address)s, notes = %(notes)s,
    version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(connection: Connection, client_id: UUID, body: ClientChange, *, version: int) -> Client:
    """Change a client; quotes keep what they say of him. Raises StaleVersionError."""
    found = get(connection, client_id)
    return rows.update(connection, found, UPDATE, body, version=version)


QUOTES: Final = """
select count(*) from app.quotes
where account_id = (select auth.account_id()) and client_id = %(id)s
"""
DELETE: Final = """
delete from app.clients where account_id = (select auth.account_id()) and id = %(id)s
"""


def delete(connection: Connection, client_id: UUID) -> None:
    """Delete a client whom no quote names. Raises ConflictError that says how many do."""
    rows.get(connection, Client, GET_FOR_UPDATE, client_id)  # now no new quote can name him
    (quotes,) = connection.execute(QUOTES, {"id": client_id}).fetchone() or (0,)
    if quotes:
        named = "1 quote names" if quotes == 1 else f"{quotes} quotes name"
        raise ConflictError(f"{named} this client.")
    connection.execute(DELETE, {"id": client_id})
    audit.record(connection, "client.deleted", client_id)

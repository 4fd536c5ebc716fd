"""A quote that was sent, said anew: the next of its chain, and the chain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from psycopg import DatabaseError
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.quotes import repository, service
from quotekit.quotes.assembly import money_of
from quotekit.quotes.model import Quote, Status
from quotekit.refusals import translated


@dataclass(frozen=True, slots=True)
class Revision:
    """One quote of a chain; `id` is the quote's own."""

    id: UUID
    revision: int
    number: str | None
    status: Status
    currency: str
    total: Decimal
    valid_until: date | None
    created_at: datetime
    sent_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Chain:
    """All quotes of a chain, the first first."""

    data: Sequence[Revision]


def revise(connection: Connection, quote_id: UUID) -> Quote:
    """A draft that says what a sent quote says; its date is open, its client stays.

    Raises ConflictError for a draft, for what was accepted, and for what is revised already."""
    revised = repository.get(connection, quote_id, lock=True).quote
    draft = replace(service.draft_of(revised), valid_until=None)
    try:
        return service.store(
            connection, draft, action="quote.revised", revised=revised, source=str(quote_id)
        )
    except UniqueViolation as error:
        raise ConflictError("It is revised already; change that revision.") from error
    except DatabaseError as error:
        raise translated(error) from error


CHAIN: Final = """
with recursive backward as (
    select id, revises from app.quotes
    where account_id = (select auth.account_id()) and id = %(id)s
    union all
    select earlier.id, earlier.revises from backward join app.quotes as earlier
        on earlier.account_id = (select auth.account_id()) and earlier.id = backward.revises
), forward as (
    select id from backward where revises is null
    union all
    select later.id from forward join app.quotes as later
        on later.account_id = (select auth.account_id()) and later.revises = forward.id
)
select quote.id, quote.revision, quote.number, quote.status, said.currency, said.total,
    said.valid_until, quote.created_at, quote.sent_at, quote.decided_at
from forward
join app.quotes as quote
    on quote.account_id = (select auth.account_id()) and quote.id = forward.id
join app.quote_versions as said
    on said.account_id = quote.account_id and said.quote_id = quote.id
    and said.revision = quote.revision
order by quote.revision
"""


def chain(connection: Connection, quote_id: UUID) -> Chain:
    """The chain that a quote is part of, at any place. Raises NotFoundError."""
    with connection.cursor(row_factory=class_row(Revision)) as cursor:
        found = cursor.execute(CHAIN, {"id": quote_id}).fetchall()
    if not found:
        raise NotFoundError("There is no such quote.")
    return Chain([replace(one, total=money_of(one.currency)(one.total)) for one in found])


def pair(connection: Connection, quote_id: UUID, before: int, after: int) -> tuple[Quote, Quote]:
    """Two quotes of a chain by their revision. Raises NotFoundError."""
    ids = {one.revision: one.id for one in chain(connection, quote_id).data}
    if missing := {before, after} - ids.keys():
        raise NotFoundError(f"There is no revision {min(missing)} of this quote.")
    found = repository.get_all(connection, [ids[before], ids[after]])
    return found[ids[before]].quote, found[ids[after]].quote

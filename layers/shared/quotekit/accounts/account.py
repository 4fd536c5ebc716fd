"""The account itself: what it is called, who one is in it, and which others one belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, auth, paging
from quotekit.accounts.requests import AccountChange, Listing, Role
from quotekit.database import Connection
from quotekit.errors import NotFoundError, StaleVersionError


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant; `role` is the caller's own."""

    id: UUID
    name: str
    role: Role
    members: int
    version: int
    created_at: datetime


GET: Final = """
select account.id, account.name, (select auth.member_role()) as role,
    (select count(*) from app.members where account_id = account.id) as members,
    account.version, account.created_at
from app.accounts as account where account.id = (select auth.account_id())
"""


def get(connection: Connection) -> Account:
    """Raises NotFoundError for a new caller, whose first change founds his account."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        found = cursor.execute(GET).fetchone()
    if found is None:
        raise NotFoundError("There is no such account yet.")
    return found


CHANGE: Final = """
update app.accounts set name = %(name)s, version = version + 1
where id = (select auth.account_id()) and version = %(version)s returning id
"""


def change(connection: Connection, body: AccountChange, *, version: int) -> Account:
    """Rename the account. Raises ForbiddenError or StaleVersionError."""
    auth.require_manager(connection)
    row = connection.execute(CHANGE, {"name": body.name, "version": version}).fetchone()
    if row is None:
        raise StaleVersionError
    audit.record(connection, "account.renamed", row[0], {"name": body.name})
    return get(connection)


@dataclass(frozen=True, slots=True)
class Membership:
    """One of a person's accounts; a token with its `account_id` acts for it."""

    account_id: UUID
    name: str
    role: Role
    joined_at: datetime


MINE: Final = """
select account.id as account_id, account.name, member.role, member.created_at as joined_at
from app.members as member join app.accounts as account on account.id = member.account_id
where member.user_id = (select auth.uid())
  and (%(after)s::timestamptz is null or (member.created_at, account.id) > (%(after)s, %(id)s))
order by member.created_at, account.id limit %(limit)s
"""


def mine(connection: Connection, query: Listing) -> paging.Page[Membership]:
    """A person's accounts, the first joined first; in a transaction of the person."""
    rows = listed(connection, MINE, Membership, query)
    return paging.page(rows, query.limit, lambda row: (row.joined_at, row.account_id))


def listed[T](connection: Connection, statement: Any, kind: type[T], query: Listing) -> Sequence[T]:  # noqa: ANN401 - a constant
    """The rows of one page and one more, of a list that is ordered by time and id."""
    after, row_id = paging.decode(query.cursor, datetime.fromisoformat)
    values = {"after": after, "id": row_id, "limit": query.limit + 1}
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, values).fetchall()

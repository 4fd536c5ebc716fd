"""Who belongs to an account, and as what. One owns it, at any time.

Nobody may write app.members but the house, so each change holds the rows of the two people it is
between and decides by what they are then: of two changes at once the later sees the earlier.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, auth, paging
from quotekit.accounts.account import listed
from quotekit.accounts.requests import Listing, Role, RoleChange
from quotekit.auth import Principal
from quotekit.database import Actor, Connection
from quotekit.errors import ConflictError, ForbiddenError, NotFoundError, StaleVersionError


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the account. `email` is where the invitation went; null for the founder, whose
    address nobody said."""

    user_id: UUID
    email: str | None
    role: Role
    version: int
    joined_at: datetime


LIST: Final = """
select user_id, email, role, version, created_at as joined_at from app.members
where account_id = (select auth.account_id())
  and (%(after)s::timestamptz is null or (created_at, user_id) > (%(after)s, %(id)s))
order by created_at, user_id limit %(limit)s
"""


def page(connection: Connection, query: Listing) -> paging.Page[Member]:
    rows = listed(connection, LIST, Member, query)
    return paging.page(rows, query.limit, lambda row: (row.joined_at, row.user_id))


HOLD: Final = """
select user_id, email, role, version, created_at as joined_at from app.members
where account_id = (select auth.account_id()) and user_id = any(%(users)s)
order by user_id for update
"""


def hold(connection: Connection, by: Principal, other: UUID) -> tuple[Member, Member]:
    """Two people of the account, who stay what they are until the end of the transaction.

    Raises ForbiddenError when the first is a stranger, NotFoundError when the second is."""
    connection.become(Actor("service_role", by.actor.claims))
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        rows = cursor.execute(HOLD, {"users": [by.user_id, other]}).fetchall()
    found = {row.user_id: row for row in rows}
    if by.user_id not in found:
        raise ForbiddenError("You are no member of this account.")
    if other not in found:
        raise NotFoundError("There is no such member.")
    return found[by.user_id], found[other]


CHANGE: Final = """
update app.members set role = %(role)s, version = version + 1
where account_id = (select auth.account_id()) and user_id = %(user_id)s
returning user_id, email, role, version, created_at as joined_at
"""


def change(
    connection: Connection, by: Principal, user_id: UUID, body: RoleChange, *, version: int
) -> Member:
    """Let a member be something else. Raises ForbiddenError, ConflictError, StaleVersionError."""
    me, found = hold(connection, by, user_id)
    require_manager(me)
    if found.role == "owner":
        raise ConflictError("The owner hands the account over first: POST /v1/account/transfer.")
    if found.version != version:
        raise StaleVersionError
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        (changed,) = cursor.execute(CHANGE, {"user_id": user_id, "role": body.role})
    audit.record(connection, "member.changed", user_id, {"from": found.role, "to": body.role})
    return changed


def require_manager(me: Member) -> None:
    if me.role not in auth.MANAGERS:
        raise ForbiddenError(auth.FOR_MANAGERS)


REMOVE: Final = """
delete from app.members where account_id = (select auth.account_id()) and user_id = %(user_id)s
"""


def remove(connection: Connection, by: Principal, user_id: UUID) -> None:
    """Remove a member, or leave. Raises ForbiddenError, NotFoundError or ConflictError."""
    me, found = hold(connection, by, user_id)
    if found != me:
        require_manager(me)
    if found.role == "owner":
        raise ConflictError("The owner hands the account over first: POST /v1/account/transfer.")
    connection.execute(REMOVE, {"user_id": user_id})
    action = "member.left" if found == me else "member.removed"
    audit.record(connection, action, user_id, {"role": found.role})


def transfer(connection: Connection, by: Principal, to: UUID) -> None:
    """Hand the account over; its owner stays as an admin. Raises ForbiddenError, NotFoundError."""
    me, found = hold(connection, by, to)
    if me.role != "owner":
        raise ForbiddenError(auth.FOR_THE_OWNER)
    if found == me:
        raise ConflictError("The account is yours already.")
    connection.defer(CHANGE, {"user_id": by.user_id, "role": "admin"})
    connection.execute(CHANGE, {"user_id": to, "role": "owner"})
    audit.record(connection, "account.transferred", to, {"from": str(by.user_id)})

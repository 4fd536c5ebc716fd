"""The steps of a quote's life in PostgreSQL, which refuses every step that is not one."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import psycopg
from psycopg.errors import UniqueViolation

from quotekit.database import Connection
from quotekit.errors import ConflictError
from quotekit.identifiers import new_id
from quotekit.quotes.model import Status
from quotekit.quotes.repository import Found
from quotekit.refusals import translated

# The one it revises first, for that has the lower id: whoever holds many takes them in that order.
HOLD: Final = """
select id from app.quotes
where account_id = (select auth.account_id()) and id in (%(id)s, (
    select revises from app.quotes where account_id = (select auth.account_id()) and id = %(id)s))
order by id for update
"""


def hold(connection: Connection, quote_id: UUID) -> None:
    """Lock a quote and the one it revises; it travels with the next statement."""
    connection.defer(HOLD, {"id": quote_id})


FREEZE: Final = """
update app.quote_versions
set frozen_at = now(), valid_until = %(valid_until)s
where account_id = (select auth.account_id()) and id = %(version_id)s
"""
MARK_SENT: Final = """
update app.quotes
set status = 'sent', version = version + 1, expires_at = %(expires_at)s
where account_id = (select auth.account_id()) and id = %(id)s
"""


def send(connection: Connection, found: Found, valid_until: date, expires_at: datetime) -> None:
    """Freeze a locked draft; the database takes quota and number.

    Raises QuotaExceededError or ConflictError.
    """
    values = {"id": found.quote.id, "expires_at": expires_at}
    try:
        connection.execute(FREEZE, {"version_id": found.version_id, "valid_until": valid_until})
        connection.execute(MARK_SENT, values)
    except UniqueViolation as error:  # the pattern was changed under our hands
        raise ConflictError("The number is taken; send it again.") from error
    except psycopg.DatabaseError as error:
        raise translated(error) from error


CHANGE_STATUS: Final = """
update app.quotes
set status = %(status)s, version = version + 1, decision_note = coalesce(%(note)s, decision_note),
    decided_at = case when %(status)s in ('accepted', 'declined') then now() else decided_at end,
    converted_at = case when %(status)s = 'converted' then now() else converted_at end
where account_id = (select auth.account_id()) and id = any(%(ids)b::uuid[])
"""


def change_status(
    connection: Connection, quote_ids: Sequence[UUID], status: Status, note: str | None = None
) -> None:
    """Move locked quotes on. Raises ConflictError where the database does not allow the step."""
    values = {"ids": quote_ids, "status": status, "note": note}
    try:
        connection.execute(CHANGE_STATUS, values)
    except psycopg.DatabaseError as error:
        raise translated(error) from error


MARK_VIEWED: Final = """
update app.quotes set status = 'viewed', viewed_at = now(), version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and status = 'sent'
returning id
"""


def mark_viewed(connection: Connection, quote_id: UUID) -> bool:
    """Note that a sent quote was seen by its client; False when it had been, or was answered."""
    return connection.execute(MARK_VIEWED, {"id": quote_id}).fetchone() is not None


INSERT_LINK: Final = """
insert into app.quote_links (id, quote_id, token_hash, expires_at)
values (%(id)s, %(quote_id)s, %(token_hash)s, %(expires_at)s)
"""


def insert_link(
    connection: Connection, quote_id: UUID, token_hash: bytes, expires_at: datetime
) -> None:
    values = {
        "id": new_id(),
        "quote_id": quote_id,
        "token_hash": token_hash,
        "expires_at": expires_at,
    }
    connection.execute(INSERT_LINK, values)


REVOKE_LINKS: Final = """
update app.quote_links set revoked_at = now()
where account_id = (select auth.account_id()) and quote_id = %(quote_id)s and revoked_at is null
"""


def revoke_links(connection: Connection, quote_id: UUID) -> int:
    """Close every way to a quote's page; how many there were."""
    return connection.execute(REVOKE_LINKS, {"quote_id": quote_id}).rowcount


EXPIRE: Final = """
with due as (
    select id from app.quotes
    where status in ('sent', 'viewed') and expires_at <= %(now)s
    order by expires_at limit %(limit)s for update skip locked
)
update app.quotes as quote set status = 'expired', version = version + 1
from due where quote.id = due.id
returning quote.account_id, quote.id
"""


def expire(connection: Connection, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Expire what is due in all accounts, for the service: account and quote of each."""
    return connection.execute(EXPIRE, {"now": now, "limit": limit}).fetchall()

"""Rows that a slice locks before it looks at them, in one order, so that slices never deadlock."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from quotekit.database import Connection
from quotekit.quotes.model import Status

HOLD_QUOTES: Final = """
select id, status from app.quotes
where account_id = (select auth.account_id()) and id = any(%(ids)b::uuid[])
order by id for update
"""


def quotes(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Status]:
    """The account's own of the quotes, with their status; none changes until the commit."""
    return dict(connection.execute(HOLD_QUOTES, {"ids": ids}).fetchall())

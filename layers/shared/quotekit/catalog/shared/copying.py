"""From the shared catalogue into an account's own items, at its own price."""

from typing import Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.errors import ForeignKeyViolation

from quotekit import audit
from quotekit.catalog import items, rows
from quotekit.catalog.model import Item
from quotekit.catalog.shared import browsing
from quotekit.catalog.shared.model import SharedItem
from quotekit.catalog.shared.requests import Copying
from quotekit.database import Connection
from quotekit.errors import ConflictError, invalid
from quotekit.identifiers import new_id
from quotekit.refusals import translated

# Its row lock lets two requests for one item copy it one after the other.
HOLD: Final = """
insert into app.shared_uses as used (shared_item_id) values (%(id)s)
on conflict (account_id, shared_item_id) do update set is_favorite = used.is_favorite
returning item_id
"""
CURRENCY: Final = """
select coalesce((select currency from app.company_settings
                 where account_id = (select auth.account_id())), 'USD')
"""
INSERT: Final[LiteralString] = (
    """
insert into app.items (id, shared_item_id, category_id, name, description, unit, unit_cost, tags)
values (%(id)s, %(shared_item_id)s, %(category_id)s, %(name)s, %(description)s, %(unit)s,
    %(unit_cost)s, %(tags)s)
returning """
    + items.COLUMNS
)


def copy(connection: Connection, shared_id: UUID, body: Copying) -> Item:
    """Make the account an item of its own; later changes of the shared one do not reach it.

    Raises NotFoundError, QuotaExceededError where the plan has no premium items, ConflictError
    with the id of the copy there is, and InvalidInputError for a foreign currency or category.
    """
    shared = browsing.get_item(connection, shared_id)
    (copied,) = connection.execute(HOLD, {"id": shared_id}).fetchone() or (None,)
    if copied is not None and not body.again:
        details = [{"field": "item_id", "message": str(copied)}]
        raise ConflictError("The account has a copy of this item; say again for another.", details)
    values = {
        "id": new_id(),
        "shared_item_id": shared_id,
        "category_id": body.category_id,
        "name": body.name or shared.name,
        "description": shared.description,
        "unit": shared.unit,
        "unit_cost": unit_cost(connection, shared, body),
        "tags": list(shared.tags),
    }
    try:
        item = rows.insert(connection, Item, INSERT, values)
    except ForeignKeyViolation as error:
        raise invalid("category_id", "does not exist") from error
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    audit.record(connection, "item.created", item.id, {"shared_item": str(shared_id)})
    return item


def unit_cost(connection: Connection, shared: SharedItem, body: Copying) -> object:
    """What was said, else what is suggested, where both are of one currency."""
    if body.unit_cost is not None:
        return body.unit_cost
    (currency,) = connection.execute(CURRENCY).fetchone() or ("USD",)
    if currency != shared.currency:
        raise invalid("unit_cost", f"required: {shared.currency} is suggested, you have {currency}")
    return shared.suggested_cost

"""Keeping the shared catalogue, for admins: what is on which shelf, and for whom."""

from dataclasses import asdict
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation

from quotekit import audit
from quotekit.catalog.requests import Change
from quotekit.catalog.shared import browsing
from quotekit.catalog.shared.model import SharedCategory, SharedItem
from quotekit.catalog.shared.requests import (
    SharedCategoryChange,
    SharedCategoryCreate,
    SharedItemChange,
    SharedItemCreate,
)
from quotekit.database import Connection
from quotekit.errors import ConflictError, StaleVersionError, invalid
from quotekit.identifiers import new_id

INSERT_CATEGORY: Final = """
insert into app.shared_categories (id, name, colour, description, tier, sort_order, is_active)
values (%(id)s, %(name)s, %(colour)s, %(description)s, %(tier)s, %(sort_order)s, %(is_active)s)
returning id
"""
UPDATE_CATEGORY: Final = """
update app.shared_categories
set name = %(name)s, colour = %(colour)s, description = %(description)s, tier = %(tier)s,
    sort_order = %(sort_order)s, is_active = %(is_active)s, version = version + 1
where id = %(id)s and version = %(version)s
returning id
"""
INSERT_ITEM: Final = """
insert into app.shared_items (id, category_id, name, description, unit, suggested_cost, currency,
    tier, tags, sort_order, is_active)
values (%(id)s, %(category_id)s, %(name)s, %(description)s, %(unit)s, %(suggested_cost)s,
    %(currency)s, %(tier)s, %(tags)s, %(sort_order)s, %(is_active)s)
returning id
"""
UPDATE_ITEM: Final = """
update app.shared_items
set category_id = %(category_id)s, name = %(name)s, description = %(description)s, unit = %(unit)s,
    suggested_cost = %(suggested_cost)s, currency = %(currency)s, tier = %(tier)s, tags = %(tags)s,
    sort_order = %(sort_order)s, is_active = %(is_active)s, version = version + 1
where id = %(id)s and version = %(version)s
returning id
"""


def create_category(connection: Connection, body: SharedCategoryCreate) -> SharedCategory:
    """Put up a shelf. Raises ConflictError for a name that is taken."""
    category_id = new_id()
    stored(connection, INSERT_CATEGORY, body.model_dump() | {"id": category_id})
    audit.record(connection, "shared_category.created", category_id)
    return browsing.get_category(connection, category_id)


def change_category(
    connection: Connection, category_id: UUID, body: SharedCategoryChange, *, version: int
) -> SharedCategory:
    """Change a shelf; one that is not active hides what is on it. Raises StaleVersionError."""
    known = browsing.get_category(connection, category_id)
    change(connection, UPDATE_CATEGORY, known, body, version)
    return browsing.get_category(connection, category_id)


def create_item(connection: Connection, body: SharedItemCreate) -> SharedItem:
    """Offer an item. Raises ConflictError for a name its shelf has, or InvalidInputError."""
    item_id = new_id()
    stored(connection, INSERT_ITEM, body.model_dump() | {"id": item_id})
    audit.record(connection, "shared_item.created", item_id)
    return browsing.get_item(connection, item_id)


def change_item(
    connection: Connection, item_id: UUID, body: SharedItemChange, *, version: int
) -> SharedItem:
    """Change an item; copies stay as they are. Raises StaleVersionError or ConflictError."""
    known = browsing.get_item(connection, item_id)
    change(connection, UPDATE_ITEM, known, body, version)
    return browsing.get_item(connection, item_id)


def change(
    connection: Connection,
    statement: LiteralString,
    known: SharedCategory | SharedItem,
    body: Change,
    version: int,
) -> None:
    said = body.said()
    values = asdict(known) | said | {"version": version}
    if known.version != version or not stored(connection, statement, values):
        raise StaleVersionError
    thing = "shared_item" if isinstance(known, SharedItem) else "shared_category"
    audit.record(connection, f"{thing}.changed", known.id, {"fields": sorted(said)})


def stored(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> bool:
    try:
        return connection.execute(statement, values).fetchone() is not None
    except UniqueViolation as error:
        raise ConflictError(f"There is one named {values['name']} already.") from error
    except ForeignKeyViolation as error:
        raise invalid("category_id", "does not exist") from error


# Whoever copied or favoured it has a row that names it.
DELETE: Final = """
delete from app.shared_items as item
where id = %(id)s and not exists (select from app.shared_uses where shared_item_id = item.id)
returning id
"""
WITHDRAW: Final = """
update app.shared_items set is_active = false, version = version + 1 where id = %(id)s
"""


def remove_item(connection: Connection, item_id: UUID) -> None:
    """Delete an item nobody used; one that somebody did is not offered any more instead."""
    browsing.get_item(connection, item_id)
    values = {"id": item_id}
    try:
        with connection.transaction():
            deleted = connection.execute(DELETE, values).fetchone()
    except ForeignKeyViolation:  # copied in this moment
        deleted = None
    if deleted is None:
        connection.execute(WITHDRAW, values)
    action = "shared_item.withdrawn" if deleted is None else "shared_item.deleted"
    audit.record(connection, action, item_id)

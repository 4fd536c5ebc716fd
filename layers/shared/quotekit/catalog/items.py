"""Items: what an account sells, ready to be put on a quote."""

from typing import Final, LiteralString
from uuid import UUID

from psycopg.errors import ForeignKeyViolation

from quotekit import audit
from quotekit.catalog import rows
from quotekit.catalog.model import Item
from quotekit.catalog.requests import ItemChange, ItemCreate, ItemListing
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, invalid
from quotekit.identifiers import new_id
from quotekit.paging import Page

COLUMNS: Final[LiteralString] = """id, category_id, name, description, unit,
    trim_scale(unit_cost) as unit_cost, trim_scale(tax_rate) as tax_rate, tags, is_favorite,
    last_used_at, version, created_at, updated_at"""
INSERT: Final[LiteralString] = (
    """
insert into app.items (id, category_id, name, description, unit, unit_cost, tax_rate, tags,
    is_favorite)
values (%(id)s, %(category_id)s, %(name)s, %(description)s, %(unit)s, %(unit_cost)s, %(tax_rate)s,
    %(tags)s, %(is_favorite)s)
returning """
    + COLUMNS
)


def create(connection: Connection, body: ItemCreate) -> Item:
    """Store an item. Raises InvalidInputError for a category the account does not have."""
    try:
        item = rows.insert(connection, Item, INSERT, {"id": new_id(), **body.model_dump()})
    except ForeignKeyViolation as error:
        raise invalid("category_id", "does not exist") from error
    audit.record(connection, "item.created", item.id)
    return item


GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.items "
    "where account_id = (select auth.account_id()) and id = %(id)s"
)


def get(connection: Connection, item_id: UUID) -> Item:
    return rows.get(connection, Item, GET, item_id)


LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.items
where account_id = (select auth.account_id())
  and (%(category_id)s::uuid is null or category_id = %(category_id)s)
  and (%(favorite)s::boolean is null or is_favorite = %(favorite)s)
  and (%(tag)s::text is null or %(tag)s = any (tags))
  and (%(words)s::text is null or search @@ to_tsquery('simple', %(words)s))"""
)


def page(connection: Connection, wanted: ItemListing) -> Page[Item]:
    return rows.page(connection, Item, LIST, wanted)


UPDATE: Final[LiteralString] = (
    """
update app.items
set category_id = %(category_id)s, name = %(name)s, description = %(description)s, unit = %(unit)s,
    unit_cost = %(unit_cost)s, tax_rate = %(tax_rate)s, tags = %(tags)s,
    is_favorite = %(is_favorite)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(connection: Connection, item_id: UUID, body: ItemChange, *, version: int) -> Item:
    """Change an item; quotes keep their lines. Raises StaleVersionError or InvalidInputError."""
    found = get(connection, item_id)
    try:
        return rows.update(connection, found, UPDATE, body, version=version)
    except ForeignKeyViolation as error:
        raise invalid("category_id", "does not exist") from error


DELETE: Final = """
delete from app.items
where account_id = (select auth.account_id()) and id = %(id)s
returning id
"""


def delete(connection: Connection, item_id: UUID) -> None:
    """Delete an item; the lines of quotes it was used in stay. Raises ConflictError where a
    package holds it."""
    try:
        deleted = connection.execute(DELETE, {"id": item_id}).fetchone()
    except ForeignKeyViolation as error:
        raise ConflictError("A package holds this item.") from error
    if deleted is None:
        raise NotFoundError("There is no such item.")
    audit.record(connection, "item.deleted", item_id)

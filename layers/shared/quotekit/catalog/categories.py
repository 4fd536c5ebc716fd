"""Categories: the shelves items are on. An account has a few, so they come in one list."""

from typing import Final, LiteralString
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from quotekit import audit
from quotekit.catalog import rows
from quotekit.catalog.model import Category
from quotekit.catalog.requests import CategoryChange, CategoryCreate
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.identifiers import new_id
from quotekit.paging import Page

MOST: Final = 500

COLUMNS: Final[LiteralString] = """id, name, colour, description, sort_order, version, created_at,
    updated_at"""
# Taken before counting, it makes the count true for parallel inserts.
LOCK_ACCOUNT: Final = """
select id from app.accounts where id = (select auth.account_id()) for no key update
"""
INSERT: Final[LiteralString] = (
    """
insert into app.item_categories (id, name, colour, description, sort_order)
select %(id)s, %(name)s, %(colour)s, %(description)s, %(sort_order)s
where (select count(*) from app.item_categories
       where account_id = (select auth.account_id())) < %(most)s
returning """
    + COLUMNS
)


def create(connection: Connection, body: CategoryCreate) -> Category:
    """Store a category. Raises ConflictError for a name that is taken, and above the most."""
    connection.execute(LOCK_ACCOUNT)
    values = {"id": new_id(), "most": MOST, **body.model_dump()}
    try:
        category = rows.find(connection, Category, INSERT, values)
    except UniqueViolation as error:
        raise taken(body.name) from error
    if category is None:
        raise ConflictError(f"An account has {MOST} categories at most.")
    audit.record(connection, "category.created", category.id)
    return category


def taken(name: str) -> ConflictError:
    return ConflictError(f"There is a category named {name} already.")


GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.item_categories "
    "where account_id = (select auth.account_id()) and id = %(id)s"
)


def get(connection: Connection, category_id: UUID) -> Category:
    return rows.get(connection, Category, GET, category_id)


LIST: Final[LiteralString] = (
    "select " + COLUMNS + " from app.item_categories "
    "where account_id = (select auth.account_id()) order by sort_order, lower(name), id"
)


def page(connection: Connection) -> Page[Category]:
    """All there are, in their order."""
    with connection.cursor(row_factory=class_row(Category)) as cursor:
        return Page(cursor.execute(LIST).fetchall(), None)


UPDATE: Final[LiteralString] = (
    """
update app.item_categories
set name = %(name)s, colour = %(colour)s, description = %(description)s,
    sort_order = %(sort_order)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(
    connection: Connection, category_id: UUID, body: CategoryChange, *, version: int
) -> Category:
    """Change a category. Raises StaleVersionError, or ConflictError for a name that is taken."""
    found = get(connection, category_id)
    try:
        return rows.update(connection, found, UPDATE, body, version=version)
    except UniqueViolation as error:
        raise taken(body.name) from error


DELETE: Final = """
delete from app.item_categories
where account_id = (select auth.account_id()) and id = %(id)s
returning id
"""


def delete(connection: Connection, category_id: UUID) -> None:
    """Delete a category; its items stay, without one."""
    if connection.execute(DELETE, {"id": category_id}).fetchone() is None:
        raise NotFoundError("There is no such category.")
    audit.record(connection, "category.deleted", category_id)

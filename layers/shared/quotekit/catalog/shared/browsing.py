"""Looking through the shared catalogue, and remembering what one likes in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, paging
from quotekit.catalog import rows
from quotekit.catalog.shared.model import SharedCategory, SharedItem
from quotekit.catalog.shared.requests import Browsing, Order
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.paging import Page

CATEGORY: Final[LiteralString] = """
select category.id, category.name, category.colour, category.description, category.tier,
    category.sort_order, category.is_active, category.version, category.created_at,
    category.updated_at,
    (select count(*) from app.shared_items as item
     where item.category_id = category.id and item.is_active) as items
from app.shared_categories as category
"""
GET_CATEGORY: Final[LiteralString] = CATEGORY + "where category.id = %(id)s"
CATEGORIES: Final[LiteralString] = CATEGORY + "order by category.sort_order, category.name"
ITEM: Final[LiteralString] = """
select item.id, item.category_id, category.name as category, item.name, item.description, item.unit,
    trim_scale(item.suggested_cost) as suggested_cost, item.currency, item.tier,
    item.tier = 'premium' and not (
        select app.has_premium_catalogue((select auth.account_id()))) as locked,
    item.tags, item.sort_order, item.is_active, coalesce(used.is_favorite, false) as is_favorite,
    item.copied_by, coalesce(used.copies, 0) as copies, used.item_id, item.version,
    item.created_at, item.updated_at
from app.shared_items as item
join app.shared_categories as category on category.id = item.category_id
left join app.shared_uses as used
    on used.shared_item_id = item.id and used.account_id = (select auth.account_id())
"""
GET: Final[LiteralString] = ITEM + "where item.id = %(id)s"
LIST: Final[LiteralString] = (
    ITEM
    + """
where item.is_active = %(is_active)s
  and (%(category_id)s::uuid is null or item.category_id = %(category_id)s)
  and (%(tier)s::text is null or item.tier = %(tier)s)
  and (%(tag)s::text is null or %(tag)s = any (item.tags))
  and (%(favorite)s::boolean is null or coalesce(used.is_favorite, false) = %(favorite)s)
  and (%(words)s::text is null or item.search @@ to_tsquery('simple', %(words)s))"""
)


@dataclass(frozen=True, slots=True)
class Sorting:
    """An order of the list: its end of the statement, a row's place in it, a place read back."""

    clause: LiteralString
    place: Callable[[SharedItem], object]
    parse: Callable[[str], Any] = str


SORTINGS: Final[Mapping[Order, Sorting]] = {
    "name": Sorting(
        """ and (%(after_id)s::uuid is null
       or (lower(item.name), item.id) > (lower(%(after)s::text), %(after_id)s))
order by lower(item.name), item.id limit %(limit)s""",
        lambda item: item.name,
    ),
    "-name": Sorting(
        """ and (%(after_id)s::uuid is null
       or (lower(item.name), item.id) < (lower(%(after)s::text), %(after_id)s))
order by lower(item.name) desc, item.id desc limit %(limit)s""",
        lambda item: item.name,
    ),
    # The place of the last row is looked up, so that shelves of one place keep together.
    "shelf": Sorting(
        """ and (%(after_id)s::uuid is null
       or (category.sort_order, category.id, item.sort_order, item.id) > (
            select shelf.sort_order, shelf.id, last.sort_order, last.id
            from app.shared_items as last
            join app.shared_categories as shelf on shelf.id = last.category_id
            where last.id = %(after_id)s))
order by category.sort_order, category.id, item.sort_order, item.id limit %(limit)s""",
        lambda item: item.category,
    ),
    "popular": Sorting(
        """ and (%(after_id)s::uuid is null
       or (item.copied_by, item.id) < (%(after)s::integer, %(after_id)s))
order by item.copied_by desc, item.id desc limit %(limit)s""",
        lambda item: item.copied_by,
        int,
    ),
}


def get_item(connection: Connection, item_id: UUID) -> SharedItem:
    """One item. Raises NotFoundError; one that is not offered any more is there for admins."""
    return found(rows.find(connection, SharedItem, GET, {"id": item_id}))


def get_category(connection: Connection, category_id: UUID) -> SharedCategory:
    return found(rows.find(connection, SharedCategory, GET_CATEGORY, {"id": category_id}))


def found[T](row: T | None) -> T:
    if row is None:
        raise NotFoundError("The shared catalogue has no such thing.")
    return row


def categories(connection: Connection) -> Page[SharedCategory]:
    """All shelves, in their order."""
    with connection.cursor(row_factory=class_row(SharedCategory)) as cursor:
        return Page(cursor.execute(CATEGORIES).fetchall(), None)


def items(connection: Connection, wanted: Browsing) -> Page[SharedItem]:
    """One page of the catalogue. Raises InvalidInputError for a foreign cursor."""
    sorting = SORTINGS[wanted.sort]
    after, after_id = paging.decode(wanted.cursor, sorting.parse)
    values = wanted.model_dump() | {
        "words": paging.words(wanted.q),
        "after": after,
        "after_id": after_id,
        "limit": wanted.limit + 1,
    }
    with connection.cursor(row_factory=class_row(SharedItem)) as cursor:
        page = cursor.execute(LIST + sorting.clause, values).fetchall()
    return paging.page(page, wanted.limit, lambda item: (sorting.place(item), item.id))


FAVOUR: Final = """
insert into app.shared_uses (shared_item_id, is_favorite) values (%(id)s, %(liked)s)
on conflict (account_id, shared_item_id) do update set is_favorite = excluded.is_favorite
"""


def favour(connection: Connection, item_id: UUID, *, liked: bool) -> SharedItem:
    """Make an item a favourite of the account, or not any more; twice is once."""
    if get_item(connection, item_id).is_favorite != liked:
        connection.execute(FAVOUR, {"id": item_id, "liked": liked})
        action = "shared_item.favoured" if liked else "shared_item.unfavoured"
        audit.record(connection, action, item_id)
    return get_item(connection, item_id)

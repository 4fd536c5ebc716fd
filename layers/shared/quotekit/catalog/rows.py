"""Rows of the catalogue: one by its statement, many by the page."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, ClassVar, Final, LiteralString, Protocol
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, paging
from quotekit.catalog.model import Client, Item
from quotekit.catalog.requests import Change, Listing, Order
from quotekit.database import Connection
from quotekit.errors import NotFoundError, StaleVersionError
from quotekit.paging import Page

# What a list ends with, behind its own conditions.
ORDERS: Final[Mapping[Order, LiteralString]] = {
    "name": """ and (%(after_id)s::uuid is null
       or (lower(name), id) > (lower(%(after)s::text), %(after_id)s))
order by lower(name), id limit %(limit)s""",
    "-name": """ and (%(after_id)s::uuid is null
       or (lower(name), id) < (lower(%(after)s::text), %(after_id)s))
order by lower(name) desc, id desc limit %(limit)s""",
    "created_at": """ and (%(after_id)s::uuid is null
       or (created_at, id) > (%(after)s::timestamptz, %(after_id)s))
order by created_at, id limit %(limit)s""",
    "-created_at": """ and (%(after_id)s::uuid is null
       or (created_at, id) < (%(after)s::timestamptz, %(after_id)s))
order by created_at desc, id desc limit %(limit)s""",
}


class Versioned(Protocol):
    """A row, as a frozen dataclass, that counts its changes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> UUID: ...

    @property
    def version(self) -> int: ...


class Kind[T](Protocol):
    """What there is to every kind of thing: a module of its own with these."""

    def get(self, connection: Connection, thing_id: UUID, /) -> T: ...

    def delete(self, connection: Connection, thing_id: UUID, /) -> None: ...


def insert[T](
    connection: Connection, kind: type[T], statement: LiteralString, values: Mapping[str, Any]
) -> T:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        (stored,) = cursor.execute(statement, values)
    return stored


def find[T](
    connection: Connection, kind: type[T], statement: LiteralString, values: Mapping[str, Any]
) -> T | None:
    """The row a statement finds or changes, if there is one."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, values).fetchone()


def get[T](connection: Connection, kind: type[T], statement: LiteralString, row_id: UUID) -> T:
    """One row of the caller's. Raises NotFoundError, also for another account's."""
    found = find(connection, kind, statement, {"id": row_id})
    if found is None:
        raise NotFoundError(f"There is no such {kind.__name__.lower()}.")
    return found


def update[T: Versioned](
    connection: Connection, found: T, statement: LiteralString, change: Change, *, version: int
) -> T:
    """Say something else of a row. Raises StaleVersionError when it is not of that version."""
    said = change.said()
    changed = None
    if found.version == version:
        changed = find(connection, type(found), statement, asdict(found) | said)
    if changed is None:  # changed or deleted since it was found
        raise StaleVersionError
    action = f"{type(found).__name__.lower()}.changed"
    audit.record(connection, action, found.id, {"fields": sorted(said)})
    return changed


def page[T: (Client, Item)](
    connection: Connection, kind: type[T], statement: LiteralString, wanted: Listing
) -> Page[T]:
    """One page of a list. Raises InvalidInputError for a foreign cursor."""
    values, place = paged(wanted)
    with connection.cursor(row_factory=class_row(kind)) as rows:
        found = rows.execute(statement + ORDERS[wanted.sort], values).fetchall()
    return paging.page(found, wanted.limit, place)


def paged(wanted: Listing) -> tuple[dict[str, Any], Callable[[Any], tuple[Any, UUID]]]:
    """What a list's statement is given, and how it finds a row's place in the order."""
    by_name = wanted.sort.endswith("name")
    parse: Callable[[str], Any] = str if by_name else datetime.fromisoformat
    after, after_id = paging.decode(wanted.cursor, parse)
    values = wanted.model_dump() | {
        "words": paging.words(wanted.q),
        "after": after,
        "after_id": after_id,
        "limit": wanted.limit + 1,
    }
    return values, lambda row: (row.name if by_name else row.created_at, row.id)

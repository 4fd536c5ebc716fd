"""Put many items into the catalogue."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import StringConstraints, model_validator

from quotekit import audit
from quotekit.batches.items import Row
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.catalog.requests import ItemCreate
from quotekit.database import Connection
from quotekit.identifiers import new_id

NO_CATEGORY: Final = Outcome("invalid", "The category does not exist.")


class NewItem(Row, ItemCreate):
    """As one item is created; its category by id or by name."""

    category: Annotated[str, StringConstraints(max_length=100)] | None = None

    @model_validator(mode="after")
    def _one_category(self) -> Self:
        if self.category is not None and self.category_id is not None:
            raise ValueError("give category or category_id, not both")
        return self

    @property
    def shelf(self) -> str | None:
        """The category, however it was named."""
        return self.category if self.category_id is None else str(self.category_id)


# Held, so that none is deleted before the items are stored.
CATEGORIES: Final = """
select given.name, category.id
from unnest(%(names)s::text[]) as given (name)
join app.item_categories as category
    on lower(category.name) = lower(given.name) or category.id::text = given.name
where category.account_id = (select auth.account_id())
for key share of category
"""
INSERT: Final = """
insert into app.items (id, category_id, name, description, unit, unit_cost, tax_rate, tags,
    is_favorite)
select id, category_id, name, description, unit, unit_cost, tax_rate, tags, is_favorite
from jsonb_to_recordset(%(rows)s) as item (id uuid, category_id uuid, name text, description text,
    unit text, unit_cost numeric, tax_rate numeric, tags text[], is_favorite boolean)
"""


def apply(connection: Connection, work: Work, items: Sequence[NewItem]) -> list[Outcome]:
    shelves = categories(connection, {item.shelf for item in items if item.shelf is not None})
    ids = [new_id() if item.shelf is None or item.shelf in shelves else None for item in items]
    pairs = [(new, item) for new, item in zip(ids, items, strict=True) if new is not None]
    rows = [row(new, item, shelves) for new, item in pairs]
    connection.execute(INSERT, {"rows": Jsonb(rows)})
    details = {"batch": str(work.job_id)}
    audit.record_all(connection, "item.created", {new: details for new, _ in pairs})
    return [NO_CATEGORY if new is None else created(new) for new in ids]


def created(new: UUID) -> Outcome:
    return Outcome("created", data={"id": str(new)})


def categories(connection: Connection, names: set[str]) -> dict[str, UUID]:
    """The account's own of the categories, by how they were named."""
    if not names:
        return {}
    return dict(connection.execute(CATEGORIES, {"names": sorted(names)}).fetchall())


def row(new: UUID, item: NewItem, shelves: Mapping[str, UUID]) -> dict[str, Any]:
    said = item.model_dump(mode="json", exclude={"category"})
    category = None if item.shelf is None else str(shelves[item.shelf])
    return said | {"id": str(new), "category_id": category}


BULK_CREATE_ITEMS: Final = Operation(
    name="bulk_create_items", item=NewItem, apply=apply, milliseconds=0.15
)

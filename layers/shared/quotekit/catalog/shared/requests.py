"""What may be said of the shared catalogue from outside."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from quotekit import paging
from quotekit.bodies import Amount, Body, Colour, Currency, Name, given
from quotekit.catalog.requests import Change, Cursor, Tag, Tags
from quotekit.catalog.shared.model import Tier

type Order = Literal["shelf", "name", "-name", "popular"]

Place = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Unit = Annotated[str, StringConstraints(min_length=1, max_length=30)]
CategoryName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Browsing(Body):
    """Which items; `is_active=false` is for admins and shows what is not offered any more."""

    q: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    category_id: UUID | None = None
    tier: Tier | None = None
    tag: Tag | None = None
    favorite: bool | None = None
    is_active: bool = True
    sort: Order = "shelf"
    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Cursor | None = None


class Copying(Body):
    """What is different in the account's own item; `again` copies what was copied before."""

    name: Name | None = None
    unit_cost: Amount | None = None
    category_id: UUID | None = None
    again: bool = False


class SharedCategoryCreate(Body):
    name: CategoryName
    colour: Colour = "#3b82f6"
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    tier: Tier = "free"
    sort_order: Place = 0
    is_active: bool = True


class SharedCategoryChange(SharedCategoryCreate, Change):
    name: CategoryName = given()


class SharedItemCreate(Body):
    category_id: UUID
    name: Name
    description: Annotated[str, StringConstraints(max_length=5000)] | None = None
    unit: Unit
    suggested_cost: Amount
    currency: Currency = "USD"
    tier: Tier
    tags: Tags = given([])
    sort_order: Place = 0
    is_active: bool = True


class SharedItemChange(SharedItemCreate, Change):
    category_id: UUID = given()
    name: Name = given()
    unit: Unit = given()
    suggested_cost: Amount = given()
    tier: Tier = given()

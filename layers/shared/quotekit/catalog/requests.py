"""What may be said of clients, items and categories from outside."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from quotekit import paging
from quotekit.bodies import Address, Amount, Body, Colour, Email, Name, Percent, Phone, given

type Order = Literal["name", "-name", "created_at", "-created_at"]

Tag = Annotated[str, StringConstraints(min_length=1, max_length=50)]
# A cursor holds a name of 200 characters, escaped for JSON and written in base64.
Cursor = Annotated[str, StringConstraints(max_length=4000)]


def _each_once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_each_once)]


class Change(Body):
    """A change; `version` (or If-Match) is the one it was made from. What is left out stays."""

    version: int | None = Field(default=None, ge=1)

    def said(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"version"})


class ClientCreate(Body):
    name: Name
    email: Email | None = None
    phone: Phone | None = None
    address: Address | None = None
    notes: Annotated[str, StringConstraints(max_length=10_000)] | None = None


class ClientChange(ClientCreate, Change):
    name: Name = given()


class ItemCreate(Body):
    name: Name
    unit: Annotated[str, StringConstraints(min_length=1, max_length=30)]
    unit_cost: Amount
    category_id: UUID | None = None
    description: Annotated[str, StringConstraints(max_length=5000)] | None = None
    tax_rate: Percent | None = None
    tags: Tags = given([])
    is_favorite: bool = False


class ItemChange(ItemCreate, Change):
    name: Name = given()
    unit: Annotated[str, StringConstraints(min_length=1, max_length=30)] = given()
    unit_cost: Amount = given()


class CategoryCreate(Body):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    colour: Colour = "#3b82f6"
    description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    sort_order: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0


class CategoryChange(CategoryCreate, Change):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = given()


class Listing(Body):
    """Which page of a list, in which order, of what holds these words."""

    q: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    sort: Order = "-created_at"
    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Cursor | None = None


class ItemListing(Listing):
    category_id: UUID | None = None
    favorite: bool | None = None
    tag: Tag | None = None

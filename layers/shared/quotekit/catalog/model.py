"""What an account quotes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who gets quotes."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    address: str | None
    notes: str | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is sold. `unit_cost` is in the account's currency, without its markup."""

    id: UUID
    category_id: UUID | None
    name: str
    description: str | None
    unit: str
    unit_cost: Decimal
    tax_rate: Decimal | None
    tags: Sequence[str]
    is_favorite: bool
    last_used_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Category:
    """A shelf of items."""

    id: UUID
    name: str
    colour: str
    description: str | None
    sort_order: int
    version: int
    created_at: datetime
    updated_at: datetime

"""What is in the shared catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

type Tier = Literal["free", "premium"]


@dataclass(frozen=True, slots=True)
class SharedCategory:
    """A shelf; `items` are those on it that are offered."""

    id: UUID
    name: str
    colour: str
    description: str | None
    tier: Tier
    sort_order: int
    is_active: bool
    items: int
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SharedItem:
    """What others quote. `suggested_cost` is a starting point for one unit, in `currency`.

    `locked`: the caller's plan may not copy it. `copied_by` counts accounts; `copies` and
    `item_id`, the newest that is left, are the caller's own."""

    id: UUID
    category_id: UUID
    category: str
    name: str
    description: str | None
    unit: str
    suggested_cost: Decimal
    currency: str
    tier: Tier
    locked: bool
    tags: Sequence[str]
    sort_order: int
    is_active: bool
    is_favorite: bool
    copied_by: int
    copies: int
    item_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime

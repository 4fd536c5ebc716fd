"""What a package is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PackageLine:
    """So much of an own item; what it is called and costs is the item's, on the day of use."""

    item_id: UUID
    name: str
    unit: str
    quantity: Decimal
    unit_cost: Decimal


@dataclass(frozen=True, slots=True)
class PackageTier:
    """One way to do the job."""

    name: str
    description: str | None
    lines: Sequence[PackageLine]


@dataclass(frozen=True, slots=True)
class Package:
    """Two to five ways, of which the client chooses one; `preselected` counts from 1."""

    id: UUID
    name: str
    description: str | None
    preselected: int
    tiers: Sequence[PackageTier]
    version: int
    created_at: datetime
    updated_at: datetime

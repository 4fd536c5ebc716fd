"""What may be said of packages from outside."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from quotekit.bodies import Amount, Body, Name, given
from quotekit.catalog.requests import Change

Description = Annotated[str, StringConstraints(max_length=2000)]


class LineOfTier(Body):
    item_id: UUID
    quantity: Amount


class TierOfPackage(Body):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    description: Description | None = None
    lines: Annotated[list[LineOfTier], Field(min_length=1, max_length=50)]


def _names_differ(tiers: list[TierOfPackage]) -> list[TierOfPackage]:
    if len({tier.name.lower() for tier in tiers}) < len(tiers):
        raise ValueError("two tiers have one name")
    return tiers


Tiers = Annotated[
    list[TierOfPackage], Field(min_length=2, max_length=5), AfterValidator(_names_differ)
]


class PackageCreate(Body):
    """`preselected` is the tier a quote starts with, counted from 1."""

    name: Name
    description: Description | None = None
    preselected: Annotated[int, Field(ge=1, le=5)] = 1
    tiers: Tiers

    @model_validator(mode="after")
    def _preselects_what_there_is(self) -> Self:
        if self.tiers and self.preselected > len(self.tiers):
            raise ValueError("preselected is not one of the tiers")
        return self


class PackageChange(PackageCreate, Change):
    name: Name = given()
    tiers: Tiers = given()


class PackageUse(Body):
    """Put a package on a draft; `group` is what the choice is called there, if not its name."""

    package_id: UUID
    group: Name | None = None

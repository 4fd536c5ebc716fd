"""What may be said of properties, assessments and rules from outside."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from quotekit import paging
from quotekit.assessments.model import (
    Access,
    AssessmentStatus,
    Factor,
    LawnCondition,
    RuleKind,
    SoilCondition,
)
from quotekit.bodies import Amount, Body, Currency, Markup, Name, given
from quotekit.catalog.requests import Change, Cursor


def _year_2000_to_9998(value: datetime) -> datetime:
    if not 2000 <= value.year <= 9998:  # noqa: PLR2004 - says itself
        raise ValueError("must lie between the years 2000 and 9998")
    return value


Area = Annotated[Decimal, Field(gt=0, le=100_000_000, max_digits=11, decimal_places=2)]
Share = Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]
Bound = Annotated[Decimal, Field(ge=0, le=100_000_000, max_digits=11, decimal_places=2)]
OneToTen = Annotated[int, Field(ge=1, le=10)]
Notes = Annotated[str, StringConstraints(max_length=10_000)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Moment = Annotated[AwareDatetime, AfterValidator(_year_2000_to_9998)]
RuleAmount = Annotated[Decimal, Field(gt=-100, le=1_000_000, max_digits=11, decimal_places=4)]


class PropertyCreate(Body):
    client_id: UUID
    service_address: Place
    lot_area_sqft: Area | None = None
    lawn_area_sqft: Area | None = None
    access: Access | None = None
    gate_code: Annotated[str, StringConstraints(max_length=50)] | None = None
    notes: Notes | None = None
    is_active: bool = True


class PropertyChange(Change):
    service_address: Place = given()
    lot_area_sqft: Area | None = None
    lawn_area_sqft: Area | None = None
    access: Access | None = None
    gate_code: Annotated[str, StringConstraints(max_length=50)] | None = None
    notes: Notes | None = None
    is_active: bool = given()


class Findings(Body):
    """What there is to find; what nobody looked at is left out, or null."""

    scheduled_for: Moment | None = None
    area_sqft: Area | None = None
    lawn_condition: LawnCondition | None = None
    soil_condition: SoilCondition | None = None
    weed_percent: Share | None = None
    complexity: OneToTen | None = None
    slope_percent: Share | None = None
    access: Access | None = None
    obstacle_count: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    has_irrigation: bool | None = None
    priority: OneToTen | None = None
    markup_rate: Markup | None = None
    manual_estimate: Amount | None = None
    notes: Notes | None = None


class AssessmentCreate(Findings):
    property_id: UUID


class AssessmentChange(Findings, Change):
    status: AssessmentStatus = given()


class RuleFields(Body):
    kind: RuleKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=30)] | None = None
    range_from: Bound | None = None
    range_to: Bound | None = None
    amount: RuleAmount
    currency: Currency | None = None
    label: Name


class RuleCreate(RuleFields):
    factor: Factor


class RuleChange(RuleFields, Change):
    kind: RuleKind = given()
    amount: RuleAmount = given()
    label: Name = given()


class Listing(Body):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Cursor | None = None


class PropertyListing(Listing):
    client_id: UUID | None = None
    is_active: bool | None = None


class AssessmentListing(Listing):
    property_id: UUID | None = None
    status: AssessmentStatus | None = None
    quote_id: UUID | None = None


class RuleListing(Listing):
    factor: Factor | None = None

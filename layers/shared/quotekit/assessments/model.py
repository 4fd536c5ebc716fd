"""What assessing a property is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from quotekit.quotes.model import Calculation, Quote

type Access = Literal["easy", "limited", "difficult"]
type LawnCondition = Literal["pristine", "healthy", "patchy", "poor", "dead"]
type SoilCondition = Literal["excellent", "good", "compacted", "sandy", "clay", "contaminated"]
type AssessmentStatus = Literal[
    "scheduled", "in_progress", "completed", "reviewed", "requires_followup"
]
type Factor = Literal[
    "area",
    "lawn_condition",
    "soil_condition",
    "weed_percent",
    "complexity",
    "slope_percent",
    "obstacle_density",
    "access",
]
type RuleKind = Literal["multiplier", "percentage", "per_sqft", "flat_fee"]


@dataclass(frozen=True, slots=True)
class Property:
    """Where a client's work is done. Areas are square feet."""

    id: UUID
    client_id: UUID
    service_address: str
    lot_area_sqft: Decimal | None
    lawn_area_sqft: Decimal | None
    access: Access | None
    gate_code: str | None
    notes: str | None
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was found at a property; null is what nobody looked at.

    `area_sqft` and `access` are the property's where they are null. `quote_id` is the quote that
    was made of it."""

    id: UUID
    property_id: UUID
    status: AssessmentStatus
    scheduled_for: datetime | None
    area_sqft: Decimal | None
    lawn_condition: LawnCondition | None
    soil_condition: SoilCondition | None
    weed_percent: Decimal | None
    complexity: int | None
    slope_percent: Decimal | None
    access: Access | None
    obstacle_count: int | None
    has_irrigation: bool | None
    priority: int | None
    markup_rate: Decimal | None
    manual_estimate: Decimal | None
    notes: str | None
    completed_at: datetime | None
    quote_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding does to the price: a `value` it is, or a range from `range_from` to below
    `range_to`; with none of these, whatever is found, and nothing too.

    `is_default` are the house's, which hold where the account has none of its own."""

    id: UUID
    factor: Factor
    kind: RuleKind
    value: str | None
    range_from: Decimal | None
    range_to: Decimal | None
    amount: Decimal
    currency: str | None
    label: str
    is_default: bool
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a price follows from: the assessment's findings, over its property's."""

    area_sqft: Decimal | None = None
    lawn_condition: str | None = None
    soil_condition: str | None = None
    weed_percent: Decimal | None = None
    complexity: int | None = None
    slope_percent: Decimal | None = None
    obstacle_count: int | None = None
    access: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One rule at work: `after` is `before` plus `difference`, each in the currency's own units."""

    rule_id: UUID
    factor: Factor
    kind: RuleKind
    label: str
    found: str | None
    amount: Decimal
    before: Decimal
    after: Decimal
    difference: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """One price and why it is that: the steps begin at zero and end at `price`, before markup."""

    name: str
    steps: tuple[Step, ...]
    price: Decimal


@dataclass(frozen=True, slots=True)
class Missing:
    """Something a price needs and does not have."""

    input: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The calculated total beside the estimate; a variance above zero is above the estimate.

    The percentage is of the estimate, half up to two decimals; null for an estimate of zero."""

    manual_estimate: Decimal
    calculated_total: Decimal
    variance_amount: Decimal
    variance_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a quote of an assessment would cost; nothing of it is stored.

    When something is missing there is no price: `calculation` and `total` are null."""

    assessment_id: UUID
    currency: str
    charges: Sequence[Charge]
    calculation: Calculation | None
    total: Decimal | None
    missing: Sequence[Missing]
    comparison: Comparison | None
    comparison_reason: str | None
    calculated_at: datetime


@dataclass(frozen=True, slots=True)
class AssessmentQuote:
    """The quote of an assessment, with the explanation of its prices as they were made.

    `created` says whether this request made it."""

    assessment_id: UUID
    quote: Quote
    charges: Sequence[Charge]
    created: bool

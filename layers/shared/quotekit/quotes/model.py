"""What a quote is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from quotekit.quotes.pricing import Discount

type Status = Literal[
    "draft", "sent", "viewed", "accepted", "declined", "expired", "converted", "superseded"
]


@dataclass(frozen=True, slots=True)
class Recipient:
    """The client as the quote names him; a later change of the client does not reach it."""

    name: str = ""
    email: str | None = None
    phone: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class DraftLine:
    """What its owner says of a line."""

    name: str
    quantity: Decimal
    unit_cost: Decimal
    item_id: UUID | None = None
    description: str = ""
    unit: str = ""
    tax_rate: Decimal | None = None
    discount: Discount | None = None
    optional: bool = False
    selected: bool = False
    group: str | None = None
    choice: str | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What its owner says of a quote; the prices follow from it."""

    client_id: UUID | None
    client: Recipient
    currency: str
    language: str
    line_items: Sequence[DraftLine]
    tax_rate: Decimal
    tax_inclusive: bool
    tax_rounding: Literal["document", "line"]
    markup_rate: Decimal
    discount: Discount | None = None
    deposit: Discount | None = None
    notes: str = ""
    terms: str = ""
    valid_until: date | None = None
    is_template: bool = False
    template_name: str | None = None


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """A line with its prices. `net` and `tax_amount` are zero where it does not count.

    Of a `group` exactly one `choice` is selected, with all its lines. Where there is a
    `quantity_min`, the client may choose from it to `quantity_max`."""

    position: int
    item_id: UUID | None
    name: str
    description: str
    unit: str
    quantity: Decimal
    unit_cost: Decimal
    tax_rate: Decimal | None
    discount: Discount | None
    optional: bool
    selected: bool
    unit_price: Decimal
    discount_amount: Decimal
    line_total: Decimal
    net: Decimal
    tax_amount: Decimal
    group: str | None = None
    choice: str | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TaxShare:
    rate: Decimal
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the last mail; `reason` says why it failed or waits."""

    status: str
    recipient: str
    attempts: int
    attachment: str | None
    reason: str | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Calculation:
    """The prices of a quote. `markup_amount` is for its owner's eyes."""

    currency: str
    line_items: tuple[QuoteLine, ...]
    subtotal: Decimal
    markup_amount: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    tax_breakdown: tuple[TaxShare, ...]
    total: Decimal
    deposit_amount: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote as its owner sees it. `version` counts changes.

    `revision` is its place in the chain of quotes of which each replaces the one it `revises`.
    `link` is the address its client opens, told once, when it is sent: only its hash is kept."""

    id: UUID
    number: str | None
    version: int
    revision: int
    revises: UUID | None
    status: Status
    is_template: bool
    template_name: str | None
    client_id: UUID | None
    client: Recipient
    currency: str
    language: str
    line_items: tuple[QuoteLine, ...]
    tax_rate: Decimal
    tax_inclusive: bool
    tax_rounding: Literal["document", "line"]
    markup_rate: Decimal
    discount: Discount | None
    deposit: Discount | None
    notes: str
    terms: str
    valid_until: date | None
    subtotal: Decimal
    markup_amount: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    tax_breakdown: tuple[TaxShare, ...]
    total: Decimal
    deposit_amount: Decimal
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    viewed_at: datetime | None
    decided_at: datetime | None
    decision_note: str | None
    converted_at: datetime | None
    expires_at: datetime | None
    delivery: Delivery | None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of a list of quotes."""

    id: UUID
    number: str | None
    version: int
    status: Status
    is_template: bool
    template_name: str | None
    client_id: UUID | None
    client_name: str
    currency: str
    total: Decimal
    valid_until: date | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of quotes is narrowed to; None means no limit."""

    status: Status | None = None
    client_id: UUID | None = None
    query: str | None = None
    created_from: date | None = None
    created_to: date | None = None
    is_template: bool = False

"""What an invoice is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from quotekit.quotes.model import TaxShare

type Status = Literal["open", "overdue", "paid", "void", "uncollectible"]
type Method = Literal["cash", "check", "bank_transfer", "card", "other", "stripe"]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line that counts, as it was accepted."""

    position: int
    name: str
    description: str
    unit: str
    quantity: Decimal
    unit_price: Decimal
    discount_amount: Decimal
    line_total: Decimal
    tax_rate: Decimal | None
    tax_amount: Decimal


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in; `refunded` of it went back."""

    id: UUID
    kind: Literal["deposit", "payment"]
    method: Method
    amount: Decimal
    refunded: Decimal
    received_on: date
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AtStripe:
    """The invoice as it stands at Stripe; `reason` says why it failed or waits."""

    status: Literal["pending", "draft", "open", "paid", "void", "uncollectible", "failed"]
    id: str | None
    stripe_account_id: str
    recipient: str
    url: str | None
    reason: str | None
    sent_at: datetime | None
    payment_failed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as its owner sees it. Amounts are those that were accepted.

    `overdue` is open after its due date has ended at the account's place."""

    id: UUID
    number: str
    quote_id: UUID
    quote_number: str
    status: Status
    client_name: str
    client_email: str | None
    client_address: str | None
    currency: str
    tax_inclusive: bool
    lines: Sequence[InvoiceLine]
    tax_breakdown: Sequence[TaxShare]
    subtotal: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    total: Decimal
    deposit_paid: Decimal
    amount_paid: Decimal
    amount_due: Decimal
    issued_on: date
    due_date: date
    version: int
    created_at: datetime
    paid_at: datetime | None
    voided_at: datetime | None
    payments: Sequence[Payment]
    stripe: AtStripe | None
    stripe_reason: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of a list of invoices."""

    id: UUID
    number: str
    quote_id: UUID
    quote_number: str
    status: Status
    client_name: str
    currency: str
    total: Decimal
    amount_paid: Decimal
    amount_due: Decimal
    issued_on: date
    due_date: date
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """What is written down of an accepted quote; number, deposit and status are the database's."""

    quote_id: UUID
    version_id: UUID
    client_name: str
    client_email: str | None
    client_address: str | None
    currency: str
    tax_inclusive: bool
    lines: Sequence[Mapping[str, Any]]
    tax_breakdown: Sequence[TaxShare]
    subtotal: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    total: Decimal
    due_date: date

"""Stripe's objects as far as this house needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

type Status = Literal[
    "trialing",
    "active",
    "past_due",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "unpaid",
    "paused",
]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Which of two statements about one object is kept: the greater.

    `final` is what Stripe never takes back; `rank` and `tie` decide within one second."""

    final: bool
    as_of: datetime
    rank: int = 0
    tie: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a Stripe customer is, as metadata we set says it; the latest claim holds."""

    customer_id: str
    account_id: UUID | None
    as_of: datetime
    by: str


@dataclass(frozen=True, slots=True)
class News:
    """An event of Stripe's that names a customer."""

    id: str
    type: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    default_payment_method: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Product:
    """`features` is what its metadata says and we understood, `warnings` what we did not."""

    id: str
    name: str
    active: bool
    plan_key: str | None
    features: Mapping[str, Any]
    warnings: Sequence[Mapping[str, str]]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """`unit_amount` counts minor units; null where Stripe counts by tiers."""

    id: str
    product_id: str
    active: bool
    currency: str
    unit_amount: int | None
    interval: str | None
    interval_count: int | None
    trial_days: int | None
    created_at: datetime

    @property
    def yearly(self) -> int | None:
        """What a year of it costs; null where that cannot be said."""
        times = {"month": 12, "year": 1}.get(self.interval or "")
        if times is None or self.unit_amount is None or self.interval_count != 1:
            return None
        return self.unit_amount * times


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    price_id: str
    product_id: str
    quantity: int
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    customer_id: str
    status: Status
    items: Sequence[Item]
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None
    created_at: datetime

    @property
    def live(self) -> bool:
        return self.status not in {"canceled", "incomplete_expired"}

    @property
    def product_ids(self) -> list[str]:
        return sorted({item.product_id for item in self.items})

    @property
    def latest(self) -> datetime:
        """The latest time among its own fields that something happened at."""
        starts = [item.period_start for item in self.items]
        times = [self.created_at, self.canceled_at, self.ended_at, self.trial_start, *starts]
        return max(moment for moment in times if moment is not None)


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """Without a customer it is detached."""

    id: str
    customer_id: str | None
    type: str | None
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the billing history; `amount` in minor units, negative what went back."""

    id: str
    kind: Literal["invoice", "refund", "dispute"]
    customer_id: str | None
    subscription_id: str | None
    charge_id: str | None
    payment_intent: str | None
    amount: int
    currency: str
    status: str
    description: str | None
    url: str | None
    needs_answer: bool
    due_by: datetime | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A checkout at Stripe. `url` is null once it is over."""

    id: str
    open: bool
    url: str | None
    success_url: str | None
    cancel_url: str | None
    price_id: str | None
    expires_at: datetime | None

"""What reports say. Money is never added over currencies: a row has one, and is of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from quotekit.quotes.model import Status

type By = Literal["client", "item"]


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days of the account's time zone, both included; templates are in no report."""

    first_day: date
    last_day: date
    time_zone: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class StatusRow:
    """Quotes of one status and currency whose month is `month`, as 2026-11."""

    month: str
    status: Status
    currency: str
    quotes: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class StatusReport:
    """By the month a quote was sent in; a draft counts in the month it was made in."""

    span: Span
    rows: Sequence[StatusRow]


@dataclass(frozen=True, slots=True)
class AcceptanceRow:
    """What became of the quotes that were sent in these days. `accepted` has the converted too.

    `acceptance_rate` is accepted / (accepted + declined + expired), from 0 to 1, half up to four
    decimals; open and superseded quotes are no answer and stay out of it. Seconds are from
    sending to accepting. What cannot be said is null."""

    sent: int
    accepted: int
    declined: int
    expired: int
    open: int
    superseded: int
    acceptance_rate: Decimal | None
    average_seconds: Decimal | None
    median_seconds: Decimal | None


@dataclass(frozen=True, slots=True)
class AcceptanceReport:
    """`reason` says why a figure is null."""

    span: Span
    row: AcceptanceRow
    reason: str | None


@dataclass(frozen=True, slots=True)
class RevenueRow:
    """What a client accepted, or what was accepted of an item; `count` are quotes, or lines.

    `id` and `name` are null for quotes and lines that name none of the catalogue's. `total` has
    the `tax` in it."""

    currency: str
    id: UUID | None
    name: str | None
    count: int
    total: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """The sum of all rows of a currency, the omitted ones too."""

    currency: str
    count: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class RevenueReport:
    """Quotes that were accepted in these days, converted ones too; the largest rows first."""

    span: Span
    by: By
    rows: Sequence[RevenueRow]
    omitted: int
    totals: Sequence[CurrencyTotal]


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """Open quotes: their whole value. How much of it will come is not guessed."""

    currency: str
    status: Literal["sent", "viewed"]
    quotes: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """Quotes that were sent in these days and are still open."""

    span: Span
    rows: Sequence[PipelineRow]
    totals: Sequence[CurrencyTotal]

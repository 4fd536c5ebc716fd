"""Reports: what an account's quotes came to, in days of its own."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from quotekit.database import Connection
from quotekit.errors import ForbiddenError, invalid
from quotekit.quotes import basis
from quotekit.quotes.assembly import money_of
from quotekit.reports import repository
from quotekit.reports.model import (
    AcceptanceReport,
    AcceptanceRow,
    CurrencyTotal,
    PipelineReport,
    PipelineRow,
    RevenueReport,
    RevenueRow,
    Span,
    StatusReport,
    StatusRow,
)
from quotekit.reports.repository import Bounds
from quotekit.reports.requests import Asked, RevenueAsked

RATE: Final = Decimal("0.0001")
DAY: Final = timedelta(days=1)
NONE_DECIDED: Final = "no quote of these days was accepted, declined or expired"
NONE_ACCEPTED: Final = "no quote of these days was accepted"


@dataclass(frozen=True)
class Reporter:
    """Reports for the account of the connection, at one moment."""

    connection: Connection
    asked: Asked
    now: datetime

    def by_status(self) -> StatusReport:
        span, bounds = self._span()
        rows = repository.by_status(self.connection, bounds)
        return StatusReport(span, [priced(row) for row in rows])

    def acceptance(self) -> AcceptanceReport:
        span, bounds = self._span()
        found = repository.acceptance(self.connection, bounds)
        decided = found["accepted"] + found["declined"] + found["expired"]
        rate = (
            (Decimal(found["accepted"]) / decided).quantize(RATE, ROUND_HALF_UP)
            if decided
            else None
        )
        reason = None if found["accepted"] else NONE_ACCEPTED if decided else NONE_DECIDED
        return AcceptanceReport(span, AcceptanceRow(**found, acceptance_rate=rate), reason)

    def revenue(self, asked: RevenueAsked) -> RevenueReport:
        span, bounds = self._span()
        found = repository.revenue(self.connection, asked.by, bounds, asked.limit)
        shown = [priced(row) for row in found.rows]
        totals = [priced(total) for total in found.totals]
        return RevenueReport(span, asked.by, shown, found.omitted, totals)

    def pipeline(self) -> PipelineReport:
        span, bounds = self._span()
        rows = [priced(row) for row in repository.pipeline(self.connection, bounds)]
        totals = totalled([(row.currency, row.quotes, row.total) for row in rows])
        return PipelineReport(span, rows, totals)

    def _span(self) -> tuple[Span, Bounds]:
        """The days asked for. Raises ForbiddenError where the plan has no reports."""
        name, has = repository.entitled(self.connection)
        if not has:
            details = [{"field": "plan", "message": "upgrade: POST /v1/billing/checkout"}]
            raise ForbiddenError(f"The plan {name} has no analytics.", details)
        zone = basis.company(self.connection).time_zone
        last = self.asked.last_day or self.now.astimezone(ZoneInfo(zone)).date()
        first = self.asked.first_day or year_before(last)
        if first > last:
            raise invalid("from", "lies after to, which is today where it is not given")
        span = Span(first, last, zone, self.now)
        return span, Bounds(midnight(first, zone), midnight(last + DAY, zone), zone)


def year_before(last: date) -> date:
    """The first day of the eleventh month before: twelve months with this one."""
    months = last.year * 12 + last.month - 12
    return date(months // 12, months % 12 + 1, 1)


def midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def priced[T: (StatusRow, RevenueRow, PipelineRow, CurrencyTotal)](row: T) -> T:
    """A row whose amounts have their currency's decimals."""
    money = money_of(row.currency)
    amounts: dict[str, Any] = {"total": money(row.total)}
    if isinstance(row, RevenueRow):
        amounts["tax"] = money(row.tax)
    return replace(row, **amounts)


def totalled(rows: Sequence[tuple[str, int, Decimal]]) -> list[CurrencyTotal]:
    """One sum for each currency, by its code."""
    sums: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
    for currency, count, total in rows:
        sums[currency].append((count, total))
    return [
        CurrencyTotal(
            currency,
            sum(count for count, _ in found),
            money_of(currency)(sum((total for _, total in found), Decimal(0))),
        )
        for currency, found in sorted(sums.items())
    ]

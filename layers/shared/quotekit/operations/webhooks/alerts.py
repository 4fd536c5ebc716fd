"""Where webhooks and batches are beyond a threshold; thresholds and targets are rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from psycopg.rows import class_row

from quotekit.batches import watching
from quotekit.database import Connection
from quotekit.operations import batches
from quotekit.operations.webhooks import counts, overview, requests
from quotekit.operations.webhooks.counts import Counted, Period

type Severity = Literal["critical", "warning", "info"]

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
SOURCE: Final = (
    f"{overview.SOURCE}; {batches.SOURCE};"
    " thresholds from ops.webhook_thresholds and ops.webhook_targets"
)
WAITED: Final = "seconds since a batch that could go on was worked on"
LEAST_ITEMS: Final = 100  # of which a share says something
STALE_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something beyond its threshold; `source` and `event_type` are null when it is about all.

    The source of batches is `batches`, the event_type then an operation."""

    type: str
    severity: Severity
    source: str | None
    event_type: str | None
    message: str
    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Alerts:
    """`source` is where the figures are from."""

    alerts: Sequence[Alert]
    alert_counts: Mapping[str, int]
    checked_at: datetime
    period_days: int
    rolled_until: datetime
    observed_at: datetime
    source: str = SOURCE


@dataclass(frozen=True, slots=True)
class Threshold:
    kind: str
    warning: float
    critical: float

    def beyond(
        self, value: float, *, warning: float | None = None
    ) -> tuple[Severity, float] | None:
        """How bad a value is, and by which limit; low values are bad where critical is lower."""
        soft = self.warning if warning is None else warning
        sign = -1 if self.critical < self.warning else 1
        if value * sign > max(self.critical * sign, soft * sign):
            return "critical", self.critical
        return ("warning", soft) if value * sign > soft * sign else None


THRESHOLDS: Final = """
select kind, warning::float8 as warning, critical::float8 as critical from ops.webhook_thresholds
"""
STALE: Final = """
select count(*) from ops.webhook_events
where status in ('queued', 'failed') and id < (select ops.id_floor(%(before)s))
"""


def alerts(connection: Connection, asked: requests.Period, now: datetime) -> Alerts:
    period = Period.of(asked.days_back, now)
    known = overview.state(connection)
    counted = counts.by_type(connection, period)
    limits = thresholds(connection)
    (stale,) = connection.execute(STALE, {"before": now - STALE_AFTER}).fetchone() or (0,)
    found = [
        *_of_types(counted, limits),
        *_of_all(limits, "dlq_buildup", known.dead_letters, "unresolved dead letters"),
        *_of_all(limits, "stale_webhooks", stale, "events older than an hour and not done"),
        *_of_operations(batches.groups(connection, period.since), limits),
        *_of_all(limits, "batch_wait", round(watching.longest_wait(connection)), WAITED),
    ]
    found.sort(key=lambda alert: SEVERITIES.index(alert.severity))
    by_severity = {one: sum(alert.severity == one for alert in found) for one in SEVERITIES}
    return Alerts(
        alerts=found,
        alert_counts=by_severity | {"total": len(found)},
        checked_at=now,
        period_days=asked.days_back,
        rolled_until=known.rolled_until,
        observed_at=now,
    )


def thresholds(connection: Connection) -> dict[str, Threshold]:
    with connection.cursor(row_factory=class_row(Threshold)) as cursor:
        return {one.kind: one for one in cursor.execute(THRESHOLDS)}


def _of_types(counted: Sequence[Counted], limits: Mapping[str, Threshold]) -> Iterator[Alert]:
    for one in counted:
        rate, average = one.success_rate, one.average
        if rate is not None and (found := limits["high_failure_rate"].beyond(rate)):
            text = f"{rate} % of {one.source} {one.type} succeed"
            yield Alert("high_failure_rate", found[0], one.source, one.type, text, rate, found[1])
        if average is None:
            continue
        if found := limits["slow_processing"].beyond(average, warning=one.target_ms):
            text = f"{one.source} {one.type} takes {average} ms on average"
            yield Alert("slow_processing", found[0], one.source, one.type, text, average, found[1])


def _of_operations(
    groups: Sequence[batches.Group], limits: Mapping[str, Threshold]
) -> Iterator[Alert]:
    for name in sorted({group.operation for group in groups}):
        of_it = [group for group in groups if group.operation == name]
        processed = sum(group.processed for group in of_it)
        if processed < LEAST_ITEMS:
            continue
        share = round(100 * sum(group.failed for group in of_it) / processed, 2)
        if found := limits["batch_failures"].beyond(share):
            text = f"{share} % of the items of {name} failed"
            yield Alert("batch_failures", found[0], "batches", name, text, share, found[1])


def _of_all(limits: Mapping[str, Threshold], kind: str, value: int, what: str) -> Iterator[Alert]:
    found = limits[kind].beyond(value)
    if found:
        yield Alert(kind, found[0], None, None, f"{value} {what}", value, found[1])

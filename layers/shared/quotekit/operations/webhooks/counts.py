"""How the webhooks do: what came, what became of it and how long it took, counted by type.

Everything is counted: up to `rolled_until` in roll-ups that a schedule keeps, behind it in the
events and attempts themselves, both in one statement, so that nothing is missed or counted twice.
Figures nobody can know are null, with a reason beside them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg.rows import class_row

from quotekit import database
from quotekit.database import Connection

ROUNDS: Final = 200  # slices of ten minutes that one visit of the schedule counts at most
LATENCY_BASE: Final = 1.1  # of the buckets in ops.webhook_latencies
LATENCY_LEAST: Final = 0.1


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC: `days` before today, and today so far."""

    days: int
    since: datetime
    observed_at: datetime

    @classmethod
    def of(cls, days: int, now: datetime) -> "Period":
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(days, midnight - timedelta(days=days), now)


@dataclass(frozen=True, slots=True)
class Counted:
    """One type's events and attempts of a period, and how many of the events are unfinished now."""

    source: str
    type: str
    events: int
    verified: int
    applied: int
    stale: int
    ignored: int
    failed: int
    retried: int
    milliseconds: float
    queued: int
    failing: int
    dead: int
    baseline_ms: float | None
    target_ms: float | None

    @property
    def processed(self) -> int:
        return max(0, self.events - self.queued - self.failing - self.dead)

    @property
    def finished(self) -> int:
        """Attempts that did not fail."""
        return self.applied + self.stale + self.ignored

    @property
    def average(self) -> float | None:
        return round(self.milliseconds / self.finished, 3) if self.finished else None

    @property
    def success_rate(self) -> float | None:
        return share(self.processed, self.processed + self.failing + self.dead)


def share(part: int, whole: int) -> float | None:
    """Percent to two decimals."""
    return round(100 * part / whole, 2) if whole else None


COUNTED: Final = """
with counted as (
    select source, type, events, verified, applied, stale, ignored, failed, retried, milliseconds,
           0 as queued, 0 as failing, 0 as dead
    from ops.webhook_days
    where day >= (%(since)s at time zone 'UTC')::date
      and (%(source)s::text is null or source = %(source)s)
      and (%(type)s::text is null or type = %(type)s)
    union all
    select source, type, events, verified, applied, stale, ignored, failed, retried, milliseconds,
           0, 0, 0
    from ops.webhook_counts_v1(
        greatest(%(since)s, (select rolled_until from ops.webhook_rollup)),
        now() + interval '1 day')
    union all
    select source, case when source = 'standard' then '*' else type end, 0, 0, 0, 0, 0, 0, 0, 0,
           count(*) filter (where status = 'queued'), count(*) filter (where status = 'failed'),
           count(*) filter (where status = 'dead')
    from ops.webhook_events
    where status in ('queued', 'failed', 'dead') and id >= (select ops.id_floor(%(since)s))
    group by 1, 2
)
select counted.source, counted.type, sum(events)::bigint as events,
       sum(verified)::bigint as verified, sum(applied)::bigint as applied,
       sum(stale)::bigint as stale, sum(ignored)::bigint as ignored, sum(failed)::bigint as failed,
       sum(retried)::bigint as retried, sum(milliseconds)::float8 as milliseconds,
       sum(queued)::bigint as queued, sum(failing)::bigint as failing, sum(dead)::bigint as dead,
       min(baseline_ms)::float8 as baseline_ms, min(target_ms)::float8 as target_ms
from counted
left join ops.webhook_targets as target
    on target.source = counted.source and target.type = counted.type
where (%(source)s::text is null or counted.source = %(source)s)
  and (%(type)s::text is null or counted.type = %(type)s)
group by 1, 2
order by 3 desc, 1, 2
"""


def by_type(
    connection: Connection, period: Period, *, source: str | None = None, kind: str | None = None
) -> list[Counted]:
    """Every type of the period, the most frequent first."""
    values = {"since": period.since, "source": source, "type": kind}
    with connection.cursor(row_factory=class_row(Counted)) as cursor:
        return cursor.execute(COUNTED, values).fetchall()


# Whole weeks as such, the days before the first Monday one by one.
LATENCIES: Final = """
select source, type, bucket, sum(attempts)::bigint
from (
    select source, type, bucket, attempts from ops.webhook_latencies
    where (span = 'week' and start >= %(monday)s::date
           or span = 'day' and start >= (%(since)s at time zone 'UTC')::date
              and start < %(monday)s::date)
      and (%(source)s::text is null or source = %(source)s)
      and (%(type)s::text is null or type = %(type)s)
    union all
    select source, type, bucket, attempts
    from ops.webhook_latencies_v1(
        greatest(%(since)s, (select rolled_until from ops.webhook_rollup)),
        now() + interval '1 day')
    where (%(source)s::text is null or source = %(source)s)
      and (%(type)s::text is null or type = %(type)s)
) as found
group by 1, 2, 3
order by 1, 2, 3
"""

type Histogram = list[tuple[int, int]]


def latencies(
    connection: Connection, period: Period, *, source: str | None = None, kind: str | None = None
) -> dict[tuple[str, str], Histogram]:
    """How many attempts fell into each bucket, by source and type."""
    monday = (period.since + timedelta(days=-period.since.weekday() % 7)).date()
    values = {"since": period.since, "monday": monday, "source": source, "type": kind}
    found: dict[tuple[str, str], Histogram] = {}
    for its_source, its_type, bucket, attempts in connection.execute(LATENCIES, values):
        found.setdefault((its_source, its_type), []).append((bucket, attempts))
    return found


def percentile(histogram: Histogram, percent: int) -> float | None:
    """Milliseconds below which so many percent of the attempts stayed, right to 5 %."""
    wanted = sum(attempts for _, attempts in histogram) * percent / 100
    seen = 0
    for bucket, attempts in histogram:
        seen += attempts
        if seen >= wanted:
            return round(_middle(bucket), 3)
    return None


def _middle(bucket: int) -> float:
    """Of a bucket's times the one from which none in it is further away, in proportion."""
    if bucket == 0:
        return LATENCY_LEAST
    return LATENCY_LEAST * LATENCY_BASE**bucket * 2 / (1 + LATENCY_BASE)


@dataclass(frozen=True, slots=True)
class Performance:
    """One type's times and rates; times in milliseconds, rates in percent."""

    source: str
    event_type: str
    total_events: int
    avg_processing_time_ms: float | None
    p50_processing_time_ms: float | None
    p95_processing_time_ms: float | None
    p99_processing_time_ms: float | None
    success_rate: float | None
    retry_rate: float | None
    dead_letter_rate: float | None
    improvement_vs_baseline: float | None


def performance(counted: Counted, histogram: Histogram) -> Performance:
    return Performance(
        source=counted.source,
        event_type=counted.type,
        total_events=counted.events,
        avg_processing_time_ms=counted.average,
        p50_processing_time_ms=percentile(histogram, 50),
        p95_processing_time_ms=percentile(histogram, 95),
        p99_processing_time_ms=percentile(histogram, 99),
        success_rate=counted.success_rate,
        retry_rate=share(counted.retried, counted.events),
        dead_letter_rate=share(counted.dead, counted.events),
        improvement_vs_baseline=improvement(counted),
    )


def improvement(counted: Counted) -> float | None:
    """Percent of the baseline's time that is saved; negative when it takes longer."""
    if counted.average is None or counted.baseline_ms is None:
        return None
    return round(100 * (1 - counted.average / counted.baseline_ms), 2)


@dataclass(frozen=True, slots=True)
class Target:
    """A type beside what it may take; `reason` says why something is null."""

    source: str
    event_type: str
    current_avg_time: float | None
    target_time: float | None
    baseline_time: float | None
    improvement_percentage: float | None
    target_achieved: bool | None
    reason: str | None


NO_TARGET: Final = "no target is set for this type"
NOTHING_FINISHED: Final = "no attempt finished in the period"


def target(counted: Counted) -> Target:
    reason = None if counted.target_ms is not None else NO_TARGET
    achieved = None
    if counted.average is None:
        reason = NOTHING_FINISHED
    elif counted.target_ms is not None:
        achieved = counted.average <= counted.target_ms
    return Target(
        source=counted.source,
        event_type=counted.type,
        current_avg_time=counted.average,
        target_time=counted.target_ms,
        baseline_time=counted.baseline_ms,
        improvement_percentage=improvement(counted),
        target_achieved=achieved,
        reason=reason,
    )


ROLL_UP: Final = "select ops.roll_up_webhooks_v1(%(until)s)"


def roll_up(now: datetime) -> datetime:
    """Count what is old enough, in transactions of their own; up to when it is counted now."""
    until, before = datetime.fromtimestamp(0, UTC), None
    for _ in range(ROUNDS):
        with database.transaction(database.SERVICE) as connection:
            (until,) = connection.execute(ROLL_UP, {"until": now}).fetchone() or (until,)
        if until == before:
            break
        before = until
    return until

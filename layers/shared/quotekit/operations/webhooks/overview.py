"""What the monitor answers about all webhooks: overview and performance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.operations.webhooks import counts, requests, waiting
from quotekit.operations.webhooks.counts import Counted, Performance, Period, Target
from quotekit.operations.webhooks.waiting import Queue

SOURCE: Final = (
    "ops.webhook_days and ops.webhook_latencies up to rolled_until, ops.webhook_events and"
    " ops.webhook_attempts behind it; unfinished events and dead letters as they are now"
)
NO_EVENTS: Final = "no event of the period is processed or failed yet"
NO_BASELINE: Final = "null where no baseline is set for the type, or no attempt finished"


@dataclass(frozen=True, slots=True)
class State:
    rolled_until: datetime
    dead_letters: int


STATE: Final = """
select rolled_until,
       (select count(*) from ops.webhook_dead_letters where resolved_at is null) as dead_letters
from ops.webhook_rollup
"""


def state(connection: Connection) -> State:
    with connection.cursor(row_factory=class_row(State)) as cursor:
        (found,) = cursor.execute(STATE)
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """`failed_events` wait for another attempt or are dead; `pending_events` are being redriven."""

    total_events: int
    processed_events: int
    failed_events: int
    pending_events: int
    success_rate: float | None
    dead_letter_queue_count: int
    period_days: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Breakdown:
    total: int
    processed: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class Goals:
    events_meeting_target: int
    event_types_with_target: int
    total_event_types: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`queues` is what waits in SQS, of which only a part is recorded."""

    summary: Summary
    event_type_breakdown: Mapping[str, Mapping[str, Breakdown]]
    performance_summary: Sequence[Performance]
    target_achievement: Sequence[Target]
    goals: Goals
    queues: Mapping[str, Queue]
    unknown: Mapping[str, str]
    rolled_until: datetime
    observed_at: datetime
    source: str = SOURCE


def overview(connection: Connection, asked: requests.Period, now: datetime) -> Overview:
    queues = waiting.queues()  # before the database is asked
    period = Period.of(asked.days_back, now)
    known = state(connection)
    counted = counts.by_type(connection, period)
    times = counts.latencies(connection, period)
    targets = [counts.target(one) for one in counted]
    summary = summarized(counted, known, period)
    unknown = {"performance_summary[].improvement_vs_baseline": NO_BASELINE}
    if summary.success_rate is None:
        unknown["summary.success_rate"] = NO_EVENTS
    unknown |= {f"queues.{name}": queue.reason for name, queue in queues.items() if queue.reason}
    return Overview(
        summary=summary,
        event_type_breakdown=breakdown(counted),
        performance_summary=[
            counts.performance(one, times.get((one.source, one.type), [])) for one in counted
        ],
        target_achievement=targets,
        goals=Goals(
            events_meeting_target=sum(one.target_achieved is True for one in targets),
            event_types_with_target=sum(one.target_time is not None for one in targets),
            total_event_types=len(targets),
        ),
        queues=queues,
        unknown=unknown,
        rolled_until=known.rolled_until,
        observed_at=now,
    )


def summarized(counted: Sequence[Counted], known: State, period: Period) -> Summary:
    processed = sum(one.processed for one in counted)
    failed = sum(one.failing + one.dead for one in counted)
    return Summary(
        total_events=sum(one.events for one in counted),
        processed_events=processed,
        failed_events=failed,
        pending_events=sum(one.queued for one in counted),
        success_rate=counts.share(processed, processed + failed),
        dead_letter_queue_count=known.dead_letters,
        period_days=period.days,
        since=period.since,
    )


def breakdown(counted: Sequence[Counted]) -> dict[str, dict[str, Breakdown]]:
    """By source, then by type: two senders may call different things the same."""
    found: dict[str, dict[str, Breakdown]] = {}
    for one in counted:
        failed = one.failing + one.dead
        found.setdefault(one.source, {})[one.type] = Breakdown(
            one.events, one.processed, failed, one.queued
        )
    return found


@dataclass(frozen=True, slots=True)
class Trend:
    """Events recorded in an hour, and its attempts."""

    hour: datetime
    total_events: int
    avg_time: float | None
    success_count: int
    failure_count: int


@dataclass(frozen=True, slots=True)
class Chosen:
    source: str | None
    event_type: str | None
    days_back: int


@dataclass(frozen=True, slots=True)
class Trends:
    performance_summary: Sequence[Performance]
    hourly_trends: Sequence[Trend]
    benchmarks: Sequence[Target]
    filter: Chosen
    unknown: Mapping[str, str]
    rolled_until: datetime
    observed_at: datetime
    source: str = SOURCE


TRENDS: Final[LiteralString] = """
select hour, sum(events)::bigint as total_events,
       round(sum(milliseconds) / nullif(sum(applied + stale + ignored), 0), 3)::float8 as avg_time,
       sum(applied + stale + ignored)::bigint as success_count,
       sum(failed)::bigint as failure_count
from (
    select hour, events, applied, stale, ignored, failed, milliseconds from ops.webhook_hours
    where hour >= %(since)s and {chosen}
    union all
    select hour, events, applied, stale, ignored, failed, milliseconds
    from ops.webhook_counts_v1(
        greatest(%(since)s, (select rolled_until from ops.webhook_rollup)),
        now() + interval '1 day')
    where (%(source)s::text is null or source = %(source)s)
      and (%(type)s::text is null or type = %(type)s)
) as counted
group by hour
order by hour
"""
OF_ALL: Final[LiteralString] = TRENDS.replace("{chosen}", "source = '*' and type = '*'")
OF_SOME: Final[LiteralString] = TRENDS.replace(
    "{chosen}",
    """source <> '*' and (%(source)s::text is null or source = %(source)s)
      and (%(type)s::text is null or type = %(type)s)""",
)


def performance(connection: Connection, asked: requests.OfTypes, now: datetime) -> Trends:
    """Times by type and by hour, the hours in which nothing came left out."""
    period = Period.of(asked.days_back, now)
    source, kind = asked.source, asked.event_type
    known = state(connection)
    counted = counts.by_type(connection, period, source=source, kind=kind)
    times = counts.latencies(connection, period, source=source, kind=kind)
    values = {"since": period.since, "source": source, "type": kind}
    with connection.cursor(row_factory=class_row(Trend)) as cursor:
        hours = cursor.execute(OF_SOME if source or kind else OF_ALL, values).fetchall()
    targets = [counts.target(one) for one in counted if one.target_ms is not None]
    return Trends(
        performance_summary=[
            counts.performance(one, times.get((one.source, one.type), [])) for one in counted
        ],
        hourly_trends=hours,
        benchmarks=sorted(targets, key=_best_first),
        filter=Chosen(source, kind, asked.days_back),
        unknown={
            "performance_summary[].improvement_vs_baseline": NO_BASELINE,
            "hourly_trends[].avg_time": "null where no attempt of the hour finished",
        },
        rolled_until=known.rolled_until,
        observed_at=now,
    )


def _best_first(one: Target) -> tuple[bool, float, str]:
    gain = one.improvement_percentage
    return gain is None, -(gain or 0.0), one.event_type

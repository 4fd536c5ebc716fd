"""How many get through a tour, counted from what was written when it happened."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from quotekit.database import Connection
from quotekit.errors import NotFoundError, invalid
from quotekit.onboarding.model import Funnel, FunnelStep
from quotekit.onboarding.requests import FunnelAsked

DAYS: Final = 30
MOST_DAYS: Final = 366
SOURCE: Final = "app.tour_events"
NOBODY: Final = "Nobody began this tour in the period."
NO_TIMES: Final = "Nobody was seen to look at this step and to complete it."
TOUR: Final = "select exists (select from app.tours where id = %(tour)s)"
# A person is one user in one account; he counts by his first start in the period, with all he did
# in this tour since. He dropped at the furthest step he reached if he neither completed nor
# skipped the tour.
COUNT: Final = """
with begun as (
    select account_id, user_id, min(occurred_at) as at from app.tour_events
    where tour_id = %(tour)s and event in ('started', 'resumed')
      and occurred_at >= %(begin)s and occurred_at < %(end)s
    group by account_id, user_id
), happened as (
    select begun.account_id, begun.user_id, event.event, event.step, event.occurred_at
    from begun join app.tour_events as event
        on event.account_id = begun.account_id and event.user_id = begun.user_id
        and event.tour_id = %(tour)s and event.occurred_at >= begun.at
), ended as (
    select account_id, user_id, bool_or(event = 'completed') as completed,
        bool_or(event = 'skipped') as skipped
    from happened group by account_id, user_id
), taken as (
    select happened.account_id, happened.user_id, step.key, step.position,
        bool_or(event = 'step_completed') as completed,
        bool_or(event = 'step_skipped') as skipped,
        min(occurred_at) filter (where event = 'step_completed')
            - min(occurred_at) filter (where event = 'step_viewed') as took
    from happened join app.tour_steps as step
        on step.tour_id = %(tour)s and step.key = happened.step
    group by happened.account_id, happened.user_id, step.key, step.position
), furthest as (
    select account_id, user_id, max(position) as position from taken group by account_id, user_id
), dropped as (
    select furthest.position, count(*) as persons
    from furthest join ended using (account_id, user_id)
    where not ended.completed and not ended.skipped
    group by furthest.position
)
select
    (select jsonb_build_object('started', count(*), 'completed', count(*) filter (where completed),
        'skipped', count(*) filter (where skipped and not completed)) from ended) as whole,
    (select jsonb_agg(to_jsonb(line) order by line.position) from (
        select step.key, step.position, count(taken.key) as reached,
            count(*) filter (where taken.completed) as completed,
            count(*) filter (where taken.skipped and not taken.completed) as skipped,
            coalesce((select persons from dropped where position = step.position), 0) as dropped,
            round((percentile_cont(0.5) within group (order by extract(epoch from took)::float8)
                filter (where took >= interval '0'))::numeric, 3) as median_seconds
        from app.tour_steps as step left join taken on taken.key = step.key
        where step.tour_id = %(tour)s
        group by step.key, step.position) as line) as steps
"""


def funnel(connection: Connection, asked: FunnelAsked, now: datetime) -> Funnel:
    """Count it. Raises NotFoundError for no tour, InvalidInputError for no period."""
    begin, end = period(asked, now)
    if connection.execute(TOUR, {"tour": asked.tour}).fetchone() != (True,):
        raise NotFoundError("There is no such tour.")
    values = {"tour": asked.tour, "begin": begin, "end": end}
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(COUNT, values).fetchall()
    whole = row["whole"]
    started: int = whole["started"]
    return Funnel(
        tour=asked.tour,
        from_time=begin,
        to_time=end,
        **whole,
        completion_rate=round(whole["completed"] / started, 4) if started else None,
        reason=None if started else NOBODY,
        steps=[step_of(step) for step in row["steps"]],
        source=SOURCE,
        observed_at=now,
    )


def step_of(step: dict[str, Any]) -> FunnelStep:
    told = {name: value for name, value in step.items() if name != "position"}
    return FunnelStep(**told, reason=None if step["median_seconds"] is not None else NO_TIMES)


def period(asked: FunnelAsked, now: datetime) -> tuple[datetime, datetime]:
    """From the first moment of the first day to the last of the last, UTC."""
    last = asked.to_day or now.astimezone(UTC).date()
    first = asked.from_day or last - timedelta(days=DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise invalid("from", f"lies at most {MOST_DAYS} days before to")
    begin = datetime.combine(first, time(), UTC)
    return begin, datetime.combine(last, time(), UTC) + timedelta(days=1)

"""What an account has used of its plan."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg.rows import dict_row

from quotekit.database import Connection


@dataclass(frozen=True, slots=True)
class Meter:
    """`limit` and `remaining` are null where the plan sets no limit."""

    used: int
    limit: int | None
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """The month at the account's place, and what was used in it."""

    plan: str
    period_start: date
    period_end: date
    quotes_sent: Meter
    clients: Meter


CURRENT: Final = """
with month as (
    select date_trunc('month', now() at time zone coalesce(
        (select time_zone from app.company_settings where account_id = (select auth.account_id())),
        'UTC'))::date as first
)
select plan.key, plan.quotes_per_month, plan.clients as client_limit, month.first,
    (month.first + interval '1 month - 1 day')::date as last,
    coalesce((select used from app.usage
              where account_id = (select auth.account_id()) and usage.month = month.first
                and metric = 'quotes_sent'), 0) as quotes_sent,
    (select count(*) from app.clients where account_id = (select auth.account_id())) as clients
from month, app.plans as plan
where plan.key = app.plan_key((select auth.account_id()))
"""


def current(connection: Connection) -> Usage:
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(CURRENT)
    return Usage(
        plan=row["key"],
        period_start=row["first"],
        period_end=row["last"],
        quotes_sent=meter(row["quotes_sent"], row["quotes_per_month"]),
        clients=meter(row["clients"], row["client_limit"]),
    )


def meter(used: int, limit: int | None) -> Meter:
    return Meter(used, limit, None if limit is None else max(limit - used, 0))

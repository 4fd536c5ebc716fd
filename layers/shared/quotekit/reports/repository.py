"""The figures, each counted by one statement over the facts that migration 0027 keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, LiteralString

from psycopg.rows import class_row, dict_row
from psycopg.sql import SQL

from quotekit.database import Connection
from quotekit.reports.model import By, CurrencyTotal, PipelineRow, RevenueRow, StatusRow


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `since` to before `until`; months are those of `time_zone`."""

    since: datetime
    until: datetime
    time_zone: str

    @property
    def values(self) -> dict[str, Any]:
        return {"since": self.since, "until": self.until, "time_zone": self.time_zone}


ENTITLED: Final = """
select plan.name, plan.analytics from app.plans as plan
where plan.key = app.plan_key((select auth.account_id()))
"""


def entitled(connection: Connection) -> tuple[str, bool]:
    """The account's plan, and whether it has reports."""
    name, has = connection.execute(ENTITLED).fetchone() or ("", False)
    return name, has


# A month is a range of moments, which an index finds; cut to the days there are, for any asked for.
BY_STATUS: Final = """
with days as (
    select min(counted_at) as first, max(counted_at) as last from app.quote_facts
    where account_id = (select auth.account_id()) and not is_template
      and counted_at >= %(since)s and counted_at < %(until)s
), months as (
    select month, greatest(month at time zone %(time_zone)s, %(since)s) as begins,
        least((month + interval '1 month') at time zone %(time_zone)s, %(until)s) as ends
    from days, generate_series(date_trunc('month', first at time zone %(time_zone)s),
        last at time zone %(time_zone)s, interval '1 month') as month
)
select to_char(month, 'YYYY-MM') as month, status, currency, quotes, total
from months cross join lateral (
    select status, currency, count(*) as quotes, sum(total) as total from app.quote_facts
    where account_id = (select auth.account_id()) and not is_template
      and counted_at >= begins and counted_at < ends
    group by status, currency
) as counted
order by month, status, currency
"""


def by_status(connection: Connection, bounds: Bounds) -> Sequence[StatusRow]:
    with connection.cursor(row_factory=class_row(StatusRow)) as cursor:
        return cursor.execute(BY_STATUS, bounds.values).fetchall()


ACCEPTANCE: Final = """
select count(*) as sent,
    count(*) filter (where status in ('accepted', 'converted')) as accepted,
    count(*) filter (where status = 'declined') as declined,
    count(*) filter (where status = 'expired') as expired,
    count(*) filter (where status in ('sent', 'viewed')) as open,
    count(*) filter (where status = 'superseded') as superseded,
    round(extract(epoch from avg(taken) filter (where status in ('accepted', 'converted'))))
        as average_seconds,
    round(extract(epoch from percentile_cont(0.5) within group (order by taken)
        filter (where status in ('accepted', 'converted')))) as median_seconds
from (
    select status, decided_at - counted_at as taken from app.quote_facts
    where account_id = (select auth.account_id()) and not is_template
      and counted_at >= %(since)s and counted_at < %(until)s and status <> 'draft'
) as quote
"""


def acceptance(connection: Connection, bounds: Bounds) -> Mapping[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(ACCEPTANCE, bounds.values)
    return row


# An item that was deleted is none: its lines count with those that name none.
TAKEN: Final[Mapping[By, LiteralString]] = {
    "client": """
select currency, client_id as id, count(*) as count, sum(total) as total, sum(tax_amount) as tax
from app.quote_facts
where account_id = (select auth.account_id()) and status in ('accepted', 'converted')
  and decided_at >= %(since)s and decided_at < %(until)s
group by currency, client_id
""",
    "item": """
select counted.currency, item.id, sum(counted.count)::bigint as count,
    sum(counted.total) as total, sum(counted.tax) as tax
from (
    select currency, item_id as id, sum(lines) as count, sum(total) as total,
        sum(tax_amount) as tax
    from app.item_facts
    where account_id = (select auth.account_id())
      and decided_at >= %(since)s and decided_at < %(until)s
    group by currency, item_id
) as counted
left join app.items as item
    on item.account_id = (select auth.account_id()) and item.id = counted.id
group by counted.currency, item.id
""",
}
NAMES: Final[Mapping[By, LiteralString]] = {"client": "app.clients", "item": "app.items"}
# The largest rows, and after them a sum for each currency, which has `groups`: all that it adds up.
REVENUE: Final = """
with taken as materialized ({taken}), shown as (
    select currency, id, count, total, tax from taken
    order by total desc, currency, id limit %(limit)s
)
select shown.currency, shown.id, named.name, shown.count, shown.total, shown.tax,
    null::bigint as groups
from shown left join {names} as named
    on named.account_id = (select auth.account_id()) and named.id = shown.id
union all
select currency, null, null, sum(count)::bigint, sum(total), sum(tax), count(*)
from taken group by currency
order by groups nulls first, total desc, currency, id
"""


@dataclass(frozen=True, slots=True)
class Revenue:
    """The largest rows, the largest first; how many others; the sums of all by currency."""

    rows: Sequence[RevenueRow]
    omitted: int
    totals: Sequence[CurrencyTotal]


def revenue(connection: Connection, by: By, bounds: Bounds, limit: int) -> Revenue:
    statement = SQL(REVENUE).format(taken=SQL(TAKEN[by]), names=SQL(NAMES[by]))
    found = connection.execute(statement, bounds.values | {"limit": limit}).fetchall()
    rows = [RevenueRow(*row) for *row, groups in found if groups is None]
    sums = sorted((row for row in found if row[-1] is not None), key=itemgetter(0))
    totals = [CurrencyTotal(currency, count, total) for currency, _, _, count, total, _, _ in sums]
    return Revenue(rows, sum(row[-1] for row in sums) - len(rows), totals)


PIPELINE: Final = """
select currency, status, count(*) as quotes, sum(total) as total
from app.quote_facts
where account_id = (select auth.account_id()) and status in ('sent', 'viewed') and not is_template
  and counted_at >= %(since)s and counted_at < %(until)s
group by currency, status
order by currency, status
"""


def pipeline(connection: Connection, bounds: Bounds) -> Sequence[PipelineRow]:
    with connection.cursor(row_factory=class_row(PipelineRow)) as cursor:
        return cursor.execute(PIPELINE, bounds.values).fetchall()

"""Where an account stands: its plan, what that allows, what was used, what Stripe last said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row

from quotekit.accounts import usage
from quotekit.accounts.usage import Meter, Usage
from quotekit.database import Connection

NEARLY: Final = 80  # percent of a limit from which on a hint says so
ENTRIES: Final = 12
NO_CUSTOMER: Final = "Stripe knows no customer of this account yet."
NO_EVENT: Final = "No event of this account's customer has arrived yet."
NO_RECONCILE: Final = "Stripe was never read as a whole yet."
UNKNOWN_PLAN: Final = "No plan is known for the subscribed price."
ENDED: Final = "The cancelled period is over."

PLAN: Final = """
select key, name, quotes_per_month, clients, watermark, bulk_operations, analytics, flags,
    monthly_price, yearly_price, currency, trialing_keeps_access, past_due_keeps_access
from app.plans
order by monthly_price, key collate "C"
"""
BILLING: Final = """
select held.plan_key, held.status, held.stripe_subscription_id as subscription_id,
    held.stripe_price_id as price_id, price."interval", price.unit_amount, price.currency,
    held.quantity, held.current_period_start, held.current_period_end, held.cancel_at_period_end,
    held.cancel_at, held.canceled_at, held.ended_at, held.trial_end, held.as_of,
    product.id is not null and product.plan_key is null as of_no_plan,
    (select to_jsonb(card) from (
        select type, brand, last4, exp_month, exp_year from app.payment_methods
        where customer_id in (select id from customers) and is_default
        order by customer_id = held.stripe_customer_id desc nulls last, created_at desc
        limit 1) as card) as payment_method,
    (select json_agg(entry order by entry.occurred_at desc, entry.id) from (
        select id, kind, amount, currency, status, description, url, needs_answer, due_by,
            occurred_at
        from app.billing_history where customer_id in (select id from customers)
        order by occurred_at desc, id limit %(entries)s) as entry) as history,
    (select count(*) from customers) as customers,
    (select to_jsonb(last) from (
        select last_event_id as id, last_event_type as type, last_event_at as created_at,
            last_applied_at as applied_at
        from customers where last_event_id is not null
        order by last_applied_at desc limit 1) as last) as last_event,
    (select max(finished_at) from ops.billing_reconciles
     where status = 'done' and not dry_run) as last_reconcile_at
from (select) as one
left join app.subscriptions as held on held.account_id = (select auth.account_id())
left join app.stripe_prices as price on price.id = held.stripe_price_id
left join app.stripe_products as product on product.id = price.product_id
"""
CUSTOMERS: Final = """
with customers as materialized (
    select * from app.stripe_customers
    where account_id = (select auth.account_id()) and not deleted
)
"""


@dataclass(frozen=True, slots=True)
class Hint:
    """A plan that allows more, and the measured reason to think of it; prices in minor units."""

    plan: str
    metric: str
    used: int
    limit: int
    why: str
    monthly_price: int
    yearly_price: int
    currency: str


@dataclass(frozen=True, slots=True)
class Sync:
    """How far this follows Stripe; a null has its reason beside it."""

    last_event: Mapping[str, Any] | None
    last_event_reason: str | None
    last_reconcile_at: datetime | None
    last_reconcile_reason: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer to GET /v1/subscription."""

    plan: Mapping[str, Any]
    features: Mapping[str, bool]
    limits: Mapping[str, int | None]
    usage: Mapping[str, Meter]
    period: Mapping[str, Any]
    billing: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    hints: Sequence[Hint]
    sync: Sync


def current(connection: Connection) -> Standing:
    """The caller's standing, in three reads."""
    used = usage.current(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        plans = {row["key"]: row for row in cursor.execute(PLAN).fetchall()}
        (row,) = cursor.execute(CUSTOMERS + BILLING, {"entries": ENTRIES})
    plan = plans[used.plan]
    flags: Mapping[str, bool] = plan["flags"]
    features = {name: plan[name] for name in ("watermark", "bulk_operations", "analytics")}
    return Standing(
        plan={name: plan[name] for name in PRICED},
        features={**features, **flags},
        limits={name: plan[name] for name in ("quotes_per_month", "clients")},
        usage={"quotes_sent": used.quotes_sent, "clients": used.clients},
        period={"start": used.period_start, "end": used.period_end},
        billing=billing(row, plans, used.plan),
        history=row["history"] or [],
        hints=hints(plans, used),
        sync=sync(row),
    )


PRICED: Final = ("key", "name", "monthly_price", "yearly_price", "currency")
TOLD: Final = (
    *("plan_key", "status", "subscription_id", "price_id", "interval", "unit_amount", "currency"),
    *("quantity", "current_period_start", "current_period_end", "cancel_at_period_end"),
    *("cancel_at", "canceled_at", "ended_at", "trial_end", "as_of", "payment_method"),
)


def billing(
    row: Mapping[str, Any], plans: Mapping[str, Mapping[str, Any]], plan_key: str
) -> dict[str, Any]:
    """The subscription as Stripe's events left it, and whether its plan holds."""
    said = {name: row[name] for name in TOLD}
    if row["status"] is None:
        reason = "No subscription is known." if row["customers"] else NO_CUSTOMER
        return {**said, "access": False, "reason": reason}
    access = row["plan_key"] == plan_key and plan_key != "free"
    refused = None if access else refusal(row, plans[row["plan_key"]])
    return {**said, "access": access, "reason": refused}


def refusal(row: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Why the subscribed plan does not hold."""
    status: str = row["status"]
    if row["of_no_plan"] or plan["key"] == "free":
        return UNKNOWN_PLAN
    if status == "active" or plan.get(f"{status}_keeps_access"):
        return ENDED
    return f"The subscription is {status.replace('_', ' ')}."


def sync(row: Mapping[str, Any]) -> Sync:
    event, read_at = row["last_event"], row["last_reconcile_at"]
    missing = NO_EVENT if row["customers"] else NO_CUSTOMER
    return Sync(
        last_event=event,
        last_event_reason=None if event else missing,
        last_reconcile_at=read_at,
        last_reconcile_reason=None if read_at else NO_RECONCILE,
    )


METRICS: Final = (
    ("quotes_sent", "quotes_per_month", "{used} of this month's {limit} quotes are sent"),
    ("clients", "clients", "{used} of {limit} clients are stored"),
)


def hints(plans: Mapping[str, Mapping[str, Any]], used: Usage) -> list[Hint]:
    """For each limit that is nearly or quite used up, the cheapest plan that allows more."""
    found = []
    for metric, column, why in METRICS:
        meter: Meter = getattr(used, metric)
        if meter.limit is None or meter.used * 100 < meter.limit * NEARLY:
            continue
        better = next((p for p in plans.values() if allows_more(p[column], meter.limit)), None)
        if better is not None:
            said = why.format(used=meter.used, limit=meter.limit)
            prices = [better[name] for name in ("monthly_price", "yearly_price", "currency")]
            found.append(Hint(better["key"], metric, meter.used, meter.limit, said, *prices))
    return found


def allows_more(allowed: int | None, limit: int) -> bool:
    return allowed is None or allowed > limit

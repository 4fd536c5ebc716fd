"""What follows from Stripe's objects: plans, the subscription in force, the default payment method.

Each is computed anew from the rows of the objects, so it does not matter in which order those came.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from quotekit import audit
from quotekit.database import Connection

# Two customers of one account may have news at once; whoever is second sees the first one's.
LOCK_ACCOUNTS: Final = """
select from app.accounts where id = any(%(accounts)s) order by id for no key update
"""
SETTLE: Final = """
with wanted as materialized (
    select * from app.subscriptions_in_force where account_id = any(%(accounts)s)
),
before as materialized (
    select account_id, plan_key, status, stripe_subscription_id from app.subscriptions
    where account_id = any(%(accounts)s)
),
gone as (
    delete from app.subscriptions as held
    where account_id = any(%(accounts)s) and stripe_subscription_id is not null
      and not exists (select from wanted where wanted.account_id = held.account_id)
    returning account_id
),
settled as (
    insert into app.subscriptions as held (account_id, plan_key, status, stripe_customer_id,
        stripe_subscription_id, current_period_start, current_period_end, cancel_at_period_end,
        stripe_price_id, quantity, trial_end, cancel_at, canceled_at, ended_at, as_of)
    select account_id, plan_key, status, stripe_customer_id, stripe_subscription_id,
        current_period_start, current_period_end, cancel_at_period_end, stripe_price_id, quantity,
        trial_end, cancel_at, canceled_at, ended_at, as_of
    from wanted
    on conflict (account_id) do update set (plan_key, status, stripe_customer_id,
        stripe_subscription_id, current_period_start, current_period_end, cancel_at_period_end,
        stripe_price_id, quantity, trial_end, cancel_at, canceled_at, ended_at, as_of) = row(
        excluded.plan_key, excluded.status, excluded.stripe_customer_id,
        excluded.stripe_subscription_id, excluded.current_period_start,
        excluded.current_period_end, excluded.cancel_at_period_end, excluded.stripe_price_id,
        excluded.quantity, excluded.trial_end, excluded.cancel_at, excluded.canceled_at,
        excluded.ended_at, excluded.as_of)
    returning account_id, plan_key, status, stripe_subscription_id
)
select coalesce(settled.account_id, gone.account_id) as account_id,
    before.plan_key as old_plan, before.status as old_status, settled.plan_key as plan,
    settled.status, coalesce(settled.stripe_subscription_id, before.stripe_subscription_id)
        as subscription_id
from settled full join gone using (account_id) left join before using (account_id)
where (before.plan_key, before.status) is distinct from (settled.plan_key, settled.status)
"""


def settle(connection: Connection, accounts: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """Give each account the subscription that its Stripe customers have; what changed for whom."""
    if not accounts:
        return {}
    values = {"accounts": sorted(accounts)}
    connection.defer(LOCK_ACCOUNTS, values)
    with connection.cursor(row_factory=dict_row) as cursor:
        changes = {row.pop("account_id"): row for row in cursor.execute(SETTLE, values)}
    for account_id, change in changes.items():
        audit.record_for(connection, account_id, "subscription.changed", account_id, change)
    return changes


# Two products of one plan: the active one, then the newest.
PLANS: Final = """
update app.plans as plan
set (quotes_per_month, clients, watermark, bulk_operations, analytics, trialing_keeps_access,
    past_due_keeps_access, flags, monthly_price, yearly_price) = (
    select features.quotes_per_month, features.clients, features.watermark,
        features.bulk_operations, features.analytics, features.trialing_keeps_access,
        features.past_due_keeps_access,
        preset.flags || coalesce(product.features -> 'flags', '{}'),
        coalesce(price.monthly, preset.monthly_price), coalesce(price.yearly, preset.yearly_price)
    from app.plan_defaults as preset
    left join lateral (
        select product.id, product.features from app.stripe_products as product
        where product.plan_key = preset.plan_key and not product.final
        order by product.active desc, product.created_at desc, product.id collate "C" desc limit 1
    ) as product on true
    cross join lateral jsonb_populate_record(preset, coalesce(product.features, '{}')) as features
    cross join lateral (
        select
            (array_agg(unit_amount order by created_at desc, id collate "C" desc)
                filter (where "interval" = 'month')) [1] as monthly,
            (array_agg(unit_amount order by created_at desc, id collate "C" desc)
                filter (where "interval" = 'year')) [1] as yearly
        from app.stripe_prices
        where product_id = product.id and active and not final and interval_count = 1
          and unit_amount >= 0 and currency = plan.currency
    ) as price
    where preset.plan_key = plan.key)
where exists (select from app.plan_defaults where plan_key = plan.key)
"""


def set_plans(connection: Connection) -> None:
    """Let every plan allow and cost what its product and prices say; the plans are few."""
    connection.defer(PLANS, {})


HOLDERS: Final = """
select distinct customer.account_id
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id
where held.product_ids @> array[%(product_id)s] and customer.account_id is not null
"""


def settle_holders(connection: Connection, product_id: str) -> dict[UUID, dict[str, Any]]:
    """Settle all accounts that subscribe to a product."""
    rows = connection.execute(HOLDERS, {"product_id": product_id}).fetchall()
    return settle(connection, [account_id for (account_id,) in rows])


CHOOSE_DEFAULT: Final = """
update app.payment_methods as method
set is_default = coalesce(method.id = chosen.id, false)
from (
    select customer.id as customer_id, (
        select attached.id from app.payment_methods as attached
        where attached.customer_id = customer.id and not customer.deleted
        order by (attached.id = customer.default_payment_method) desc nulls last,
            attached.created_at desc, attached.id collate "C" desc
        limit 1) as id
    from app.stripe_customers as customer where customer.id = any(%(customers)s)
) as chosen
where method.customer_id = chosen.customer_id
  and method.is_default is distinct from coalesce(method.id = chosen.id, false)
"""


def choose_default(connection: Connection, customers: Sequence[str]) -> None:
    """The customer's own choice while it is attached, else the newest."""
    connection.defer(CHOOSE_DEFAULT, {"customers": list(customers)})


def described(changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of it, for the record of the event."""
    listed = list(changes)
    return {"changes": listed} if listed else {}

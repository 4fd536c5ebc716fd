"""The rows of Stripe's objects: each moves only to a later statement about it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from quotekit.billing import entitlements
from quotekit.billing.model import (
    Claim,
    Customer,
    Entry,
    News,
    PaymentMethod,
    Price,
    Product,
    Subscription,
    Version,
)
from quotekit.database import Connection

VERSION: Final = ("final", "as_of", "as_of_rank", "as_of_tie")


def keeping(table: LiteralString, *columns: LiteralString) -> LiteralString:
    """Insert, or update when what is there is older; nothing comes back when it is not."""
    names = ("id", *columns, *VERSION)
    listed = ", ".join(names)
    given = ", ".join("%(" + name + ")s" for name in names)
    new = ", ".join("excluded." + name for name in names)
    old, newer = (", ".join(t + name for name in VERSION) for t in ("kept.", "excluded."))
    return (
        "insert into " + table + " as kept (" + listed + ") values (" + given + ")\n"
        "on conflict (id) do update set (" + listed + ") = row(" + new + ")\n"
        "where (" + old + ") < (" + newer + ")\nreturning id"
    )


def _keep(
    connection: Connection, statement: LiteralString, values: Mapping[str, Any], version: Version
) -> bool:
    """Whether the row moved."""
    kept = {
        **values,
        "final": version.final,
        "as_of": version.as_of,
        "as_of_rank": version.rank,
        "as_of_tie": version.tie,
    }
    return connection.execute(statement, kept).fetchone() is not None


# Plans follow from all products and prices, subscriptions from all products: who writes a product
# or a price is alone, everybody else is not kept waiting. Always the first lock taken.
SHARE_CATALOGUE: Final = (
    "select pg_advisory_xact_lock_shared(hashtextextended('stripe catalogue', 0))"
)
LOCK_CATALOGUE: Final = "select pg_advisory_xact_lock(hashtextextended('stripe catalogue', 0))"


def lock_catalogue(connection: Connection) -> None:
    connection.defer(LOCK_CATALOGUE, {})


# The second lock: the customers' rows. What another transaction wrote of them is then visible.
MEET: Final = """
with before as (
    select id, account_id from app.stripe_customers where id = any(%(customer_id)s)
    order by id for update
),
met as (
    insert into app.stripe_customers as kept (id, account_id, claimed_at, claimed_by,
        last_event_id, last_event_type, last_event_at, last_applied_at)
    select told.customer_id, claimed.id, case when claimed.id is not null then told.as_of end,
        case when claimed.id is not null then told.claimed_by end, told.event_id, told.event_type,
        told.event_at, case when told.event_id is not null then clock_timestamp() end
    from (select count(*) from before) as locked
    cross join unnest(%(customer_id)s::text[], %(account_id)s::uuid[], %(as_of)s::timestamptz[],
        %(by)s::text[], %(event_id)s::text[], %(event_type)s::text[], %(event_at)s::timestamptz[])
        as told (customer_id, account_id, as_of, claimed_by, event_id, event_type, event_at)
    left join app.accounts as claimed on claimed.id = told.account_id
    order by told.customer_id
    on conflict (id) do update set
        (account_id, claimed_at, claimed_by) = (
            select account_id, claimed_at, claimed_by
            from (values (kept.account_id, kept.claimed_at, kept.claimed_by),
                (excluded.account_id, excluded.claimed_at, excluded.claimed_by))
                as claims (account_id, claimed_at, claimed_by)
            order by claimed_at desc nulls last, claimed_by collate "C" desc nulls last limit 1),
        (last_event_id, last_event_type, last_event_at, last_applied_at) = (
            select id, type, moment, applied
            from (values (kept.last_event_id, kept.last_event_type, kept.last_event_at,
                    kept.last_applied_at),
                (excluded.last_event_id, excluded.last_event_type, excluded.last_event_at,
                    excluded.last_applied_at)) as events (id, type, moment, applied)
            order by moment desc nulls last, id collate "C" desc limit 1)
    returning id, account_id
)
select met.id, before.account_id, met.account_id from met left join before using (id)
"""


def meet_all(
    connection: Connection, told: Sequence[tuple[Claim, News | None]]
) -> dict[str, list[UUID]]:
    """Note customers, each once, and whose they are said to be; the accounts that were or are his.

    Until the transaction ends nobody else writes anything of these customers."""
    connection.defer(SHARE_CATALOGUE, {})
    rows = [
        asdict(claim)
        | {
            "event_id": news and news.id,
            "event_type": news and news.type,
            "event_at": news and news.at,
        }
        for claim, news in told
    ]
    values = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        customer_id: sorted({account_id for account_id in accounts if account_id is not None})
        for customer_id, *accounts in connection.execute(MEET, values)
    }


def meet(connection: Connection, claim: Claim) -> list[UUID]:
    """As `meet_all` does, for one of whom there is no event; nobody for an erased account's."""
    return meet_all(connection, [(claim, None)]).get(claim.customer_id, [])


KEEP_CUSTOMER: Final = keeping("app.stripe_customers", "default_payment_method", "deleted")


def keep_customer(connection: Connection, customer: Customer, version: Version) -> bool:
    return _keep(connection, KEEP_CUSTOMER, asdict(customer), version)


KEEP_PRODUCT: Final = keeping(
    "app.stripe_products", "name", "active", "plan_key", "features", "warnings", "created_at"
)
PLANS: Final = "select key from app.plans"


def known(connection: Connection, product: Product) -> Product:
    """The product without a plan that does not exist, and with a warning instead."""
    plans = {key for (key,) in connection.execute(PLANS)}
    if product.plan_key is None or product.plan_key in plans:
        return product
    value = product.plan_key[: entitlements.LONGEST_VALUE]
    warning = {"key": entitlements.PLAN, "value": value, "reason": "there is no such plan"}
    return replace(product, plan_key=None, warnings=[*product.warnings, warning])


def keep_product(connection: Connection, product: Product, version: Version) -> bool:
    """Of a `known` product."""
    jsons = {"features": Jsonb(product.features), "warnings": Jsonb(product.warnings)}
    return _keep(connection, KEEP_PRODUCT, asdict(product) | jsons, version)


KEEP_PRICE: Final = keeping(
    "app.stripe_prices",
    *("product_id", "active", "currency", "unit_amount", "interval", "interval_count"),
    *("trial_days", "created_at"),
)


def keep_price(connection: Connection, price: Price, version: Version) -> bool:
    return _keep(connection, KEEP_PRICE, asdict(price), version)


KEEP_SUBSCRIPTION: Final = keeping(
    "app.stripe_subscriptions",
    *("customer_id", "status", "items", "product_ids", "cancel_at_period_end", "cancel_at"),
    *("canceled_at", "ended_at", "trial_start", "trial_end", "created_at"),
)


def keep_subscription(connection: Connection, held: Subscription, version: Version) -> bool:
    values = asdict(held) | {"items": Jsonb(items(held)), "product_ids": held.product_ids}
    return _keep(connection, KEEP_SUBSCRIPTION, values, version)


def items(held: Subscription) -> list[dict[str, Any]]:
    """A subscription's items as JSON."""
    listed = []
    for item in held.items:
        times = {"period_start": item.period_start, "period_end": item.period_end}
        said = {name: moment and moment.isoformat() for name, moment in times.items()}
        listed.append(asdict(item) | said)
    return listed


KEEP_METHOD: Final = keeping(
    "app.payment_methods",
    *("customer_id", "type", "brand", "last4", "exp_month", "exp_year", "created_at"),
    "is_default",
)
HOLDER: Final = "select customer_id from app.payment_methods where id = %(id)s"
# Says that there is one; what it is, its own event says.
EXPECT_METHOD: Final = """
insert into app.payment_methods (id, customer_id, created_at)
values (%(id)s, %(customer_id)s, %(created_at)s)
on conflict (id) do nothing
returning id
"""


def keep_method(connection: Connection, method: PaymentMethod, version: Version) -> bool:
    """Which one is the default is chosen anew afterwards."""
    return _keep(connection, KEEP_METHOD, asdict(method) | {"is_default": False}, version)


def holder(connection: Connection, method_id: str) -> str | None:
    """The customer a payment method belongs to, as far as we know."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        held_by: str | None = cursor.execute(HOLDER, {"id": method_id}).fetchone()
    return held_by


def expect_method(
    connection: Connection, method_id: str, customer_id: str, created_at: datetime
) -> bool:
    values = {"id": method_id, "customer_id": customer_id, "created_at": created_at}
    return connection.execute(EXPECT_METHOD, values).fetchone() is not None


KEEP_ENTRY: Final = keeping(
    "app.billing_history",
    *("kind", "customer_id", "subscription_id", "charge_id", "payment_intent", "amount"),
    *("currency", "status", "description", "url", "needs_answer", "due_by", "occurred_at"),
)
# A dispute names a payment, and no customer: he is the one that paid. The lock keeps two who come
# together from missing each other.
SHARE_PAYMENT: Final = "select pg_advisory_xact_lock(hashtextextended(%(payment)s, 0))"
NAME_PAYER: Final = """
update app.billing_history as unnamed set customer_id = named.customer_id
from app.billing_history as named
where unnamed.kind = 'dispute' and unnamed.customer_id is distinct from named.customer_id
  and named.kind <> 'dispute' and named.customer_id is not null
  and (unnamed.payment_intent = %(payment_intent)s
       and named.payment_intent = unnamed.payment_intent
    or unnamed.charge_id = %(charge_id)s and named.charge_id = unnamed.charge_id)
"""


def keep_entry(connection: Connection, entry: Entry, version: Version) -> bool:
    for payment in sorted({entry.payment_intent, entry.charge_id} - {None}, key=str):
        connection.defer(SHARE_PAYMENT, {"payment": f"stripe payment {payment}"})
    moved = _keep(connection, KEEP_ENTRY, asdict(entry), version)
    known = {"payment_intent": entry.payment_intent, "charge_id": entry.charge_id}
    if moved and any(known.values()):
        connection.defer(NAME_PAYER, known)
    return moved

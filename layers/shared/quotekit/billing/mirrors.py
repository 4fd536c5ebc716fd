"""Each kind of Stripe's objects beside our rows of it: what is compared, and how it is applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, LiteralString, NamedTuple

from psycopg.rows import dict_row

from quotekit.billing import consequences, objects, repository
from quotekit.billing.model import Claim, Version
from quotekit.billing.objects import Json
from quotekit.billing.runs import Phase
from quotekit.database import Connection

type Values = Mapping[str, Any]


class Mirror(NamedTuple):
    """`said` gives what is compared with the columns of `ours`; `apply` whether the row moved."""

    kind: str
    path: str
    params: Mapping[str, str]
    ours: LiteralString
    said: Callable[[Connection, Json], Values]
    apply: Callable[[Connection, Json, Version], bool]
    final: Callable[[Json], bool]
    following: Phase


def columns(table: LiteralString, *names: LiteralString) -> LiteralString:
    listed = ", ".join(("id", *names, "final", "as_of"))
    return "select " + listed + " from " + table + " where id = any(%(ids)s)"


def ours(connection: Connection, mirror: Mirror, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(mirror.ours, {"ids": list(ids)}).fetchall()
    return {row["id"]: row for row in found}


def product(connection: Connection, thing: Json) -> Values:
    return asdict(repository.known(connection, objects.product(thing)))


def apply_product(connection: Connection, thing: Json, version: Version) -> bool:
    said = repository.known(connection, objects.product(thing))
    moved = repository.keep_product(connection, said, version)
    consequences.set_plans(connection)
    consequences.settle_holders(connection, said.id)
    return moved


def price(_: Connection, thing: Json) -> Values:
    return asdict(objects.price(thing))


def apply_price(connection: Connection, thing: Json, version: Version) -> bool:
    moved = repository.keep_price(connection, objects.price(thing), version)
    consequences.set_plans(connection)
    return moved


ACCOUNT: Final = "select id from app.accounts where id = %(id)s"


def customer(connection: Connection, thing: Json) -> Values:
    """With his account where his metadata names one of ours; else nothing is said of it."""
    said = asdict(objects.customer(thing))
    claimed = objects.claimed_account(thing)
    row = claimed and connection.execute(ACCOUNT, {"id": claimed}).fetchone()
    return said | {"account_id": claimed} if row else said


def apply_customer(connection: Connection, thing: Json, version: Version) -> bool:
    said = objects.customer(thing)
    claim = Claim(said.id, objects.claimed_account(thing), version.as_of, "read")
    accounts = repository.meet(connection, claim)
    moved = repository.keep_customer(connection, said, version)
    consequences.choose_default(connection, [said.id])
    consequences.settle(connection, accounts)
    return moved


def subscription(_: Connection, thing: Json) -> Values:
    said = objects.subscription(thing)
    return asdict(said) | {"items": repository.items(said), "product_ids": said.product_ids}


HELD: Final = "select account_id from app.stripe_customers where id = %(id)s"


def apply_subscription(connection: Connection, thing: Json, version: Version) -> bool:
    """What its metadata says of the account counts only where the customer's says nothing."""
    said = objects.subscription(thing)
    row = connection.execute(HELD, {"id": said.customer_id}).fetchone()
    known = row is not None and row[0] is not None
    claimed = None if known else objects.claimed_account(thing)
    claim = Claim(said.customer_id, claimed, version.as_of, "read")
    accounts = repository.meet(connection, claim)
    moved = repository.keep_subscription(connection, said, version)
    consequences.settle(connection, accounts)
    return moved


def is_deleted(thing: Json) -> bool:
    return bool(thing.get("deleted"))


def is_over(thing: Json) -> bool:
    return not objects.subscription(thing).live


MIRRORS: Final[Mapping[Phase, Mirror]] = {
    "products": Mirror(
        kind="product",
        path="products",
        params={},
        ours=columns(
            *("app.stripe_products", "name", "active", "plan_key", "features", "warnings")
        ),
        said=product,
        apply=apply_product,
        final=is_deleted,
        following="prices",
    ),
    "prices": Mirror(
        kind="price",
        path="prices",
        params={},
        ours=columns(
            *("app.stripe_prices", "product_id", "active", "currency", "unit_amount"),
            *("interval", "interval_count", "trial_days"),
        ),
        said=price,
        apply=apply_price,
        final=is_deleted,
        following="customers",
    ),
    "customers": Mirror(
        kind="customer",
        path="customers",
        params={},
        ours=columns("app.stripe_customers", "account_id", "default_payment_method", "deleted"),
        said=customer,
        apply=apply_customer,
        final=is_deleted,
        following="subscriptions",
    ),
    "subscriptions": Mirror(
        kind="subscription",
        path="subscriptions",
        params={"status": "all"},
        ours=columns(
            *("app.stripe_subscriptions", "customer_id", "status", "items", "product_ids"),
            *("cancel_at_period_end", "cancel_at", "canceled_at", "ended_at", "trial_end"),
        ),
        said=subscription,
        apply=apply_subscription,
        final=is_over,
        following="ours",
    ),
}

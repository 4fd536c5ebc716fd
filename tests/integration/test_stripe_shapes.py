"""The 18 types of Stripe's events, in the shapes of its current API version and of the older ones.

What the current shapes are, the installed library says: it is generated from Stripe's own
description of its API, for the version it names.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
import stripe

from quotekit import database as databases
from quotekit.billing import effects
from quotekit.database import SERVICE, Connection
from quotekit.webhooks import applying
from quotekit.webhooks.model import Event
from quotekit.webhooks.repository import Delivery
from tests.conftest import Database
from tests.vendors import stripe_objects as of
from tests.vendors.stripe_objects import EPOCH, Json

ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")

CUSTOMER: Final = of.customer(ACCOUNT)
PRODUCT: Final = of.product()
PRICE: Final = of.price(PRODUCT["id"])
CARD: Final = of.payment_method(CUSTOMER["id"])
HELD: Final = of.subscription(CUSTOMER["id"], PRICE)
OLDER_HELD: Final = of.older_subscription(CUSTOMER["id"], PRICE, id=HELD["id"])
OLDER_HELD["items"]["data"][0]["id"] = HELD["items"]["data"][0]["id"]
PAID: Final = of.invoice(CUSTOMER["id"], HELD["id"])
OLDER_PAID: Final = of.older_invoice(CUSTOMER["id"], HELD["id"], id=PAID["id"])
UNPAID: Final = {"status": "open", "amount_paid": 0}
CHARGE: Final = of.charge(CUSTOMER["id"], of.new_id("pi"), refunded=100)
CLASSES: Final[tuple[tuple[type, Json], ...]] = (
    (stripe.Event, of.event("customer.created", CUSTOMER, EPOCH)),
    (stripe.Customer, CUSTOMER),
    (stripe.Product, PRODUCT),
    (stripe.Price, PRICE),
    (stripe.Subscription, HELD),
    (stripe.SubscriptionItem, HELD["items"]["data"][0]),
    (stripe.Invoice, PAID),
    (stripe.PaymentMethod, CARD),
    (stripe.SetupIntent, of.setup_intent(CUSTOMER["id"], CARD["id"])),
    (stripe.checkout.Session, of.session(CUSTOMER["id"], ACCOUNT)),
    (stripe.Charge, CHARGE),
    (stripe.Dispute, of.dispute(CHARGE["id"], CHARGE["payment_intent"])),
)


NOT_ALWAYS: Final = ("Optional", "NoneType", "Literal")


def declared(kind: type) -> dict[str, str]:
    """A class's fields and their types, as the library writes them."""
    return {name: str(hint) for name, hint in kind.__annotations__.items() if name.islower()}


def wrong(kind: type, thing: Json, path: str = "") -> Iterator[str]:
    """Fields that Stripe does not have, and fields that it always sends and are missing."""
    fields = declared(kind)
    yield from (f"{path}{name} is not Stripe's" for name in thing.keys() - fields.keys())
    for name, hint in fields.items():
        if name not in thing and not any(word in hint for word in NOT_ALWAYS):
            yield f"{path}{name} is always there"
        part = getattr(kind, "".join(map(str.title, name.split("_"))), None)
        if isinstance(part, type) and isinstance(thing.get(name), dict) and part.__annotations__:
            yield from wrong(part, thing[name], f"{path}{name}.")


def test_the_shapes_are_of_the_version_that_the_library_speaks() -> None:
    assert stripe.api_version == of.API_VERSION


@pytest.mark.parametrize(
    ("kind", "thing"), CLASSES, ids=lambda given: getattr(given, "__name__", "")
)
def test_an_object_has_the_fields_that_stripe_gives_it(kind: type, thing: Json) -> None:
    assert list(wrong(kind, thing)) == []


def test_an_object_of_an_older_version_is_not_taken_for_a_current_one() -> None:
    assert "current_period_end is not Stripe's" in list(wrong(stripe.Subscription, OLDER_HELD))
    assert "subscription is not Stripe's" in list(wrong(stripe.Invoice, OLDER_PAID))
    (older,) = OLDER_HELD["items"]["data"]
    assert "current_period_end is always there" in list(wrong(stripe.SubscriptionItem, older))


def test_periods_and_payments_are_where_the_current_version_has_them() -> None:
    assert "current_period_end" in declared(stripe.SubscriptionItem)
    assert "current_period_end" not in declared(stripe.Subscription)
    assert "subscription" in declared(stripe.Invoice.Parent.SubscriptionDetails)
    assert "subscription" not in declared(stripe.Invoice)


# ---- applied ----

LIFE: Final = ("created", "updated", "deleted")
type Shapes = tuple[Json, Json]
EVENTS: Final[Mapping[str, Shapes]] = {
    **{f"customer.{verb}": (CUSTOMER, CUSTOMER) for verb in LIFE},
    **{f"customer.subscription.{verb}": (HELD, OLDER_HELD) for verb in LIFE[:2]},
    "customer.subscription.deleted": (
        HELD | {"status": "canceled", "ended_at": EPOCH},
        OLDER_HELD | {"status": "canceled", "ended_at": EPOCH},
    ),
    "checkout.session.completed": (of.session(CUSTOMER["id"], ACCOUNT, status="complete"),) * 2,
    "invoice.payment_succeeded": (PAID, OLDER_PAID),
    "invoice.payment_failed": (PAID | UNPAID, OLDER_PAID | UNPAID | {"paid": False}),
    "setup_intent.succeeded": (of.setup_intent(CUSTOMER["id"], CARD["id"]),) * 2,
    "payment_method.attached": (CARD, CARD),
    "payment_method.detached": (CARD | {"customer": None},) * 2,
    **{f"product.{verb}": (PRODUCT, PRODUCT) for verb in LIFE},
    **{f"price.{verb}": (PRICE, PRICE) for verb in LIFE},
}
# What only one of the two says, so not a difference in what was understood.
ONLY_OLDER: Final = {"charge_id", "payment_intent"}
TABLES: Final = (
    *("stripe_customers", "stripe_products", "stripe_prices", "stripe_subscriptions"),
    *("payment_methods", "billing_history", "subscriptions"),
)


class UndoError(Exception):
    """Leaves the transaction without a trace."""


def arrived(payload: Json) -> Event:
    return Event(
        source="stripe",
        event_id=payload["id"],
        type=payload["type"],
        handler="stripe",
        received_at=datetime.now(UTC),
        body=json.dumps(payload),
    )


def state(connection: Connection) -> dict[str, list[Any]]:
    """All that Stripe's events change, without what is unlike in every run."""
    found = {}
    for table in TABLES:
        query = f"select to_jsonb(t) - 'updated_at' - 'last_applied_at' from app.{table} as t"
        rows = [row for (row,) in connection.execute(query.encode()).fetchall()]
        found[table] = sorted(
            (row | dict.fromkeys(ONLY_OLDER & row.keys()) for row in rows), key=str
        )
    return found


def outcome(payload: Json) -> tuple[str, dict[str, list[Any]]]:
    """What one event comes to, after the things that it is about are known; undone."""
    told: tuple[str, dict[str, list[Any]]]
    try:
        with databases.transaction(SERVICE) as connection:
            for kind, thing in (("product", PRODUCT), ("price", PRICE), ("customer", CUSTOMER)):
                before = of.event(f"{kind}.created", thing, EPOCH - 9, id=f"evt_{kind}")
                effects.on_stripe_events(connection, [arrived(before)])
            delivery = Delivery("webhooks_critical", 1, datetime.now(UTC))
            told = applying.apply(connection, arrived(payload), delivery), state(connection)
            raise UndoError
    except UndoError:
        return told


@pytest.fixture
def account(database: Database) -> UUID:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
    return ACCOUNT


def test_there_are_18_types() -> None:
    assert len(EVENTS) == 18
    assert EVENTS.keys() <= effects.CHANGES.keys() | effects.CATALOGUE.keys()


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_is_applied_and_means_the_same_in_both_shapes(kind: str, account: UUID) -> None:
    current, older = EVENTS[kind]
    given = of.event(kind, current, EPOCH, id="evt_1")
    before = of.event(kind, older, EPOCH, id="evt_1", api_version=of.OLDER_VERSION)

    status, now = outcome(given)
    older_status, then = outcome(before)

    assert (status, older_status) == ("applied", "applied")
    assert now == then
    assert "evt_1" in str(now)  # the event's trace


def test_a_period_is_understood_in_both_shapes(account: UUID) -> None:
    payloads = [
        of.event("customer.subscription.created", HELD, EPOCH),
        of.event("customer.subscription.created", OLDER_HELD, EPOCH),
    ]

    ends = [outcome(payload)[1]["subscriptions"][0]["current_period_end"] for payload in payloads]

    assert {datetime.fromisoformat(end).timestamp() for end in ends} == {EPOCH + of.MONTH}

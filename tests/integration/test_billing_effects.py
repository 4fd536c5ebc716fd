"""Stripe's events against PostgreSQL: one at a time, in any order, and at once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import batched
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from psycopg.rows import dict_row

from quotekit import database as databases
from quotekit import settings
from quotekit.billing import effects
from quotekit.database import SERVICE, Connection
from quotekit.webhooks.model import Event, Outcome, PermanentError
from tests.conftest import Database
from tests.vendors import stripe_objects as of
from tests.vendors.stripe_objects import EPOCH, MONTH, Json

ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")
OTHER: Final = UUID("01900000-0000-7000-8000-0000000000a2")


def delivered(payload: Json) -> Event:
    """As the worker takes it from the queue."""
    return Event(
        source="stripe",
        event_id=payload.get("id", "none"),
        type=payload.get("type", ""),
        handler="stripe",
        received_at=datetime.now(UTC),
        body=json.dumps(payload),
    )


def apply(*payloads: Json) -> list[Outcome]:
    """Each in a transaction of its own."""
    outcomes = []
    for payload in payloads:
        with databases.transaction(SERVICE) as connection:
            outcomes += effects.on_stripe_events(connection, [delivered(payload)])
    return outcomes


@pytest.fixture
def accounts(database: Database) -> Database:
    with psycopg.connect(database.owner_url) as connection:
        for account in (ACCOUNT, OTHER):
            connection.execute("insert into app.accounts (id) values (%s)", [account])
    return database


def rows(database: Database, query: str, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(database.owner_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def in_force(database: Database, account: UUID = ACCOUNT) -> dict[str, Any]:
    query = "select * from app.subscriptions where account_id = %s"
    found = rows(database, query, account)
    return found[0] if found else {}


def plan(database: Database, account: UUID = ACCOUNT) -> str:
    key: str = rows(database, "select app.plan_key(%s) as key", account)[0]["key"]
    return key


def sold(amount: int = 1200) -> tuple[Json, Json]:
    """A product that is the premium plan, and its monthly price."""
    product = of.product()
    return product, of.price(product["id"], amount=amount)


def subscribed(account: UUID = ACCOUNT, **over: Any) -> tuple[Json, Json, list[Json]]:
    """A customer, his subscription, and the events that brought them."""
    product, price = sold()
    customer = of.customer(account)
    held = of.subscription(customer["id"], price, **over)
    events = [
        of.event("product.created", product, EPOCH),
        of.event("price.created", price, EPOCH),
        of.event("customer.created", customer, EPOCH),
        of.event("customer.subscription.created", held, EPOCH),
    ]
    return customer, held, events


def test_a_subscription_puts_its_account_on_the_plan_of_its_product(accounts: Database) -> None:
    _, held, events = subscribed()

    outcomes = apply(*events)

    assert [outcome.state for outcome in outcomes] == ["applied"] * 4
    found = in_force(accounts)
    assert (found["plan_key"], found["status"]) == ("premium", "active")
    assert found["stripe_subscription_id"] == held["id"]
    assert found["current_period_end"] == datetime.fromtimestamp(EPOCH + MONTH, UTC)
    assert found["as_of"] == datetime.fromtimestamp(EPOCH, UTC)
    audit = rows(accounts, "select action, details from app.audit_events")
    assert [row["action"] for row in audit] == ["subscription.changed"]
    assert audit[0]["details"]["plan"] == "premium"


def test_the_shape_of_before_march_2025_says_the_same(accounts: Database) -> None:
    customer, held, events = subscribed()
    price = held["items"]["data"][0]["price"]
    old = of.older_subscription(customer["id"], price, id=held["id"])
    expanded = old | {"customer": customer}
    payload = of.event("customer.subscription.created", expanded, EPOCH, api_version="2023-10-16")

    apply(*events[:3], payload)

    found = in_force(accounts)
    assert (found["plan_key"], found["stripe_customer_id"]) == ("premium", customer["id"])
    assert found["current_period_end"] == datetime.fromtimestamp(EPOCH + MONTH, UTC)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_whichever_event_comes_last_completes_the_picture(accounts: Database, first: int) -> None:
    _, _, events = subscribed()

    apply(*events[first + 1 :], *events[: first + 1])

    assert plan(accounts) == "premium"


def test_a_customer_of_nobody_is_noted_and_found_later(accounts: Database) -> None:
    product, price = sold()
    customer = of.customer(None)
    held = of.subscription(customer["id"], price)
    session = of.session(customer["id"], ACCOUNT, status="complete", subscription=held["id"])

    (_, _, unmatched) = apply(
        of.event("product.created", product, EPOCH),
        of.event("customer.created", customer, EPOCH),
        of.event("customer.subscription.created", held, EPOCH),
    )
    before = plan(accounts)
    apply(of.event("checkout.session.completed", session, EPOCH + 5))

    assert unmatched.state == "applied"
    assert unmatched.details["unmatched_customer"] == customer["id"]
    assert before == "free"
    assert plan(accounts) == "premium"


def test_neither_an_address_nor_a_strangers_reference_makes_an_account_a_customers(
    accounts: Database,
) -> None:
    product, price = sold()
    customer = of.customer(None, email="owner@example.com")
    session = of.session(customer["id"], None, client_reference_id=str(ACCOUNT))

    apply(
        of.event("product.created", product, EPOCH),
        of.event("customer.created", customer, EPOCH),
        of.event("customer.subscription.created", of.subscription(customer["id"], price), EPOCH),
        of.event("checkout.session.completed", session, EPOCH),
    )

    assert plan(accounts) == "free"
    assert in_force(accounts) == {}


def test_metadata_naming_no_account_of_ours_is_no_claim(accounts: Database) -> None:
    ghost = UUID("01900000-0000-7000-8000-00000000dead")
    customers = [of.customer(ghost), of.customer(None, metadata={"account_id": "nonsense"})]

    outcomes = apply(*(of.event("customer.created", thing, EPOCH) for thing in customers))

    assert [outcome.state for outcome in outcomes] == ["applied", "applied"]
    assert rows(accounts, "select from app.stripe_customers where account_id is not null") == []


def test_an_older_event_changes_nothing(accounts: Database) -> None:
    _, held, events = subscribed()
    canceled = of.event(
        "customer.subscription.deleted",
        held | {"status": "canceled", "ended_at": EPOCH + 100, "canceled_at": EPOCH + 100},
        EPOCH + 100,
    )
    late = of.event("customer.subscription.updated", held, EPOCH + 50)

    outcomes = apply(*events, canceled, late)

    assert outcomes[-1].state == "stale"
    assert in_force(accounts)["status"] == "canceled"
    assert plan(accounts) == "free"


def test_what_is_canceled_never_lives_again_whatever_the_clock_says(accounts: Database) -> None:
    _, held, events = subscribed()
    canceled = of.event("customer.subscription.deleted", held | {"status": "canceled"}, EPOCH + 1)
    skewed = of.event("customer.subscription.updated", held, EPOCH + 2)

    outcomes = apply(*events, canceled, skewed)

    assert outcomes[-1].state == "stale"
    assert plan(accounts) == "free"


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_updates_of_one_second_the_one_that_tells_a_transition_is_the_later(
    accounts: Database, *, turned: bool
) -> None:
    _, held, events = subscribed(status="incomplete")
    method = {"default_payment_method": None}
    card = of.event("customer.subscription.updated", held, EPOCH, previous=method)
    paid = of.event(
        "customer.subscription.updated",
        held | {"status": "active"},
        EPOCH,
        previous={"status": "incomplete"},
    )
    pair = [paid, card] if turned else [card, paid]

    apply(*events, *pair)

    assert in_force(accounts)["status"] == "active"


def test_of_two_subscriptions_the_living_one_is_in_force(accounts: Database) -> None:
    customer, held, events = subscribed()
    price = held["items"]["data"][0]["price"]
    newer = of.subscription(customer["id"], price, start=EPOCH + 60, status="incomplete")

    apply(*events, of.event("customer.subscription.created", newer, EPOCH + 60))

    assert in_force(accounts)["stripe_subscription_id"] == held["id"]


def test_an_item_that_is_no_plan_does_not_hide_the_one_that_is(accounts: Database) -> None:
    _, held, events = subscribed()
    extra = of.product(None, name="Onboarding call")
    call = of.item(held["id"], of.price(extra["id"]), EPOCH, EPOCH + MONTH)
    held["items"]["data"].insert(0, call)

    apply(of.event("product.created", extra, EPOCH), *events)

    assert plan(accounts) == "premium"


# ---- plans --------------------------------------------------------------------------------------


def premium(database: Database) -> dict[str, Any]:
    (found,) = rows(database, "select * from app.plans where key = 'premium'")
    return found


def test_metadata_sets_features_and_its_removal_brings_the_defaults_back(
    accounts: Database,
) -> None:
    said = {"max_quotes": "100", "max_clients": "-1", "analytics_access": "false"}
    product = of.product(metadata=said | {"custom_branding": "false", "api_access": "true"})
    plain = product | {"metadata": {"plan": "premium"}}

    apply(of.event("product.created", product, EPOCH))
    limited = premium(accounts)
    apply(of.event("product.updated", plain, EPOCH + 1))

    assert (limited["quotes_per_month"], limited["clients"]) == (100, None)
    assert (limited["analytics"], limited["watermark"]) == (False, True)
    assert limited["flags"] == {"api_access": True, "premium_catalogue": True}
    usual = premium(accounts)
    assert (usual["quotes_per_month"], usual["analytics"], usual["watermark"]) == (
        None,
        True,
        False,
    )
    assert usual["flags"] == {"premium_catalogue": True}


def test_a_missing_or_malformed_limit_is_the_plans_default_and_never_unlimited(
    accounts: Database,
) -> None:
    product = of.product("free", {"max_quotes": "lots", "max_clients": "0"}, name="Free")

    (outcome,) = apply(of.event("product.created", product, EPOCH))

    (free,) = rows(accounts, "select * from app.plans where key = 'free'")
    assert (free["quotes_per_month"], free["clients"]) == (5, 50)
    (kept,) = rows(accounts, "select warnings from app.stripe_products")
    assert [warning["key"] for warning in kept["warnings"]] == ["max_quotes", "max_clients"]
    assert len(outcome.details["warnings"]) == 2


def test_a_product_of_an_unknown_plan_is_kept_with_a_warning(accounts: Database) -> None:
    apply(of.event("product.created", of.product("platinum"), EPOCH))

    (kept,) = rows(accounts, "select plan_key, warnings from app.stripe_products")
    assert kept["plan_key"] is None
    assert kept["warnings"][0]["reason"] == "there is no such plan"


def test_prices_are_what_the_plan_costs(accounts: Database) -> None:
    product, price = sold(amount=1500)
    yearly = of.price(product["id"], "year", 14_400)
    foreign = of.price(product["id"], amount=1, currency="eur")

    apply(
        of.event("price.created", price, EPOCH),
        of.event("price.created", yearly, EPOCH),
        of.event("price.created", foreign, EPOCH),
        of.event("product.created", product, EPOCH),
    )
    dear = premium(accounts)
    apply(of.event("price.updated", price | {"active": False}, EPOCH + 1))

    assert (dear["monthly_price"], dear["yearly_price"]) == (1500, 14_400)
    assert premium(accounts)["monthly_price"] == 1200


def test_a_product_that_becomes_another_plans_takes_its_subscribers_along(
    accounts: Database,
) -> None:
    _, _, events = subscribed()
    apply(*events)
    thing = events[0]["data"]["object"]

    (outcome,) = apply(of.event("product.updated", thing | {"metadata": {}}, EPOCH + 9))

    assert plan(accounts) == "free"
    assert outcome.details["changes"][0]["plan"] == "free"


@pytest.mark.parametrize(
    ("status", "setting", "access"),
    [
        ("trialing", None, "premium"),
        ("past_due", None, "premium"),
        ("trialing", "trialing_keeps_access", "free"),
        ("past_due", "past_due_keeps_access", "free"),
        ("unpaid", None, "free"),
        ("paused", None, "free"),
        ("incomplete", None, "free"),
    ],
)
def test_a_status_keeps_access_as_the_plan_says(
    accounts: Database, status: str, setting: str | None, access: str
) -> None:
    _, _, events = subscribed(status=status)
    if setting:
        events[0]["data"]["object"]["metadata"][setting] = "false"

    apply(*events)

    assert in_force(accounts)["plan_key"] == "premium"
    assert plan(accounts) == access


def test_a_cancelled_plan_ends_with_its_period_even_if_no_event_says_so(
    accounts: Database,
) -> None:
    now = int(datetime.now(UTC).timestamp())
    _, held, events = subscribed(start=now - MONTH + 60)
    ending = {"cancel_at_period_end": True, "cancel_at": now + 60}
    apply(*events, of.event("customer.subscription.updated", held | ending, EPOCH + 5))
    before = plan(accounts)

    past = "update app.subscriptions set cancel_at = now(), current_period_end = now()"
    with psycopg.connect(accounts.owner_url) as connection:
        connection.execute(past)

    assert (before, plan(accounts)) == ("premium", "free")


# ---- payment methods, money ---------------------------------------------------------------------


def default(database: Database) -> list[str]:
    query = "select id from app.payment_methods where is_default order by id"
    return [row["id"] for row in rows(database, query)]


def attached(customer: Json, created: int) -> Json:
    method = of.payment_method(customer["id"], created)
    return of.event("payment_method.attached", method, created)


def detached(event: Json, created: int) -> Json:
    method = event["data"]["object"]
    return of.event(
        "payment_method.detached",
        method | {"customer": None},
        created,
        previous={"customer": method["customer"]},
    )


def test_the_newest_method_is_the_default_until_the_customer_chooses(accounts: Database) -> None:
    customer = of.customer(ACCOUNT)
    first, second = attached(customer, EPOCH), attached(customer, EPOCH + 1)
    name = first["data"]["object"]["id"]
    chosen = customer | {"invoice_settings": {"default_payment_method": name}}

    apply(of.event("customer.created", customer, EPOCH), first, second)
    newest = default(accounts)
    apply(of.event("customer.updated", chosen, EPOCH + 2))

    assert newest == [second["data"]["object"]["id"]]
    assert default(accounts) == [name]


def test_when_the_default_is_detached_another_takes_its_place(accounts: Database) -> None:
    customer = of.customer(ACCOUNT)
    first, second = attached(customer, EPOCH), attached(customer, EPOCH + 1)

    apply(first, second, detached(second, EPOCH + 2))

    assert default(accounts) == [first["data"]["object"]["id"]]
    (gone,) = rows(accounts, "select * from app.payment_methods where final")
    assert (gone["customer_id"], gone["last4"], gone["brand"]) == (None, None, None)


def test_a_setup_promises_a_method_that_its_own_event_describes(accounts: Database) -> None:
    customer = of.customer(ACCOUNT)
    card = attached(customer, EPOCH)
    intent = of.setup_intent(customer["id"], card["data"]["object"]["id"])

    apply(of.event("setup_intent.succeeded", intent, EPOCH + 3), card)

    (method,) = rows(accounts, "select last4, is_default from app.payment_methods")
    assert (method["last4"], method["is_default"]) == ("4242", True)


def history(database: Database) -> list[dict[str, Any]]:
    return rows(database, "select * from app.billing_history order by id")


def test_an_invoice_that_fails_and_is_paid_later_is_one_row(accounts: Database) -> None:
    customer, held, events = subscribed()
    apply(*events)
    unpaid = of.invoice(customer["id"], held["id"], status="open", amount_paid=0)
    failing = of.event("invoice.payment_failed", unpaid, EPOCH + 1)
    paying = of.event(
        "invoice.payment_succeeded", unpaid | {"status": "paid", "amount_paid": 1200}, EPOCH + 9
    )
    opening = of.event("invoice.finalized", unpaid, EPOCH + 1)

    apply(failing, opening)
    (failed,) = history(accounts)
    apply(paying, failing)
    (paid,) = history(accounts)

    assert (failed["status"], failed["amount"]) == ("payment_failed", 1200)
    assert failed["subscription_id"] == held["id"]
    assert (paid["status"], paid["amount"], paid["currency"]) == ("paid", 1200, "USD")
    assert in_force(accounts)["status"] == "active"  # only the subscription's own events say


def test_what_went_back_is_negative_and_a_dispute_waits_for_a_human(accounts: Database) -> None:
    customer = of.customer(ACCOUNT)
    payment = of.new_id("pi")
    charge = of.charge(customer["id"], payment, refunded=500)
    dispute = of.dispute(charge["id"], payment)

    (opened, _, _) = apply(
        of.event("charge.dispute.created", dispute, EPOCH + 2),
        of.event("charge.refunded", charge, EPOCH + 1),
        of.event("customer.created", customer, EPOCH),
    )

    disputed, refunded = history(accounts)
    assert (refunded["amount"], refunded["status"]) == (-500, "partially_refunded")
    assert (disputed["amount"], disputed["needs_answer"]) == (-1200, True)
    assert disputed["due_by"] == datetime.fromtimestamp(EPOCH + 7 * 86_400, UTC)
    assert disputed["customer_id"] == customer["id"]  # by the payment both name
    assert opened.details["needs_answer"] is True


def test_a_dispute_that_is_won_took_nothing(accounts: Database) -> None:
    dispute = of.dispute(of.new_id("ch"), of.new_id("pi"))
    won = dispute | {"status": "won"}

    apply(
        of.event("charge.dispute.closed", won, EPOCH + 9),
        of.event("charge.dispute.created", dispute, EPOCH),
    )

    (row,) = history(accounts)
    assert (row["amount"], row["status"], row["needs_answer"]) == (0, "won", False)
    assert row["customer_id"] is None


def test_an_account_sees_its_own_history_and_cards_only(accounts: Database) -> None:
    mine, other = of.customer(ACCOUNT), of.customer(OTHER)
    for customer in (mine, other):
        apply(
            of.event("customer.created", customer, EPOCH),
            of.event("invoice.paid", of.invoice(customer["id"]), EPOCH),
            attached(customer, EPOCH),
        )
    actor = databases.Actor("authenticated", {"sub": str(ACCOUNT), "account_id": str(ACCOUNT)})

    with databases.reading(actor) as connection:
        seen = [
            connection.execute(f"select count(*) from app.{table}").fetchone()
            for table in ("billing_history", "payment_methods", "stripe_customers")
        ]

    assert seen == [(1,), (1,), (1,)]


# ---- what is not ours, and what is broken -------------------------------------------------------


def test_an_event_of_another_kind_is_ignored(accounts: Database) -> None:
    (outcome,) = apply(of.event("radar.early_fraud_warning.created", {"id": "issfr_1"}, EPOCH))

    assert outcome.state == "ignored"


BROKEN: Final[Sequence[Json]] = [
    {},
    {"id": "evt_1", "type": "customer.created", "created": EPOCH},
    {"id": "evt_1", "type": "customer.created", "created": EPOCH, "data": {"object": []}},
    {"id": "evt_1", "type": "customer.created", "created": "soon", "data": {"object": {}}},
    of.event("customer.created", {}, EPOCH),
    of.event("customer.created", of.customer(), 10**40),
    of.event("product.created", of.product(created=None), EPOCH),
    of.event("price.created", of.price("prod_1", product=None), EPOCH),
    of.event("invoice.paid", of.invoice("cus_1", amount_paid="free"), EPOCH),
    of.event("customer.subscription.created", of.subscription("cus_1", {}), EPOCH),
    of.event(
        "customer.subscription.updated",
        of.subscription("cus_1", of.price("prod_1"), status="dormant"),
        EPOCH,
    ),
]


@pytest.mark.parametrize("payload", BROKEN, ids=range(len(BROKEN)))
def test_what_can_never_be_read_is_permanent(accounts: Database, payload: Json) -> None:
    with pytest.raises(PermanentError):
        apply(payload)


def subjects() -> list[tuple[str, Json]]:
    customer, price = of.customer(ACCOUNT), of.price("prod_1")
    return [
        ("customer.updated", customer),
        ("product.updated", of.product()),
        ("price.updated", price),
        ("customer.subscription.updated", of.subscription(customer["id"], price)),
        ("payment_method.attached", of.payment_method(customer["id"])),
        ("payment_method.detached", of.payment_method(None)),
        ("setup_intent.succeeded", of.setup_intent(customer["id"], "pm_1")),
        ("checkout.session.completed", of.session(customer["id"], ACCOUNT)),
        ("invoice.paid", of.invoice(customer["id"])),
        ("charge.refunded", of.charge(customer["id"], "pi_1", refunded=100)),
        ("charge.dispute.updated", of.dispute("ch_1", "pi_1")),
    ]


anything = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        st.sampled_from(["\0", "\ud800", "x" * 400, 10**20, -1, 2**31]),
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(data=st.data())
@rules(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_field_holds_it_is_applied_or_refused_for_good(
    accounts: Database, data: st.DataObject
) -> None:
    kind, thing = data.draw(st.sampled_from(subjects()))
    broken = thing | {data.draw(st.sampled_from(sorted(thing))): data.draw(anything)}

    try:
        replay([of.event(kind, broken, EPOCH)])
    except PermanentError:
        return


# ---- any order ----------------------------------------------------------------------------------

STATE: Final[Mapping[str, str]] = {
    "customers": """select id, account_id, claimed_at, claimed_by, default_payment_method, deleted,
        last_event_id, as_of, as_of_tie from app.stripe_customers""",
    "products": "select * from app.stripe_products",
    "prices": "select * from app.stripe_prices",
    "held": "select * from app.stripe_subscriptions",
    "methods": "select * from app.payment_methods",
    "history": "select * from app.billing_history",
    "subscriptions": "select to_jsonb(s) - 'updated_at' from app.subscriptions as s",
    "plans": "select to_jsonb(p) - 'updated_at' from app.plans as p",
}


def dump(connection: Connection) -> dict[str, list[Any]]:
    return {
        name: sorted(map(repr, connection.execute(query.encode()))) for name, query in STATE.items()
    }


class UndoError(Exception):
    """Leaves the transaction without a trace."""


def replay(payloads: Iterable[Json], size: int = 1) -> dict[str, list[Any]]:
    """The state that a sequence of events ends in, taken so many at once."""
    state: dict[str, list[Any]] = {}
    try:
        with databases.transaction(SERVICE) as connection:
            for batch in batched(payloads, size, strict=False):
                effects.on_stripe_events(connection, [delivered(payload) for payload in batch])
            state = dump(connection)
            raise UndoError
    except UndoError:
        return state


class Life:
    """The life of two products and three customers; many events share a second."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.clock = EPOCH
        self.events: list[Json] = []
        self.alive: dict[str, tuple[str, Json]] = {}
        self.products = [of.product(), of.product("free", {"max_quotes": "7"})]
        self.prices = [of.price(product["id"]) for product in self.products]
        self.customers = [of.customer(ACCOUNT), of.customer(None), of.customer(OTHER)]
        for kind, things in (
            ("product", self.products),
            ("price", self.prices),
            ("customer", self.customers),
        ):
            for thing in things:
                self.say(kind, "created", thing)

    def say(self, kind: str, verb: str, thing: Json, **previous: Any) -> None:
        self.alive[thing["id"]] = (kind, thing)
        self.events.append(of.event(f"{kind}.{verb}", thing, self.clock, previous=previous or None))

    def one_of(self, things: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(things))

    def live(self) -> None:
        self.clock += self.one_of([0, 0, 1, 60])
        begin = [self.subscribe, self.attach, self.check_out, self.offer, self.refund]
        self.one_of([*begin, *[self.go_on] * 3])(self.one_of(self.customers))

    def subscribe(self, customer: Json) -> None:
        held = of.subscription(customer["id"], self.one_of(self.prices), start=self.clock)
        self.say("customer.subscription", "created", held | {"status": "incomplete"})
        self.say("customer.subscription", "updated", held, status="incomplete")

    def attach(self, customer: Json) -> None:
        self.say("payment_method", "attached", of.payment_method(customer["id"], self.clock))

    def check_out(self, customer: Json) -> None:
        account = self.one_of([ACCOUNT, OTHER])
        self.say("checkout.session", "completed", of.session(customer["id"], account))

    def offer(self, _: Json) -> None:
        limit = {"max_clients": self.one_of(["9", "-1", "x"])}
        said = limit | {"plan": self.one_of(["premium", "free", "nonsense"])}
        self.say("product", "updated", self.one_of(self.products) | {"metadata": said})

    def refund(self, customer: Json) -> None:
        payment = of.new_id("pi")
        charge = of.charge(customer["id"], payment, refunded=100)
        self.say("charge", "refunded", charge)
        self.say("charge.dispute", "created", of.dispute(charge["id"], payment))

    def go_on(self, _: Json) -> None:
        kind, thing = self.one_of(sorted(self.alive.values(), key=repr))
        if kind == "customer.subscription" and thing["status"] != "canceled":
            status = self.one_of(["active", "past_due", "canceled"])
            verb = "deleted" if status == "canceled" else "updated"
            self.say(kind, verb, thing | {"status": status}, status=thing["status"])
        elif kind == "payment_method" and thing["customer"]:
            self.say(kind, "detached", thing | {"customer": None}, customer=thing["customer"])
        elif kind == "customer":
            chosen = [name for name in self.alive if name.startswith("pm_")]
            wallet = {"default_payment_method": self.one_of([None, *chosen])}
            self.say(kind, "updated", thing | {"invoice_settings": wallet})
        elif kind == "price":
            self.say(kind, "updated", thing | {"unit_amount": self.draw(st.integers(0, 9999))})


@st.composite
def histories(draw: st.DrawFn) -> list[Json]:
    life = Life(draw)
    for _ in range(draw(st.integers(3, 14))):
        life.live()
    return life.events


@given(data=st.data())
@rules(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_with_duplicates_ends_as_the_order_of_stripes_clock(
    accounts: Database, data: st.DataObject
) -> None:
    events = data.draw(histories())
    again = data.draw(st.lists(st.sampled_from(events), max_size=8))
    shuffled = data.draw(st.permutations(events + again))

    assert replay(shuffled, data.draw(st.integers(1, 10))) == replay(events)


@given(data=st.data())
@rules(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_said_last_is_what_is_kept(accounts: Database, data: st.DataObject) -> None:
    events = data.draw(histories())
    last = {}
    for second, payload in enumerate(events):  # no two of one second
        payload["created"] += second * 1000
        if payload["type"].startswith("customer.subscription."):
            last[payload["data"]["object"]["id"]] = payload["data"]["object"]["status"]

    state = replay(data.draw(st.permutations(events)))

    assert all(
        any(name in row and f"'{status}'" in row for row in state["held"])
        for name, status in last.items()
    )


def test_events_at_once_on_many_connections_end_the_same(
    accounts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_MAX", "8")
    databases.forget()
    settings.forget()
    product, price = sold()
    customers = [of.customer(ACCOUNT), of.customer(ACCOUNT)]
    events = [of.event("product.created", product, EPOCH)]
    for customer in customers:
        held = of.subscription(customer["id"], price)
        events += [of.event("customer.created", customer, EPOCH)]
        events += [
            of.event(
                "customer.subscription.updated",
                held | {"status": status},
                EPOCH + second,
                previous={"status": "incomplete"},
            )
            for second, status in enumerate(["active", "past_due", "active", "past_due"])
        ]
    expected = replay(events)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(settled, events * 3))

    with databases.transaction(SERVICE) as connection:
        assert dump(connection) == expected


def test_two_customers_of_one_account_with_news_at_once_do_not_miss_each_other(
    accounts: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_MAX", "2")
    databases.forget()
    settings.forget()
    product, price = sold()
    customers = [of.customer(ACCOUNT), of.customer(ACCOUNT)]
    living, dead = (of.subscription(customer["id"], price) for customer in customers)
    apply(of.event("product.created", product, EPOCH))
    apply(*(of.event("customer.created", customer, EPOCH) for customer in customers))
    news = of.event("customer.subscription.created", living, EPOCH)
    end = of.event("customer.subscription.deleted", dead | {"status": "canceled"}, EPOCH + 9)

    with ThreadPoolExecutor(1) as pool:
        with databases.transaction(SERVICE) as connection:
            effects.on_stripe_events(connection, [delivered(news)])
            other = pool.submit(apply, end)
            until_it_waits_or_is_done(accounts, other)
        other.result()

    assert in_force(accounts)["stripe_subscription_id"] == living["id"]


WAITING: Final = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'
"""


def until_it_waits_or_is_done(database: Database, other: Future[Any]) -> None:
    while not other.done() and rows(database, WAITING)[0]["count"] == 0:
        pass


def settled(payload: Json) -> None:
    """As the worker does: a deadlock or a twin is tried again."""
    for _ in range(20):
        try:
            apply(payload)
        except psycopg.errors.TransactionRollback:
            continue
        return
    pytest.fail("never settled")

"""The reading of all that Stripe has: what it finds, what it decides, and that it ends."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from quotekit import exchange, secrets, settings
from quotekit.billing import client, reconcile
from quotekit.billing.runs import Report
from quotekit.errors import ConflictError, ServiceUnavailableError
from quotekit.resilience import breakers
from tests.conftest import Database
from tests.integration.test_billing_effects import ACCOUNT, OTHER, apply, in_force, plan, rows
from tests.vendors import aws as amazon
from tests.vendors import stripe as vendor
from tests.vendors import stripe_objects as of
from tests.vendors.stripe import Plan, Stripe
from tests.vendors.stripe_objects import EPOCH, Json


@pytest.fixture
def stripe(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    with psycopg.connect(database.owner_url) as connection:
        for account in (ACCOUNT, OTHER):
            connection.execute("insert into app.accounts (id) values (%s)", [account])
    with amazon.serve() as aws, vendor.serve() as server:
        aws.give("stripe", {"api_key": vendor.KEY})
        variables = {
            "STRIPE_SECRET": "stripe",
            "STRIPE_API_BASE": server.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url,
            "AWS_REGION": amazon.REGION,
            "AWS_ACCESS_KEY_ID": amazon.KEY,
            "AWS_SECRET_ACCESS_KEY": amazon.SECRET_KEY,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        forget()
        server.now = EPOCH + 1000
        yield server
        forget()


def forget() -> None:
    for module in (settings, secrets, exchange, breakers):
        module.forget()


def read(*, dry_run: bool | None = False, seconds: float = 20) -> Report:
    return reconcile.reconcile(client.stripe(seconds), dry_run=dry_run)


def kinds(report: Report) -> dict[str, str]:
    return {found.kind: found.decided for found in report.differences}


def subscriber(stripe: Stripe) -> Json:
    """A subscription that Stripe has and that all events have told."""
    price = stripe.sell()
    customer = of.customer(ACCOUNT)
    stripe.customers[customer["id"]] = customer
    held = of.subscription(customer["id"], price)
    stripe.subscriptions[held["id"]] = held
    (product,) = stripe.products.values()
    apply(
        of.event("product.created", product, EPOCH),
        of.event("price.created", price, EPOCH),
        of.event("customer.created", customer, EPOCH),
        of.event("customer.subscription.created", held, EPOCH),
    )
    return held


def test_where_events_told_all_there_is_nothing_to_report(
    stripe: Stripe, database: Database
) -> None:
    subscriber(stripe)

    report = read()

    assert (report.run.status, report.run.checked) == ("done", 4)
    assert report.differences == []
    assert rows(database, "select from ops.billing_seen") == []


def test_a_change_that_no_event_told_is_applied_and_reported_once(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    held["status"] = "past_due"

    first, second = read(), read()

    (found,) = first.differences
    assert (found.kind, found.object_id) == ("subscription.differs", held["id"])
    assert (found.ours, found.theirs) == ({"status": "active"}, {"status": "past_due"})
    assert found.decided == "applied"
    assert in_force(database)["status"] == "past_due"
    assert (first.run.applied, second.run.applied) == (1, 0)
    assert second.differences == []


def test_a_dry_run_reports_and_changes_nothing_and_reports_it_once(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    held["status"] = "past_due"

    first, second = read(dry_run=True), read(dry_run=True)

    assert kinds(first) == {"subscription.differs": "would_apply"}
    assert second.differences == []
    assert in_force(database)["status"] == "active"
    (kept,) = rows(database, "select seen_at > found_at as again from ops.billing_differences")
    assert kept["again"] is True


def test_a_late_event_from_before_the_reading_changes_nothing(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    before = dict(held)
    held["status"] = "past_due"
    read()

    (late,) = apply(of.event("customer.subscription.updated", before, EPOCH + 500))
    (news,) = apply(of.event("customer.subscription.updated", before, EPOCH + 2000))

    assert (late.state, news.state) == ("stale", "applied")
    assert in_force(database)["status"] == "active"


def test_an_event_that_is_newer_than_the_reading_is_kept(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    newer = held | {"status": "past_due"}
    apply(of.event("customer.subscription.updated", newer, EPOCH + 5000))

    report = read()

    assert kinds(report) == {"subscription.differs": "ours_is_newer"}
    assert in_force(database)["status"] == "past_due"


def test_what_ended_here_and_lives_there_is_for_a_human(stripe: Stripe, database: Database) -> None:
    held = subscriber(stripe)
    over = held | {"status": "canceled"}
    apply(of.event("customer.subscription.deleted", over, EPOCH + 1))

    report = read()

    assert kinds(report) == {"subscription.differs": "for_a_human"}
    assert plan(database) == "free"


def test_what_ended_there_ends_here(stripe: Stripe, database: Database) -> None:
    stripe.end(subscriber(stripe))

    report = read()

    assert kinds(report) == {"subscription.differs": "applied"}
    assert (in_force(database)["status"], plan(database)) == ("canceled", "free")


def test_what_stripe_does_not_have_is_for_a_human(stripe: Stripe, database: Database) -> None:
    held = subscriber(stripe)
    del stripe.subscriptions[held["id"]]
    del stripe.customers[held["customer"]]

    report = read()

    assert kinds(report) == {
        "subscription.not_at_stripe": "for_a_human",
        "customer.not_at_stripe": "for_a_human",
    }
    assert plan(database) == "premium"


def test_customers_of_nobody_prices_of_no_plan_and_two_subscriptions_are_for_a_human(
    stripe: Stripe,
) -> None:
    held = subscriber(stripe)
    (price,) = stripe.prices.values()
    stripe.subscribe(held["customer"], price)
    for account, of_plan in ((None, price), (OTHER, of.price("prod_other"))):
        customer = of.customer(account)
        stripe.customers[customer["id"]] = customer
        stripe.subscribe(customer["id"], of_plan)

    report = read()
    again = read()

    human = {kind for kind, decided in kinds(report).items() if decided == "for_a_human"}
    assert human == {
        "subscription.of_nobody",
        "subscription.of_no_plan",
        "account.two_subscriptions",
    }
    assert again.differences == []


def test_a_subscription_written_by_hand_is_set_right(stripe: Stripe, database: Database) -> None:
    subscriber(stripe)
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("update app.subscriptions set plan_key = 'free', quantity = 9")

    report = read()

    (found,) = report.differences
    assert (found.kind, found.decided, found.account_id) == (
        "account.unsettled",
        "applied",
        ACCOUNT,
    )
    assert found.ours == {"plan_key": "free", "quantity": 9}
    assert found.theirs == {"plan_key": "premium", "quantity": 1}
    assert plan(database) == "premium"


def test_metadata_names_the_customer_that_was_nobodys(stripe: Stripe, database: Database) -> None:
    held = subscriber(stripe)
    stripe.customers[held["customer"]]["metadata"] = {"account_id": str(OTHER)}

    report = read()

    (found,) = report.differences
    assert (found.ours, found.theirs) == (
        {"account_id": str(ACCOUNT)},
        {"account_id": str(OTHER)},
    )
    assert (plan(database, ACCOUNT), plan(database, OTHER)) == ("free", "premium")


def test_a_customer_of_whom_only_his_subscription_told_is_read_and_found(
    stripe: Stripe, database: Database
) -> None:
    price = stripe.sell()
    customer = of.customer(ACCOUNT)
    stripe.customers[customer["id"]] = customer
    held = stripe.subscribe(customer["id"], price)
    apply(of.event("customer.subscription.created", held, EPOCH + 1000))

    read()

    assert plan(database) == "premium"


def test_an_object_nobody_can_read_is_reported_and_the_rest_goes_on(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    other = of.subscription(held["customer"], of.price("prod_1"), status="dormant")
    stripe.subscriptions[other["id"]] = other
    held["status"] = "past_due"

    report = read()

    assert kinds(report) == {
        "subscription.unreadable": "for_a_human",
        "subscription.differs": "applied",
    }


# ---- pages, pauses, failures --------------------------------------------------------------------


def many(stripe: Stripe, count: int) -> None:
    for _ in range(count):
        customer = of.customer(None)
        stripe.customers[customer["id"]] = customer


def test_every_page_is_read_and_none_twice(stripe: Stripe, database: Database) -> None:
    many(stripe, 205)

    report = read()

    assert (report.run.status, report.run.checked) == ("done", 205)
    found = rows(
        database,
        "select count(*), count(distinct object_id) as unlike from ops.billing_differences",
    )
    assert found == [{"count": 205, "unlike": 205}]
    asked = [one for one in stripe.requests if one.path == "/v1/customers"]
    assert len(asked) == 3
    assert report.differences_total == 205
    assert len(report.differences) == 100


def test_a_reading_without_time_is_gone_on_with_where_it_stopped(stripe: Stripe) -> None:
    many(stripe, 205)
    api = client.stripe(20)

    def slow(request: vendor.Request) -> None:
        if request.path == "/v1/customers":
            api.until = time.monotonic()  # after this page there is no time left

    stripe.gate = slow
    first = reconcile.reconcile(api, dry_run=False)
    stripe.gate = lambda _: None
    second = read()

    assert (first.run.status, first.run.phase, first.run.checked) == ("running", "customers", 100)
    assert second.run.id == first.run.id
    assert (second.run.status, second.run.checked) == ("done", 205)


def test_a_failure_in_the_middle_keeps_the_place_and_the_reason(
    stripe: Stripe, database: Database
) -> None:
    many(stripe, 205)

    def fail(request: vendor.Request) -> None:
        stripe.plans = [Plan(503)] if "starting_after" in request.params else []

    stripe.gate = fail
    with pytest.raises(ServiceUnavailableError):
        read()
    (kept,) = rows(database, "select phase, checked, reason from ops.billing_reconciles")
    stripe.gate, stripe.plans = lambda _: None, []
    report = read()

    assert (kept["phase"], kept["checked"]) == ("customers", 100)
    assert kept["reason"] == "Stripe does not answer; nothing is known to have changed."
    assert (report.run.checked, report.run.reason) == (205, None)


def test_a_place_that_is_gone_begins_its_kind_anew(stripe: Stripe) -> None:
    many(stripe, 150)
    gone: list[str] = []

    def delete(request: vendor.Request) -> None:
        if "starting_after" in request.params and not gone:
            gone.append(request.params["starting_after"])
            del stripe.customers[gone[0]]

    stripe.gate = delete

    report = read()

    assert report.run.status == "done"
    assert report.run.checked == 100 + 149
    assert report.differences_total == 150


def test_an_event_that_comes_while_stripe_answers_is_not_undone(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    held["status"] = "past_due"
    paid = of.event("customer.subscription.updated", held | {"status": "active"}, EPOCH + 1000)

    def arrive(request: vendor.Request) -> None:
        if request.path == "/v1/subscriptions":
            apply(paid)

    stripe.gate = arrive
    report = read()

    assert kinds(report) == {"subscription.differs": "ours_is_newer"}
    assert in_force(database)["status"] == "active"


def test_two_readings_at_once_are_one(stripe: Stripe) -> None:
    many(stripe, 1)
    refused: list[str] = []

    def begin(request: vendor.Request) -> None:
        if request.path == "/v1/products":
            with pytest.raises(ConflictError) as error:
                read()
            refused.append(error.value.message)

    stripe.gate = begin

    assert read().run.status == "done"
    assert refused == ["A reconcile is at work, or waits to be finished with another dry_run."]


ERASED = """
insert into ops.erased_names
select sha256(convert_to(name, 'UTF8')) from unnest(%s::text[]) as name
"""


def test_a_customer_whose_account_was_erased_is_read_and_not_kept(
    stripe: Stripe, database: Database
) -> None:
    held = subscriber(stripe)
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("delete from app.stripe_customers")
        owner.execute("delete from app.accounts where id = %s", [ACCOUNT])
        owner.execute("delete from ops.webhook_events")
        owner.execute(ERASED, [[held["customer"], str(ACCOUNT)]])

    first, second = read(), read()

    assert (first.run.status, second.run.status) == ("done", "done")
    assert first.differences == second.differences == []
    assert rows(database, "select from app.stripe_customers") == []
    assert rows(database, "select from app.stripe_subscriptions") == []

"""GET /v1/subscription and POST /v1/billing/…: what is known, what is asked of Stripe, and how it
fails."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, Final

import psycopg
import pytest

from functions.quote_processor.app import lambda_handler as quotes_handler
from functions.subscription_status.app import lambda_handler
from functions.webhook_worker.app import lambda_handler as worker
from quotekit import database as databases
from quotekit import secrets, settings
from quotekit.resilience import breakers, leases
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Answer,
    Client,
    Issuer,
    LambdaContext,
    load_event,
    sqs_event,
)
from tests.functions.test_quote_processor import QUOTE
from tests.integration.test_billing_effects import apply, delivered, rows
from tests.vendors import aws as amazon
from tests.vendors import stripe as vendor
from tests.vendors import stripe_objects as of
from tests.vendors.stripe import Plan, Stripe
from tests.vendors.stripe_objects import Json

SECRET: Final = "quotekit/local/stripe"
URLS: Final = {
    "success_url": "https://app.test/paid?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://app.test/plans",
}
MONTHLY: Final = {"price": "monthly", **URLS}


@pytest.fixture
def amazon_services(environment: pytest.MonkeyPatch) -> Iterator[amazon.Aws]:
    with amazon.serve() as server:
        server.give(SECRET, {"api_key": vendor.KEY})
        environment.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        environment.setenv("AWS_REGION", amazon.REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", amazon.KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", amazon.SECRET_KEY)
        secrets.forget()
        yield server
        secrets.forget()


@pytest.fixture
def stripe(
    environment: pytest.MonkeyPatch, database: Database, amazon_services: amazon.Aws
) -> Iterator[Stripe]:
    with vendor.serve() as server:
        variables = {
            "STRIPE_SECRET": SECRET,
            "STRIPE_API_BASE": server.url,
            "STRIPE_TIMEOUT": "1",
            "STRIPE_RETURN_ORIGINS": "https://app.test, http://localhost:3000",
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        settings.forget()
        breakers.forget()
        yield server
        breakers.forget()


@dataclass
class Billing:
    """The owner's calls, and what Stripe's events do meanwhile."""

    call: Client
    stripe: Stripe
    database: Database

    def post(self, what: str, body: Any = None, *, key: str | None = None) -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", f"/v1/billing/{what}", body, headers=headers)

    def get(self) -> Any:
        answer = self.call("GET", "/v1/subscription")
        assert answer.status == 200, answer.text
        return answer.json

    def sell(self, interval: str = "month", amount: int = 1200) -> Json:
        """A price at Stripe whose events have arrived."""
        price = self.stripe.sell(interval, amount)
        (product,) = self.stripe.products.values()
        now = self.stripe.time
        apply(of.event("product.updated", product, now), of.event("price.created", price, now))
        return price

    def tell(self, held: Json, verb: str = "updated", created: int | None = None) -> None:
        """Stripe's event about a subscription arrives."""
        when = self.stripe.time if created is None else created
        apply(of.event(f"customer.subscription.{verb}", held, when))

    def subscribe(self, price: Json, **over: Any) -> Json:
        """As if the account had checked out before, and all events had arrived."""
        self.get_founded()
        customer = of.customer(ACCOUNT)
        self.stripe.customers[customer["id"]] = customer
        held = self.stripe.subscribe(customer["id"], price, **over)
        apply(of.event("customer.created", customer, self.stripe.time))
        self.tell(held, "created")
        return held

    def get_founded(self) -> None:
        with psycopg.connect(self.database.owner_url) as connection:
            found = "insert into app.accounts (id) values (%s) on conflict do nothing"
            connection.execute(found, [ACCOUNT])
            member = """insert into app.members (account_id, user_id, role)
                values (%s, %s, 'owner') on conflict do nothing"""
            connection.execute(member, [ACCOUNT, USER])


@pytest.fixture
def billing(stripe: Stripe, database: Database, issuer: Issuer) -> Billing:
    call = Client(lambda_handler, issuer.token(USER, ACCOUNT), "POST /v1/billing/{proxy+}")
    return Billing(call, stripe, database)


# ---- where an account stands --------------------------------------------------------------------


def test_a_new_account_is_on_the_free_plan_and_hears_why_the_rest_is_unknown(
    billing: Billing,
) -> None:
    said = billing.get()

    assert said["plan"]["key"] == "free"
    assert said["limits"] == {"quotes_per_month": 5, "clients": 50}
    assert said["features"] == {"watermark": True, "bulk_operations": False, "analytics": False}
    assert said["usage"]["quotes_sent"] == {"used": 0, "limit": 5, "remaining": 5}
    assert said["billing"]["status"] is None
    assert said["billing"]["reason"] == "Stripe knows no customer of this account yet."
    assert said["sync"]["last_event"] is None
    assert said["sync"]["last_event_reason"] == "Stripe knows no customer of this account yet."
    assert said["sync"]["last_reconcile_at"] is None
    assert said["sync"]["last_reconcile_reason"] == "Stripe was never read as a whole yet."
    assert said["hints"] == said["history"] == []


def test_a_subscriber_sees_plan_period_card_and_invoices(billing: Billing) -> None:
    price = billing.sell()
    held = billing.subscribe(price)
    now = billing.stripe.time
    apply(
        of.event("payment_method.attached", of.payment_method(held["customer"]), now),
        of.event("invoice.paid", of.invoice(held["customer"], held["id"]), now),
    )

    said = billing.get()

    assert said["plan"]["key"] == "premium"
    assert said["limits"] == {"quotes_per_month": None, "clients": None}
    assert said["usage"]["quotes_sent"] == {"used": 0, "limit": None, "remaining": None}
    bill = said["billing"]
    assert (bill["status"], bill["access"], bill["reason"]) == ("active", True, None)
    assert (bill["price_id"], bill["interval"]) == (price["id"], "month")
    assert (bill["unit_amount"], bill["currency"]) == (1200, "USD")
    assert bill["payment_method"]["last4"] == "4242"
    assert [row["amount"] for row in said["history"]] == [1200]
    assert said["sync"]["last_event"]["type"] == "invoice.paid"
    assert said["sync"]["last_event_reason"] is None


def test_past_due_keeps_the_plan_until_stripe_gives_up(billing: Billing) -> None:
    held = billing.subscribe(billing.sell())

    billing.tell(held | {"status": "past_due"}, created=billing.stripe.time + 1)
    waiting = billing.get()
    billing.tell(held | {"status": "unpaid"}, created=billing.stripe.time + 2)

    assert (waiting["plan"]["key"], waiting["billing"]["access"]) == ("premium", True)
    given_up = billing.get()
    assert (given_up["plan"]["key"], given_up["billing"]["access"]) == ("free", False)
    assert given_up["billing"]["reason"] == "The subscription is unpaid."


def test_a_price_of_no_plan_gives_none_and_says_so(billing: Billing) -> None:
    billing.get_founded()
    customer = of.customer(ACCOUNT)
    held = of.subscription(customer["id"], of.price("prod_unknown"))
    apply(of.event("customer.created", customer, billing.stripe.time))
    billing.tell(held)

    said = billing.get()

    assert said["plan"]["key"] == "free"
    assert said["billing"]["reason"] == "No plan is known for the subscribed price."


def use_up(database: Database, sent: int) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(
            """insert into app.usage (account_id, month, metric, used)
            values (%s, date_trunc('month', now() at time zone 'UTC')::date, 'quotes_sent', %s)""",
            [ACCOUNT, sent],
        )


def test_a_hint_names_the_plan_the_measure_and_the_price(billing: Billing) -> None:
    billing.get_founded()
    billing.sell("month", 1500)
    use_up(billing.database, 4)

    (hint,) = billing.get()["hints"]

    assert (hint["plan"], hint["metric"]) == ("premium", "quotes_sent")
    assert hint["why"] == "4 of this month's 5 quotes are sent"
    assert hint["monthly_price"] == 1500


def test_no_hint_below_four_fifths_of_a_limit(billing: Billing) -> None:
    billing.get_founded()
    use_up(billing.database, 3)

    assert billing.get()["hints"] == []


def test_a_downgrade_in_the_middle_of_a_month_counts_what_was_sent_before(
    billing: Billing, aws_services: object, issuer: Issuer
) -> None:
    held = billing.subscribe(billing.sell())
    use_up(billing.database, 20)
    quotes = Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")

    billing.tell(held | {"status": "canceled"}, "deleted", billing.stripe.time + 1)

    assert billing.get()["usage"]["quotes_sent"] == {"used": 20, "limit": 5, "remaining": 0}
    quote_id = quotes("POST", "/v1/quotes", QUOTE).json["id"]
    refused = quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "link"})
    assert (refused.status, refused.json["code"]) == (402, "QUOTA_EXCEEDED")


def test_without_a_token_nothing_is_said(billing: Billing) -> None:
    answer = Client(lambda_handler, None, "GET /v1/subscription")("GET", "/v1/subscription")

    assert answer.status == 401


def test_stripes_events_reach_the_plan_through_the_worker_in_any_order(
    database: Database, webhook_queues: dict[str, str], issuer: Issuer
) -> None:
    call = Client(lambda_handler, issuer.token(USER, ACCOUNT), "GET /v1/subscription")
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        member = "insert into app.members (account_id, user_id) values (%s, %s)"
        connection.execute(member, [ACCOUNT, USER])
    product, customer = of.product(), of.customer(ACCOUNT)
    held = of.subscription(customer["id"], of.price(product["id"]))
    events = [
        of.event("customer.subscription.created", held, of.EPOCH + 2),
        of.event("customer.created", customer, of.EPOCH + 1),
        of.event("product.created", product, of.EPOCH),
        of.event("customer.subscription.updated", held | {"status": "unpaid"}, of.EPOCH + 1),
    ]
    event = sqs_event(*(delivered(payload).message for payload in [*events, *events]))
    for record in event["Records"]:
        record["eventSourceARN"] += "quotekit-local-webhooks-critical"

    answer = worker(event, LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert call("GET", "/v1/subscription").json["plan"]["key"] == "premium"
    query = "select status, count(*) from ops.webhook_events group by 1 order by 1"
    assert rows(database, query) == [
        {"status": "applied", "count": 3},
        {"status": "stale", "count": 1},
    ]


# ---- checkout -----------------------------------------------------------------------------------


def test_a_checkout_sells_the_asked_price_to_a_customer_of_this_account(billing: Billing) -> None:
    billing.sell("year", 14_400)
    price = billing.sell()

    answer = billing.post("checkout", MONTHLY)

    assert answer.status == 200, answer.text
    (customer,) = billing.stripe.customers.values()
    assert customer["metadata"] == {"account_id": str(ACCOUNT)}
    (made,) = billing.stripe.posts("/v1/checkout/sessions")
    assert made.params["line_items"]["0"] == {"price": price["id"], "quantity": "1"}
    assert made.params["subscription_data"]["metadata"]["account_id"] == str(ACCOUNT)
    assert made.params["success_url"] == URLS["success_url"]
    assert answer.json["url"].startswith("https://checkout.stripe.com/")
    assert answer.json["note"] == "The account's plan follows when Stripe's event arrives."
    assert billing.get()["plan"]["key"] == "free"  # nothing but an event changes it


def test_what_was_paid_arrives_by_event(billing: Billing) -> None:
    billing.sell()
    session = billing.post("checkout", MONTHLY).json

    held = billing.stripe.pay(session["id"])
    billing.tell(held, "created")

    assert billing.get()["plan"]["key"] == "premium"


def test_the_same_checkout_with_the_same_key_is_one_session(billing: Billing) -> None:
    billing.sell()

    first, second = (billing.post("checkout", MONTHLY, key="k-1") for _ in range(2))

    assert (first.status, second.status) == (200, 200)
    assert first.text == second.text
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(billing.stripe.posts("/v1/checkout/sessions")) == 1
    other = billing.post("checkout", MONTHLY | {"price": "yearly"}, key="k-1")
    assert other.status == 409


def test_another_checkout_without_a_key_uses_the_open_session_again(billing: Billing) -> None:
    billing.sell()

    first, second = (billing.post("checkout", MONTHLY).json for _ in range(2))

    assert first["id"] == second["id"]


def test_another_price_closes_the_open_session(billing: Billing) -> None:
    billing.sell()
    billing.sell("year", 14_400)

    first = billing.post("checkout", MONTHLY).json
    second = billing.post("checkout", MONTHLY | {"price": "yearly"}).json

    states = {name: session["status"] for name, session in billing.stripe.sessions.items()}
    assert states == {first["id"]: "expired", second["id"]: "open"}


def test_two_checkouts_at_once_open_one_session(
    billing: Billing, environment: pytest.MonkeyPatch
) -> None:
    billing.sell()
    environment.setenv("DATABASE_POOL_MAX", "4")
    databases.forget()
    settings.forget()
    barrier = Barrier(2, timeout=10)

    def together(request: vendor.Request) -> None:
        if request.method == "POST":
            barrier.wait()

    billing.stripe.gate = together

    with ThreadPoolExecutor(2) as pool:
        handlers = [pool.submit(billing.post, "checkout", MONTHLY) for _ in range(2)]
        answers = [handler.result() for handler in handlers]

    assert {answer.status for answer in answers} <= {200, 409}
    assert len(billing.stripe.customers) == 1
    assert len(billing.stripe.sessions) == 1


def test_who_subscribes_already_cannot_check_out_even_before_the_event(billing: Billing) -> None:
    billing.sell()
    session = billing.post("checkout", MONTHLY).json
    billing.stripe.pay(session["id"])  # its event is still under way

    answer = billing.post("checkout", MONTHLY)

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert len(billing.stripe.subscriptions) == 1


def test_an_answer_that_was_lost_is_not_a_second_session(billing: Billing) -> None:
    billing.sell()
    billing.post("checkout", MONTHLY)  # the customer is known from here on
    for session in billing.stripe.sessions.values():
        session["status"] = "expired"
    lost = Plan(after=True, cut=True)
    billing.stripe.requests.clear()
    gate = iter([None, None, lost])  # two lists, then the new session

    def lose(_: vendor.Request) -> None:
        plan = next(gate, None)
        billing.stripe.plans = [plan] if plan else []

    billing.stripe.gate = lose

    answer = billing.post("checkout", MONTHLY)

    assert answer.status == 200, answer.text
    assert len(billing.stripe.posts("/v1/checkout/sessions")) == 2  # asked twice, by one key
    assert len([s for s in billing.stripe.sessions.values() if s["status"] == "open"]) == 1


def test_a_change_whose_answer_was_lost_is_asked_again_by_the_same_key(billing: Billing) -> None:
    yearly = billing.sell("year", 15_000)
    held = billing.subscribe(billing.sell())
    lost = [Plan(after=True, cut=True)]

    def lose(request: vendor.Request) -> None:
        billing.stripe.plans = [lost.pop()] if request.method == "POST" and lost else []

    billing.stripe.gate = lose

    answer = billing.post("change-plan", {"price": "yearly"})

    first, second = billing.stripe.posts(f"/v1/subscriptions/{held['id']}")
    assert (answer.status, answer.json["price_ids"]) == (200, [yearly["id"]])
    assert first.key == second.key is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/paid",
        "https://app.test.evil.test/",
        "https://app.test@evil.test/",
        "https://app.test:444/",
        "http://app.test/",
        "//app.test/",
        "https:app.test",
        "https://app.test\\@evil.test/",
        "https://app.test/\npaid",
        "javascript:alert(1)//https://app.test",
        "https://[app.test/",
        "/paid",
    ],
)
def test_nobody_is_sent_back_to_a_strangers_page(billing: Billing, url: str) -> None:
    billing.sell()

    answer = billing.post("checkout", MONTHLY | {"success_url": url})
    portal = billing.post("portal", {"return_url": url})

    assert (answer.status, portal.status) == (422, 422)
    assert answer.json["details"][0]["field"] == "success_url"
    assert billing.stripe.requests == []


def test_without_a_price_from_stripe_there_is_nothing_to_sell(billing: Billing) -> None:
    answer = billing.post("checkout", MONTHLY)

    assert answer.status == 409
    assert answer.json["message"] == "No monthly price of a paid plan is known from Stripe."
    assert billing.stripe.requests == []


@pytest.mark.parametrize(
    "body",
    [None, "{", {}, MONTHLY | {"price": "weekly"}, MONTHLY | {"plan": "P!"}, {**MONTHLY, "x": 1}],
)
def test_a_body_that_is_none_is_refused(billing: Billing, body: Any) -> None:
    assert billing.post("checkout", body).status in {400, 422}


# ---- who may ------------------------------------------------------------------------------------

ROUTES: Final[list[tuple[str, Any]]] = [
    ("checkout", MONTHLY),
    ("portal", {"return_url": "https://app.test/"}),
    ("cancel", None),
    ("resume", None),
    ("change-plan", {"price": "yearly"}),
]


@pytest.mark.parametrize(("route", "body"), ROUTES)
@pytest.mark.parametrize("role", ["member", "viewer", None])
def test_only_owners_and_admins_touch_billing(
    billing: Billing, issuer: Issuer, route: str, body: Any, role: str | None
) -> None:
    billing.sell()
    billing.get_founded()
    if role is not None:
        with psycopg.connect(billing.database.owner_url) as connection:
            values = [ACCOUNT, OTHER_USER, role]
            connection.execute("insert into app.members values (%s, %s, %s)", values)
    billing.call.token = issuer.token(OTHER_USER, ACCOUNT)

    answer = billing.post(route, body)

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")
    assert billing.stripe.requests == []


def test_one_accounts_key_is_not_anothers(billing: Billing, issuer: Issuer) -> None:
    billing.sell()
    mine = billing.post("checkout", MONTHLY, key="k")
    billing.call.token = issuer.token(OTHER_USER, OTHER_USER)

    other = billing.post("checkout", MONTHLY, key="k")

    assert (mine.status, other.status) == (200, 200)
    assert mine.json["id"] != other.json["id"]
    assert mine.json["customer_id"] != other.json["customer_id"]


# ---- portal, cancel, resume, change -------------------------------------------------------------


def test_the_portal_is_the_customers_own(billing: Billing) -> None:
    held = billing.subscribe(billing.sell())

    answer = billing.post("portal", {"return_url": "https://app.test/plans"})

    assert answer.json["url"].startswith("https://billing.stripe.com/p/session/")
    (asked,) = billing.stripe.posts("/v1/billing_portal/sessions")
    assert asked.params == {
        "customer": held["customer"],
        "return_url": "https://app.test/plans",
    }


def test_an_account_that_stripe_does_not_know_has_no_portal(billing: Billing) -> None:
    assert billing.post("portal", {"return_url": "https://app.test/"}).status == 409


def test_a_cancelled_plan_lasts_to_the_end_of_its_period_and_can_be_resumed(
    billing: Billing,
) -> None:
    held = billing.subscribe(billing.sell())

    cancelled = billing.post("cancel")
    unchanged = billing.get()["billing"]["cancel_at_period_end"]
    billing.tell(held, created=billing.stripe.time + 1)
    ending = billing.get()
    resumed = billing.post("resume")
    billing.tell(held, created=billing.stripe.time + 2)

    assert (cancelled.status, cancelled.json["cancel_at_period_end"]) == (200, True)
    assert unchanged is False  # Stripe's event had not arrived
    assert ending["billing"]["cancel_at_period_end"] is True
    assert ending["plan"]["key"] == "premium"
    assert (resumed.status, resumed.json["cancel_at_period_end"]) == (200, False)
    assert billing.get()["billing"]["cancel_at_period_end"] is False


def test_cancelling_now_ends_it_now(billing: Billing) -> None:
    held = billing.subscribe(billing.sell())

    answer = billing.post("cancel", {"when": "now"})
    billing.tell(held, "deleted", billing.stripe.time + 1)

    assert answer.json["status"] == "canceled"
    assert billing.get()["plan"]["key"] == "free"


@pytest.mark.parametrize("route", ["cancel", "resume", "change-plan"])
def test_what_has_ended_cannot_be_changed(billing: Billing, route: str) -> None:
    held = billing.subscribe(billing.sell())
    billing.stripe.end(held)

    answer = billing.post(route, {"price": "monthly"} if route == "change-plan" else None)

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")


def test_a_dearer_plan_is_paid_at_once_and_a_cheaper_one_credited(billing: Billing) -> None:
    monthly, yearly = billing.sell(), billing.sell("year", 15_000)
    held = billing.subscribe(monthly)

    up = billing.post("change-plan", {"price": "yearly"})
    down = billing.post("change-plan", {"price": "monthly"})
    same = billing.post("change-plan", {"price": "monthly"})

    first, second = billing.stripe.posts(f"/v1/subscriptions/{held['id']}")
    assert first.params["payment_behavior"] == "error_if_incomplete"
    assert first.params["proration_behavior"] == "always_invoice"
    assert second.params["proration_behavior"] == "create_prorations"
    assert "payment_behavior" not in second.params
    assert up.json["price_ids"] == [yearly["id"]]
    assert down.json["price_ids"] == same.json["price_ids"] == [monthly["id"]]


def test_the_callers_key_goes_on_to_stripe_under_the_accounts_name(billing: Billing) -> None:
    held = billing.subscribe(billing.sell())

    billing.post("cancel", key="please")

    (asked,) = billing.stripe.posts(f"/v1/subscriptions/{held['id']}")
    assert asked.key is not None
    assert "please" not in asked.key
    assert len(asked.key) == 64


def test_who_asked_stripe_for_what_is_written_down(billing: Billing) -> None:
    billing.subscribe(billing.sell())

    billing.post("cancel")
    billing.post("resume")

    query = (
        "select action, actor_id from app.audit_events where action like 'billing%%' order by id"
    )
    found = [(row["action"], row["actor_id"]) for row in rows(billing.database, query)]
    assert found == [("billing.cancellation_asked", USER), ("billing.resumption_asked", USER)]


# ---- Stripe's errors ----------------------------------------------------------------------------


def test_a_declined_card_is_a_conflict_that_says_why(billing: Billing) -> None:
    billing.sell("year", 15_000)
    billing.subscribe(billing.sell())
    billing.stripe.gate = once_posted(billing.stripe, vendor.declined())

    answer = billing.post("change-plan", {"price": "yearly"})

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert answer.json["message"] == "The payment was declined; nothing was changed."
    assert answer.json["details"] == [
        {"field": "payment", "message": "insufficient_funds: Your card has insufficient funds."}
    ]


def once_posted(stripe: Stripe, plan: Plan) -> Callable[[vendor.Request], None]:
    def fail(request: vendor.Request) -> None:
        stripe.plans = [plan] if request.method == "POST" else []

    return fail


BUSY: Final = Plan(
    429,
    {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "slow down"}},
    {"Retry-After": "33"},
)
OUTAGES: Final = {
    "down": (Plan(500), "5"),
    "unavailable": (Plan(503), "5"),
    "busy": (BUSY, "33"),
    "cut": (Plan(cut=True), "5"),
    "late": (Plan(200, {}, delay=1.3), "5"),
    "no JSON": (Plan(200, "<html>gateway</html>"), "5"),
    "a list": (Plan(200, []), "5"),
    "another thing": (Plan(200, {"object": "teapot"}), "5"),
    "half a list": (Plan(200, {"object": "list", "data": [{"id": 7}]}), "5"),
    "wrong error": (Plan(400, {"error": "no"}), "5"),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_stripes_outage_is_unavailable_and_never_an_error_of_ours(
    billing: Billing, name: str
) -> None:
    plan, wait = OUTAGES[name]
    billing.subscribe(billing.sell())
    billing.stripe.plans = [plan] * 4

    answer = billing.post("cancel")

    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE"), answer.text
    assert answer.headers["Retry-After"] == wait


def test_a_short_outage_is_not_noticed(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    billing.stripe.plans = [Plan(503)]

    assert billing.post("cancel").status == 200


def test_while_stripe_keeps_failing_it_is_left_alone(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    billing.stripe.plans = [Plan(503)] * 100

    statuses = {billing.post("cancel").status for _ in range(5)}
    asked = len(billing.stripe.requests)
    last = billing.post("cancel")

    assert statuses == {503}
    assert (last.status, len(billing.stripe.requests)) == (503, asked)
    assert int(last.headers["Retry-After"]) > 30


BRIEF: Final = Plan(
    429,
    {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "slow down"}},
    {"Retry-After": "1"},
)


def test_a_short_retry_after_is_waited_for_and_the_call_made_again(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    billing.stripe.plans = [BRIEF]
    asked: list[float] = []
    billing.stripe.gate = lambda _: asked.append(time.monotonic())

    answer = billing.post("cancel")

    assert answer.status == 200, answer.text
    assert 1 <= asked[1] - asked[0] < 3


def test_a_retry_after_beyond_the_deadline_is_told_and_not_waited_for(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    billing.stripe.plans = [BUSY]
    started = time.monotonic()

    answer = billing.post("cancel")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "33")
    assert time.monotonic() - started < 5
    assert len(billing.stripe.requests) == 1


def breaker(billing: Billing) -> Any:
    (row,) = rows(billing.database, "select phase, since, good from ops.breakers")
    return row


def later(billing: Billing, seconds: int) -> None:
    """So many seconds pass, for a process that has just begun."""
    with psycopg.connect(billing.database.owner_url) as connection:
        moved = "update ops.breakers set since = since - make_interval(secs => %s)"
        connection.execute(moved, [seconds])
    breakers.forget()


def open_breaker(billing: Billing) -> None:
    billing.stripe.plans = [Plan(500)] * 100
    assert {billing.post("cancel").status for _ in range(5)} == {503}
    billing.stripe.plans = []
    assert breaker(billing)["phase"] == "open"


def test_an_open_breaker_answers_at_once_with_the_standard_body(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    open_breaker(billing)
    asked = len(billing.stripe.requests)

    answer = billing.post("cancel")

    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.json.keys() == {"code", "message", "details", "request_id"}
    assert 30 < int(answer.headers["Retry-After"]) <= 60
    assert len(billing.stripe.requests) == asked
    assert billing.get()["plan"]["key"] == "premium"  # what needs no Stripe goes on


def test_after_a_minute_probes_try_stripe_and_close_the_breaker(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    open_breaker(billing)
    later(billing, 61)

    first = billing.post("cancel")  # two calls, each a probe
    between = breaker(billing)
    second = billing.post("cancel")

    assert (first.status, second.status) == (200, 200)
    assert (between["phase"], between["good"]) == ("half_open", 2)
    assert breaker(billing)["phase"] == "closed"
    moves = "select from_phase, to_phase, reason from ops.breaker_transitions order by occurred_at"
    assert [tuple(row.values()) for row in rows(billing.database, moves)] == [
        ("closed", "open", "calls"),
        ("open", "half_open", "time"),
        ("half_open", "closed", "probe"),
    ]


def test_a_probe_that_fails_opens_it_for_another_minute(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    open_breaker(billing)
    later(billing, 61)
    billing.stripe.plans = [Plan(500)] * 4
    asked = len(billing.stripe.requests)

    answer = billing.post("cancel")

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 30
    assert len(billing.stripe.requests) == asked + 1
    assert breaker(billing)["phase"] == "open"


def leases_held(billing: Billing) -> int:
    return len(rows(billing.database, "select 1 from ops.leases"))


def test_a_call_of_stripe_holds_a_lease_meanwhile(billing: Billing) -> None:
    billing.subscribe(billing.sell())
    held: list[int] = []
    billing.stripe.gate = lambda _: held.append(leases_held(billing))

    answer = billing.post("cancel")

    assert (answer.status, held, leases_held(billing)) == (200, [1, 1], 0)


def test_when_as_many_as_may_ask_stripe_do_so_the_next_is_told_to_come_back(
    billing: Billing,
) -> None:
    billing.subscribe(billing.sell())
    with psycopg.connect(billing.database.owner_url) as connection:
        connection.execute("update ops.tiers set maximum = 1, burst = 1 where key = 'free'")

    with leases.held("dependency:stripe", seconds=60):
        refused = billing.post("cancel")
        asked = len(billing.stripe.requests)
    after = billing.post("cancel")

    assert (refused.status, refused.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert (refused.headers["Retry-After"], asked) == ("5", 0)
    assert after.status == 200


def test_what_stripe_refuses_is_a_conflict_without_its_words(billing: Billing) -> None:
    price = billing.sell()
    billing.stripe.prices[price["id"]]["active"] = False  # the event has not arrived

    answer = billing.post("checkout", MONTHLY)

    assert answer.status == 409
    assert answer.json["message"] == "Stripe refuses this: price_inactive."


def test_a_rolled_key_is_fetched_again(billing: Billing, amazon_services: amazon.Aws) -> None:
    billing.subscribe(billing.sell())
    assert billing.post("resume").status == 200
    billing.stripe.api_key = "sk_test_2"
    amazon_services.give(SECRET, {"api_key": "sk_test_2"})

    assert billing.post("cancel").status == 200


@pytest.mark.parametrize("secret", [{"api_key": "sk_wrong"}, {}, {"api_key": "ü"}, None])
def test_without_a_good_key_billing_is_unavailable(
    billing: Billing, amazon_services: amazon.Aws, secret: Any
) -> None:
    billing.subscribe(billing.sell())
    amazon_services.secrets.clear()
    if secret is not None:
        amazon_services.give(SECRET, secret)
    secrets.forget()

    answer = billing.post("cancel")

    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")


# ---- reconcile ----------------------------------------------------------------------------------


@pytest.fixture
def admin(billing: Billing) -> Billing:
    billing.get_founded()
    with psycopg.connect(billing.database.owner_url) as connection:
        grant = "insert into app.user_roles (user_id, role) values (%s, 'admin')"
        connection.execute(grant, [USER])
    return billing


def test_only_an_operator_reads_all_of_stripe(billing: Billing) -> None:
    assert billing.post("reconcile").status == 403
    assert billing.stripe.requests == []


def test_a_reconcile_brings_what_no_event_brought(admin: Billing) -> None:
    price = admin.stripe.sell()
    customer = of.customer(ACCOUNT)
    admin.stripe.customers[customer["id"]] = customer
    held = admin.stripe.subscribe(customer["id"], price)
    admin.stripe.now = of.EPOCH + 600

    answer = admin.post("reconcile", {})

    assert answer.status == 200, answer.text
    assert answer.json["run"]["status"] == "done"
    assert {found["kind"]: found["decided"] for found in answer.json["differences"]} == {
        "product.missing_here": "applied",
        "price.missing_here": "applied",
        "customer.missing_here": "applied",
        "subscription.missing_here": "applied",
    }
    said = admin.get()
    assert said["plan"]["key"] == "premium"
    assert said["billing"]["subscription_id"] == held["id"]
    assert said["sync"]["last_reconcile_at"] is not None


def test_the_hourly_tick_goes_on_by_itself(admin: Billing) -> None:
    admin.stripe.sell()

    answer = lambda_handler({"source": "aws.scheduler"}, LambdaContext())

    assert answer == {"status": "done", "differences": 2}


def test_where_stripe_is_not_set_up_the_tick_says_so(
    billing: Billing, amazon_services: amazon.Aws
) -> None:
    amazon_services.secrets.clear()

    answer = lambda_handler({"source": "aws.scheduler"}, LambdaContext())

    assert answer == {"status": "not_set_up", "differences": None}


def test_a_reconcile_that_stripe_cuts_short_says_so_and_goes_on_later(admin: Billing) -> None:
    admin.stripe.sell()
    admin.stripe.plans = [Plan(503)] * 2

    failed = admin.post("reconcile", {})
    again = admin.post("reconcile", {})

    assert failed.status == 503
    assert (again.status, again.json["run"]["status"]) == (200, "done")


def test_the_committed_event_is_a_request_of_this_door(stripe: Stripe, issuer: Issuer) -> None:
    event = load_event("subscription_status")
    event["headers"]["authorization"] = f"Bearer {issuer.token(USER, ACCOUNT)}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 200

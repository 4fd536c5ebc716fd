"""Invoices and deposits at Stripe, in the contractor's own account: asked for through the doors,
brought there by the worker, paid by Stripe's events."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any, Final

import pytest

from functions.invoice_manager.app import lambda_handler
from quotekit.resilience import breakers
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Answer,
    Client,
    Issuer,
    LambdaContext,
)
from tests.functions.test_invoice_manager import (  # noqa: F401 fixture
    OPTIONAL,
    Office,
    choose_on_page,
    office,
)
from tests.functions.test_quote_processor import LINE
from tests.functions.test_subscription_status import amazon_services, stripe  # noqa: F401 fixtures
from tests.integration.test_billing_effects import OTHER, apply
from tests.vendors import aws as amazon
from tests.vendors import stripe_connect as connect
from tests.vendors import stripe_objects as of
from tests.vendors.stripe import Plan, Request, Stripe
from tests.vendors.stripe_connect import Connected
from tests.vendors.stripe_objects import Json

TICK: Final = {"source": "aws.scheduler"}
BACK: Final = "https://app.test/payments"
LINKS: Final = {"return_url": BACK, "refresh_url": f"{BACK}/again"}
AT_STRIPE: Final = {"stripe": True}
DEPOSIT: Final = {"type": "amount", "value": "70"}


@dataclass
class Shop:
    """A contractor whose clients pay at Stripe."""

    office: Office
    stripe: Stripe
    call: Client

    @property
    def theirs(self) -> Connected:
        (only,) = self.stripe.connected.values()
        return only

    def connect(self, **links: str) -> Answer:
        return self.call("POST", "/v1/payments/connect", LINKS | links)

    def standing(self) -> Any:
        return self.call("GET", "/v1/payments/connect").json

    def ready(self) -> None:
        """Connected, and Stripe's event says that all is well."""
        assert self.connect().status == 201
        self.tell("account.updated", connect.ready(self.stripe.accounts[self.theirs.id]))

    def tell(self, kind: str, thing: Json, later: int = 0, **over: Any) -> str:
        """Stripe's event about a thing of the connected account arrives."""
        when = self.stripe.time + later
        (outcome,) = apply(of.event(kind, thing, when, **{"account": self.theirs.id} | over))
        return outcome.state

    def tick(self) -> dict[str, Any]:
        return lambda_handler(TICK, LambdaContext())

    def hurry(self) -> None:
        """As if the time had come."""
        self.office.run("update app.stripe_invoices set due_at = now() where due_at is not null")
        breakers.forget()
        self.office.run("update ops.breakers set phase = 'closed', since = now()")

    def deposit(self, quote_id: str, url: str = BACK) -> Answer:
        return self.call("POST", f"/v1/quotes/{quote_id}/deposit-link", {"return_url": url})

    def invoice(self, **changes: Any) -> Any:
        """One that its client has got from Stripe."""
        made = self.office.made(AT_STRIPE, **changes)
        assert self.tick()["placed"] == 1
        return self.office.get(made["id"])


@pytest.fixture
def shop(
    office: Office,  # noqa: F811
    stripe: Stripe,  # noqa: F811
    issuer: Issuer,
    environment: pytest.MonkeyPatch,
) -> Shop:
    environment.setenv("AWS_ACCESS_KEY_ID", amazon.KEY)  # moto has set its own
    environment.setenv("AWS_SECRET_ACCESS_KEY", amazon.SECRET_KEY)
    call = Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/payments/connect")
    return Shop(office, stripe, call)


@pytest.fixture
def open_shop(shop: Shop) -> Shop:
    found(shop)
    shop.ready()
    return shop


def found(shop: Shop) -> None:
    shop.office.run("insert into app.accounts (id) values (%s) on conflict do nothing", ACCOUNT)
    member = """insert into app.members (account_id, user_id, role) values (%s, %s, 'owner')
        on conflict do nothing"""
    shop.office.run(member, ACCOUNT, USER)


# ---- connecting ---------------------------------------------------------------------------------


def test_before_anything_is_connected_all_is_null_with_a_reason(shop: Shop) -> None:
    said = shop.standing()

    assert said["reason"] == "No account at Stripe is connected."
    assert {said[name] for name in said if name != "reason"} == {None}


def test_connecting_makes_one_standard_account_and_a_new_link_each_time(shop: Shop) -> None:
    found(shop)

    first, second = shop.connect(), shop.connect()

    assert (first.status, second.status) == (201, 201), first.text
    (account,) = shop.stripe.accounts.values()
    assert (account["type"], account["metadata"]) == ("standard", {"account_id": str(ACCOUNT)})
    assert first.json["url"] != second.json["url"]
    assert first.json["url"].startswith("https://connect.stripe.com/")
    said = shop.standing()
    assert said == first.json["account"] == second.json["account"]
    assert (said["id"], said["charges_enabled"]) == (account["id"], False)
    assert said["requirements"]["currently_due"] == ["business_profile.url", "external_account"]
    assert said["observed_at"] is not None
    assert shop.office.actions() == ["payments.connected"]


def test_what_the_account_may_do_follows_stripes_events_in_any_order(shop: Shop) -> None:
    found(shop)
    shop.connect()
    account = shop.stripe.accounts[shop.theirs.id]

    states = [
        shop.tell("account.updated", connect.ready(account), later=5),
        shop.tell("account.updated", account, later=3),
    ]

    assert states == ["applied", "stale"]
    said = shop.standing()
    assert (said["charges_enabled"], said["details_submitted"]) == (True, True)


def test_a_contractor_who_leaves_can_connect_again(open_shop: Shop) -> None:
    first = open_shop.theirs.id

    left = open_shop.tell("account.application.deauthorized", {"id": "ca_1"})
    between = open_shop.standing()
    open_shop.stripe.connected.clear()
    again = open_shop.connect()

    assert left == "applied"
    assert between["reason"] == "The account at Stripe was disconnected."
    assert again.json["account"]["id"] not in {None, first}
    assert again.json["account"]["disconnected_at"] is None


def test_only_who_manages_the_account_connects_it(shop: Shop, issuer: Issuer) -> None:
    found(shop)
    colleague = member(shop, issuer, "member")

    assert colleague("POST", "/v1/payments/connect", LINKS).status == 403
    assert shop.stripe.requests == []


def member(shop: Shop, issuer: Issuer, role: str) -> Client:
    """Somebody else in the same account."""
    joined = "insert into app.members (account_id, user_id, role) values (%s, %s, %s)"
    shop.office.run(joined, ACCOUNT, OTHER_USER, role)
    return Client(lambda_handler, issuer.token(OTHER_USER, ACCOUNT), shop.call.route)


@pytest.mark.parametrize("url", ["https://evil.test/", "javascript:alert(1)", "https://app.test@x"])
def test_stripe_sends_nobody_to_a_strange_place(shop: Shop, url: str) -> None:
    found(shop)

    assert shop.connect(return_url=url).status == 422
    assert shop.connect(refresh_url=url).status == 422
    assert shop.deposit(shop.office.accepted(deposit=DEPOSIT), url).status == 422


# ---- an invoice at Stripe -----------------------------------------------------------------------


def test_an_invoice_goes_to_its_client_line_by_line_in_the_contractors_account(
    open_shop: Shop,
) -> None:
    discount = {"type": "amount", "value": "30"}
    items = [LINE, LINE | {"name": "Travel", "quantity": "1"}, OPTIONAL]
    made = open_shop.office.made(AT_STRIPE, line_items=items, discount=discount)
    before = made["stripe"]["status"]

    counts = open_shop.tick()

    assert before == "pending"
    assert counts == {"status": "done", "placed": 1, "put_off": 0, "failed": 0}
    (held,) = open_shop.theirs.invoices.values()
    lines = [(line["description"], line["amount"]) for line in held["lines"]["data"]]
    assert lines == [
        ("Work · 2 h", 20000),
        ("Travel · 1 h", 10000),
        ("Discount", -3000),
        ("Tax 10 %", 2700),
    ]
    assert held["total"] == 29700
    assert (made["total"], held["currency"]) == ("297.00", "usd")
    assert held["collection_method"] == "send_invoice"
    assert held["metadata"] == {
        "account_id": str(ACCOUNT),
        "quote_id": made["quote_id"],
        "invoice_id": made["id"],
    }
    ends = date.fromisoformat(made["due_date"]) + timedelta(days=1)
    assert held["due_date"] == datetime(*ends.timetuple()[:3], tzinfo=UTC).timestamp() - 1
    assert open_shop.theirs.sent == [held["id"]]
    said = open_shop.office.get(made["id"])["stripe"]
    assert (said["status"], said["id"], said["url"]) == (
        *("open", held["id"]),
        held["hosted_invoice_url"],
    )
    assert said["sent_at"] is not None
    assert open_shop.office.actions()[-1] == "invoice.sent"


def test_no_call_about_a_homeowner_is_made_in_our_own_account(open_shop: Shop) -> None:
    """Our account's are two: a contractor's account, and the link to it."""
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    assert open_shop.deposit(quote_id).status == 200
    made = open_shop.office.invoice(quote_id, AT_STRIPE).json
    assert open_shop.tick()["placed"] == 1
    assert open_shop.office.void(made["id"]).status == 200
    open_shop.tick()

    ours = {one.path for one in open_shop.stripe.requests if one.account is None}
    others = [one.account for one in open_shop.stripe.requests if one.account is not None]

    assert ours == {"/v1/accounts", "/v1/account_links"}
    assert set(others) == {open_shop.theirs.id}
    assert len(others) > 8


def test_a_client_is_one_customer_however_many_invoices_he_gets(open_shop: Shop) -> None:
    for _ in range(2):
        open_shop.invoice()

    (customer,) = open_shop.theirs.customers.values()
    assert (customer["email"], customer["name"]) == ("grace@example.com", "Grace Hopper")


def test_a_customer_of_the_contractors_own_is_used(open_shop: Shop) -> None:
    known = open_shop.theirs.make_customer({"email": "grace@example.com", "name": "G."})

    open_shop.invoice()

    assert [held["customer"] for held in open_shop.theirs.invoices.values()] == [known["id"]]


@pytest.mark.parametrize(
    ("currency", "cost", "total", "minor"),
    [("JPY", "500", "1375", 1375), ("USD", "0.01", "0.02", 2), ("KWD", "0.8", "2.200", 2200)],
)
def test_amounts_are_in_the_currencys_own_minor_unit(
    open_shop: Shop, currency: str, cost: str, total: str, minor: int
) -> None:
    items = [LINE | {"unit_cost": cost}]

    made = open_shop.office.made(AT_STRIPE, currency=currency, line_items=items)

    open_shop.tick()
    (held,) = open_shop.theirs.invoices.values()
    assert (held["currency"], made["total"], held["total"]) == (currency.lower(), total, minor)


@pytest.mark.parametrize(
    ("currency", "cost"),
    [("ISK", "80"), ("UGX", "80"), ("MGA", "80"), ("CLF", "80"), ("KWD", "1.02")],
)
def test_what_stripe_counts_by_other_rules_is_not_asked_of_it(
    open_shop: Shop, currency: str, cost: str
) -> None:
    items = [LINE | {"unit_cost": cost}]
    quote_id = open_shop.office.accepted(currency=currency, line_items=items)

    refused = open_shop.office.invoice(quote_id, AT_STRIPE)

    assert refused.status == 409, refused.text
    assert open_shop.office.quotes("GET", f"/v1/quotes/{quote_id}").json["status"] == "accepted"
    assert open_shop.office.invoice(quote_id).status == 201  # without Stripe


def test_without_an_account_that_takes_payments_nothing_is_made(shop: Shop) -> None:
    found(shop)
    quote_id = shop.office.accepted()

    before = shop.office.invoice(quote_id, AT_STRIPE)
    shop.connect()
    not_yet = shop.office.invoice(quote_id, AT_STRIPE)

    assert (before.status, not_yet.status) == (409, 409)
    assert "POST /v1/payments/connect first" in before.json["message"]
    assert "does not let" in not_yet.json["message"]
    assert shop.office.listed()["data"] == []


def test_a_quote_without_an_address_needs_one(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(client={"name": "Ada"})

    refused = open_shop.office.invoice(quote_id, AT_STRIPE)
    made = open_shop.office.invoice(quote_id, AT_STRIPE | {"email": "ada@example.com"})

    assert [item["field"] for item in refused.json["details"]] == ["email"]
    assert made.json["stripe"]["recipient"] == "ada@example.com"


def test_nothing_is_asked_of_stripe_inside_a_transaction(open_shop: Shop) -> None:
    """While Stripe is asked, nobody in the database is in the middle of something."""
    busy: list[int] = []
    query = """select count(*) as n from pg_stat_activity where datname = current_database()
        and state like 'idle in transaction%%' and pid <> pg_backend_pid()"""
    open_shop.stripe.gate = lambda _: busy.append(open_shop.office.rows(query)[0]["n"])

    open_shop.invoice()

    assert len(busy) == 7
    assert set(busy) == {0}


# ---- killed, late, wrong, twice, never ----------------------------------------------------------


class KilledError(BaseException):
    """The process is gone."""


def killed_at(shop: Shop, number: int) -> Callable[[Request], None]:
    """The next `number`th request takes effect, and its answer finds nobody."""
    seen: list[Request] = []

    def gate(request: Request) -> None:
        seen.append(request)
        if len(seen) == number:
            shop.stripe.plans = [Plan(cut=True, after=True)]

    return gate


@pytest.mark.parametrize("number", range(1, 8))
def test_killed_after_any_call_the_next_attempt_ends_with_one_invoice_sent_once(
    open_shop: Shop, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quotekit.billing import client

    made = open_shop.office.made(AT_STRIPE)
    real = client.Stripe._try
    calls: list[str] = []

    def dies(self: Any, method: str, path: str, params: Any, key: Any) -> Any:
        answer = real(self, method, path, params, key)
        calls.append(path)
        if len(calls) == number:
            raise KilledError
        return answer

    monkeypatch.setattr(client.Stripe, "_try", dies)
    with pytest.raises(KilledError):
        open_shop.tick()
    nobody = open_shop.tick()
    open_shop.hurry()
    after = open_shop.tick()

    assert nobody["placed"] == 0  # the lease of the dead one holds
    assert after["placed"] == 1
    (held,) = open_shop.theirs.invoices.values()
    assert (held["status"], held["total"]) == ("open", 22000)
    assert len(open_shop.theirs.customers) == 1
    assert open_shop.theirs.sent == [held["id"]]
    assert open_shop.office.get(made["id"])["stripe"]["status"] == "open"


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize(
    "plans",
    [[Plan(cut=True, after=True)] * 2, [Plan(500)] * 2, [Plan(503, after=True)] * 2],
    ids=["answer lost", "kept failure", "failure after effect"],
)
def test_however_stripe_fails_there_is_one_invoice_in_the_end(
    open_shop: Shop, number: int, plans: list[Plan]
) -> None:
    made = open_shop.office.made(AT_STRIPE)
    seen: list[Request] = []

    def gate(request: Request) -> None:
        seen.append(request)
        if len(seen) == number:
            open_shop.stripe.plans = list(plans)

    open_shop.stripe.gate = gate

    first = open_shop.tick()
    waiting = open_shop.office.get(made["id"])["stripe"]
    open_shop.hurry()
    second = open_shop.tick()

    assert (first["put_off"], second["placed"]) == (1, 1)
    assert waiting["reason"] == "Stripe does not answer; nothing is known to have changed."
    (held,) = open_shop.theirs.invoices.values()
    assert (held["status"], held["total"]) == ("open", 22000)
    assert open_shop.office.get(made["id"])["stripe"]["reason"] is None


def test_what_stripe_refuses_is_told_and_not_asked_again(open_shop: Shop) -> None:
    made = open_shop.office.made(AT_STRIPE)
    error = {"type": "invalid_request_error", "code": "email_invalid", "message": "no"}
    open_shop.stripe.plans = [Plan(), Plan(400, {"error": error})][1:]

    counts = open_shop.tick()
    again = open_shop.tick()

    assert (counts["failed"], again["placed"]) == (1, 0)
    said = open_shop.office.get(made["id"])
    assert (said["status"], said["stripe"]["status"]) == ("open", "failed")
    assert said["stripe"]["reason"] == "Stripe refuses this: email_invalid."
    assert open_shop.office.actions()[-1] == "invoice.stripe_failed"


def test_where_stripe_is_not_set_up_the_tick_says_so(
    shop: Shop,
    amazon_services: Any,  # noqa: F811
) -> None:
    amazon_services.secrets.clear()

    assert shop.tick() == {"status": "not_set_up"}


# ---- paid, failed, voided -----------------------------------------------------------------------


def test_a_paid_invoice_is_paid_once_however_often_it_is_told(open_shop: Shop) -> None:
    made = open_shop.invoice()
    held = open_shop.theirs.pay(made["stripe"]["id"])

    states = [
        open_shop.tell("invoice.paid", held, later=3),
        open_shop.tell("invoice.payment_succeeded", held, later=3),
        open_shop.tell("invoice.finalized", held | {"status": "open"}, later=1),
        open_shop.tell("invoice.payment_failed", held | {"status": "open"}, later=2),
    ]

    assert states == ["applied", "stale", "stale", "stale"]
    said = open_shop.office.get(made["id"])
    assert (said["status"], said["amount_paid"], said["amount_due"]) == ("paid", "220.00", "0.00")
    assert [(row["method"], row["amount"]) for row in said["payments"]] == [("stripe", "220.00")]
    assert said["stripe"]["status"] == "paid"
    assert open_shop.office.actions().count("invoice.paid") == 1


def test_events_end_the_same_in_any_order(open_shop: Shop) -> None:
    made = open_shop.invoice()
    name = made["stripe"]["id"]
    opened = dict(open_shop.theirs.invoices[name])
    paid = dict(open_shop.theirs.pay(name))
    now = open_shop.stripe.time + 1
    events = [
        ("invoice.finalized", opened, now),
        ("invoice.payment_failed", opened, now),
        ("invoice.paid", paid, now),
        ("invoice.payment_succeeded", paid, now + 1),
    ]
    ends = set()
    for order in permutations(events):
        open_shop.office.run("delete from app.payments")
        open_shop.office.run("alter table app.invoices disable trigger user")
        open_shop.office.run(
            "update app.invoices set status = 'open', amount_paid = 0, paid_at = null"
        )
        open_shop.office.run("alter table app.invoices enable trigger user")
        open_shop.office.run(
            "update app.stripe_invoices set status = 'open', final = false, as_of = 'epoch'"
        )
        for kind, thing, when in order:
            apply(of.event(kind, thing, when, account=open_shop.theirs.id))
        said = open_shop.office.get(made["id"])
        ends.add((said["status"], said["amount_paid"], said["stripe"]["status"]))

    assert ends == {("paid", "220.00", "paid")}


def test_an_event_that_overtakes_the_worker_is_not_lost(
    open_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid before we wrote down what Stripe called it."""
    made = open_shop.office.made(AT_STRIPE)
    open_shop.tick()
    (held,) = open_shop.theirs.invoices.values()
    forget = """update app.stripe_invoices set id = null, status = 'pending', as_of = 'epoch',
        as_of_rank = 0, due_at = now()"""
    open_shop.office.run(forget)

    state = open_shop.tell("invoice.paid", open_shop.theirs.pay(held["id"]))
    open_shop.tick()

    assert state == "applied"
    said = open_shop.office.get(made["id"])
    assert (said["status"], said["stripe"]["id"]) == ("paid", held["id"])
    assert len(open_shop.theirs.invoices) == 1


def test_a_failed_payment_leaves_the_invoice_open_and_says_when(open_shop: Shop) -> None:
    made = open_shop.invoice()
    held = open_shop.theirs.invoices[made["stripe"]["id"]]

    open_shop.tell("invoice.payment_failed", held, later=2)

    said = open_shop.office.get(made["id"])
    assert (said["status"], said["amount_paid"]) == ("open", "0.00")
    assert said["stripe"]["payment_failed_at"] is not None


def test_what_is_given_up_can_still_be_paid(open_shop: Shop) -> None:
    made = open_shop.invoice()
    name = made["stripe"]["id"]

    open_shop.tell(
        "invoice.marked_uncollectible", open_shop.theirs.become(name, "uncollectible"), later=1
    )
    given_up = open_shop.office.get(made["id"])["status"]
    open_shop.tell("invoice.paid", open_shop.theirs.pay(name), later=2)

    assert given_up == "uncollectible"
    assert open_shop.office.get(made["id"])["status"] == "paid"


def test_voided_at_stripe_is_void_here(open_shop: Shop) -> None:
    made = open_shop.invoice()

    open_shop.tell("invoice.voided", open_shop.theirs.become(made["stripe"]["id"], "void"), later=1)

    said = open_shop.office.get(made["id"])
    assert (said["status"], said["stripe"]["status"]) == ("void", "void")


def test_voided_here_is_void_at_stripe(open_shop: Shop) -> None:
    made = open_shop.invoice()

    answer = open_shop.office.void(made["id"])
    open_shop.tick()

    assert (answer.status, answer.json["status"]) == (200, "void")
    assert [held["status"] for held in open_shop.theirs.invoices.values()] == ["void"]
    assert open_shop.office.get(made["id"])["stripe"]["status"] == "void"


def test_void_before_the_worker_came_nothing_is_sent(open_shop: Shop) -> None:
    made = open_shop.office.made(AT_STRIPE)

    assert open_shop.office.void(made["id"]).status == 200
    open_shop.tick()

    assert open_shop.theirs.invoices == {}
    assert open_shop.office.get(made["id"])["stripe"]["reason"] == "The invoice is void."


def test_what_the_client_has_just_paid_cannot_be_voided(open_shop: Shop) -> None:
    made = open_shop.invoice()
    open_shop.theirs.pay(made["stripe"]["id"])  # its event is on the way

    answer = open_shop.office.void(made["id"])

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert open_shop.office.get(made["id"])["status"] == "open"


def test_cash_is_not_taken_for_what_can_be_paid_at_stripe_too(open_shop: Shop) -> None:
    made = open_shop.invoice()

    answer = open_shop.office.pay(made["id"], "220")

    assert answer.status == 409
    assert "mark it paid there" in answer.json["message"]


# ---- of another account -------------------------------------------------------------------------


def test_an_event_of_another_connected_account_touches_nothing(open_shop: Shop) -> None:
    """Another contractor names our invoice in his metadata, or even by Stripe's id."""
    made = open_shop.invoice()
    held = open_shop.theirs.pay(made["stripe"]["id"])
    other = "acct_other"
    open_shop.office.run("insert into app.accounts (id) values (%s)", OTHER)
    known = "insert into app.connected_accounts (account_id, id) values (%s, %s)"
    open_shop.office.run(known, OTHER, other)

    states = [
        open_shop.tell("invoice.paid", held, account=other),
        open_shop.tell("invoice.paid", held | {"id": "in_theirs"}, account=other),
        open_shop.tell("invoice.voided", held | {"status": "void"}, account=other),
        open_shop.tell("invoice.paid", held, account="acct_nobody"),
    ]

    assert set(states) == {"ignored"}
    said = open_shop.office.get(made["id"])
    assert (said["status"], said["amount_paid"]) == ("open", "0.00")


def test_a_connected_account_cannot_give_itself_a_plan(open_shop: Shop) -> None:
    """In his own account a contractor makes what in ours would be a subscription of QuoteKit."""
    product = of.product()
    price = of.price(product["id"])
    customer = of.customer(ACCOUNT)
    held = of.subscription(customer["id"], price)

    states = [
        open_shop.tell(kind, thing)
        for kind, thing in (
            ("product.created", product),
            ("price.created", price),
            ("customer.created", customer),
            ("customer.subscription.created", held),
            ("checkout.session.completed", of.session(customer["id"], ACCOUNT)),
            ("invoice.paid", of.invoice(customer["id"], held["id"])),
        )
    ]

    assert set(states) == {"ignored"}
    assert open_shop.office.rows("select app.plan_key(%s) as key", ACCOUNT) == [{"key": "free"}]
    for table in ("stripe_customers", "stripe_products", "billing_history"):
        assert open_shop.office.rows(f"select 1 from app.{table}") == []


# ---- the deposit --------------------------------------------------------------------------------


def test_a_deposit_is_paid_in_the_contractors_account_and_carried_into_the_invoice(
    open_shop: Shop,
) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)

    link = open_shop.deposit(quote_id)
    (session,) = open_shop.theirs.sessions.values()
    before = open_shop.office.rows("select 1 from app.payments")
    open_shop.tell("checkout.session.completed", open_shop.theirs.complete(session["id"]))

    assert (link.status, link.json["url"]) == (
        200,
        f"https://checkout.stripe.com/c/pay/{session['id']}",
    )
    assert (link.json["amount"], session["amount_total"]) == ("70.00", 7000)
    assert before == []
    made = open_shop.office.invoice(quote_id, AT_STRIPE).json
    assert (made["deposit_paid"], made["amount_due"]) == ("70.00", "150.00")
    open_shop.tick()
    (held,) = open_shop.theirs.invoices.values()
    assert held["total"] == 15000
    assert held["lines"]["data"][-1]["description"] == "Paid already"
    assert open_shop.deposit(quote_id).json["message"] == "The deposit is paid."


def test_a_deposit_is_of_what_the_client_took(open_shop: Shop) -> None:
    half = {"type": "percent", "value": "50"}

    link = open_shop.deposit(choose_on_page(open_shop.office, deposit=half))

    assert (link.status, link.json["amount"]) == (200, "220.00")


def test_a_deposit_asked_for_again_is_the_same_checkout(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)

    first = open_shop.deposit(quote_id)
    open_shop.office.run("update app.deposits set url = null, session_id = null, status = 'asked'")
    second = open_shop.deposit(quote_id, f"{BACK}?other")  # killed before it was written down
    third = open_shop.deposit(quote_id)

    assert first.json == second.json == third.json
    assert len(open_shop.theirs.sessions) == 1


def test_after_an_expired_checkout_there_is_another(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    open_shop.deposit(quote_id)
    (session,) = open_shop.theirs.sessions.values()

    open_shop.tell("checkout.session.expired", open_shop.theirs.expire(session))
    again = open_shop.deposit(quote_id)

    assert again.status == 200
    assert len(open_shop.theirs.sessions) == 2


def test_a_payment_that_takes_days_counts_when_it_has_come(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    open_shop.deposit(quote_id)
    (session,) = open_shop.theirs.sessions.values()

    open_shop.tell(
        "checkout.session.completed", open_shop.theirs.complete(session["id"], "unpaid"), later=1
    )
    meanwhile = open_shop.deposit(quote_id)
    paid = session | {"payment_status": "paid"}
    open_shop.tell("checkout.session.async_payment_succeeded", paid, later=2)
    late = open_shop.tell("checkout.session.completed", session, later=1)

    assert meanwhile.json["message"].startswith("The deposit is on its way")
    assert late == "stale"
    rows = open_shop.office.rows("select kind, amount from app.payments")
    assert [(row["kind"], str(row["amount"])) for row in rows] == [("deposit", "70.0000")]


def test_an_invoice_closes_the_deposits_open_checkout(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    open_shop.deposit(quote_id)

    open_shop.office.invoice(quote_id, AT_STRIPE)
    open_shop.tick()

    assert [one["status"] for one in open_shop.theirs.sessions.values()] == ["expired"]
    assert [held["total"] for held in open_shop.theirs.invoices.values()] == [22000]


@pytest.mark.parametrize("steps", [(), ("send",), ("send", "decline")])
def test_a_deposit_is_asked_of_an_accepted_quote_only(
    open_shop: Shop, steps: tuple[str, ...]
) -> None:
    body = {"client": {"name": "G"}, "line_items": [LINE], "deposit": DEPOSIT}
    quote_id = open_shop.office.quotes("POST", "/v1/quotes", body).json["id"]
    for step in steps:
        said = {"channel": "link"} if step == "send" else None
        open_shop.office.quotes("POST", f"/v1/quotes/{quote_id}/{step}", said)

    assert open_shop.deposit(quote_id).status == 409


def test_a_quote_without_a_deposit_or_of_a_stranger_has_no_link(
    open_shop: Shop, issuer: Issuer
) -> None:
    quote_id = open_shop.office.accepted()
    stranger = Client(lambda_handler, issuer.token(OTHER_USER), open_shop.call.route)

    none = open_shop.deposit(quote_id)
    path = f"/v1/quotes/{quote_id}/deposit-link"
    theirs = stranger("POST", path, {"return_url": BACK})

    assert (none.status, none.json["message"]) == (409, "The quote asks for no deposit.")
    assert theirs.status == 404


def test_a_viewer_makes_nobody_pay_and_takes_nothing_back(open_shop: Shop, issuer: Issuer) -> None:
    made = open_shop.invoice()
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    viewer = member(open_shop, issuer, "viewer")
    asked = len(open_shop.stripe.requests)
    cash = {"amount": "1", "method": "cash"}

    answers = [
        viewer("POST", f"/v1/invoices/{made['id']}/void"),
        viewer("POST", f"/v1/invoices/{made['id']}/payments", cash),
        viewer("POST", f"/v1/quotes/{quote_id}/deposit-link", {"return_url": BACK}),
        viewer("POST", f"/v1/quotes/{quote_id}/invoice", AT_STRIPE),
        viewer("POST", "/v1/payments/connect", LINKS),
    ]

    assert {answer.status for answer in answers} == {403}
    assert len(open_shop.stripe.requests) == asked
    assert open_shop.office.get(made["id"])["status"] == "open"


def test_a_refund_is_noted_on_the_payment(open_shop: Shop) -> None:
    quote_id = open_shop.office.accepted(deposit=DEPOSIT)
    open_shop.deposit(quote_id)
    (session,) = open_shop.theirs.sessions.values()
    done = open_shop.theirs.complete(session["id"])
    open_shop.tell("checkout.session.completed", done)
    made = open_shop.office.invoice(quote_id).json

    def refund(minor: int) -> str:
        charge = of.charge("cus_1", done["payment_intent"], refunded=minor, amount=7000)
        return open_shop.tell("charge.refunded", charge)

    states = [refund(3000), refund(2000), refund(7000)]

    assert states == ["applied", "ignored", "applied"]
    (payment,) = open_shop.office.get(made["id"])["payments"]
    assert (payment["amount"], payment["refunded"]) == ("70.00", "70.00")

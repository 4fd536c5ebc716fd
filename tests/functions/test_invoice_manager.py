"""POST /v1/quotes/{id}/invoice and /v1/invoices through their door: what an accepted quote came to,
when it is due, and what was paid of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from functions.invoice_manager.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from quotekit import database as databases
from quotekit.database import SERVICE, Actor
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Answer,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)
from tests.functions.test_quote_portal import Visitor
from tests.functions.test_quote_processor import LINE, QUOTE, premium

NOWHERE: Final = "01900000-0000-7000-8000-00000000dead"
OPTIONAL: Final = LINE | {"name": "Extra", "optional": True, "selected": False}


@dataclass
class Office:
    """An owner's quotes and invoices."""

    quotes: Client
    invoices: Client
    database: Database

    def accepted(self, **changes: Any) -> str:
        """A quote that its client has accepted."""
        made = self.quotes("POST", "/v1/quotes", QUOTE | changes)
        assert made.status == 201, made.text
        quote_id: str = made.json["id"]
        for step, body in (("send", {"channel": "link"}), ("accept", None)):
            done = self.quotes("POST", f"/v1/quotes/{quote_id}/{step}", body)
            assert done.status == 200, done.text
        return quote_id

    def invoice(self, quote_id: str, body: Any = None, **headers: str) -> Answer:
        return self.invoices("POST", f"/v1/quotes/{quote_id}/invoice", body, headers=headers)

    def made(self, body: Any = None, **changes: Any) -> Any:
        answer = self.invoice(self.accepted(**changes), body)
        assert answer.status == 201, answer.text
        return answer.json

    def get(self, invoice_id: str) -> Any:
        answer = self.invoices("GET", f"/v1/invoices/{invoice_id}")
        assert answer.status == 200, answer.text
        return answer.json

    def listed(self, query: str = "") -> Any:
        answer = self.invoices("GET", "/v1/invoices", query=query)
        assert answer.status == 200, answer.text
        return answer.json

    def pay(self, invoice_id: str, amount: Any, **said: Any) -> Answer:
        body = {"amount": amount, "method": "cash"} | said
        return self.invoices("POST", f"/v1/invoices/{invoice_id}/payments", body)

    def void(self, invoice_id: str) -> Answer:
        return self.invoices("POST", f"/v1/invoices/{invoice_id}/void")

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.database.owner_url, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.database.owner_url, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def actions(self) -> list[str]:
        query = "select action from app.audit_events order by id"
        return [row["action"] for row in self.rows(query)]


@pytest.fixture
def office(database: Database, aws_services: Aws, issuer: Issuer) -> Office:
    token = issuer.token(USER, ACCOUNT)
    quotes = Client(quotes_handler, token, "ANY /v1/quotes/{proxy+}")
    invoices = Client(lambda_handler, token, "ANY /v1/invoices/{proxy+}")
    return Office(quotes, invoices, database)


@pytest.fixture
def stranger(office: Office, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), office.invoices.route)


# ---- from an accepted quote ---------------------------------------------------------------------


def test_an_accepted_quote_becomes_an_invoice_of_the_same_amounts(office: Office) -> None:
    quote_id = office.accepted(
        line_items=[LINE, OPTIONAL], deposit={"type": "percent", "value": 50}
    )
    quote = office.quotes("GET", f"/v1/quotes/{quote_id}").json

    answer = office.invoice(quote_id)

    assert answer.status == 201, answer.text
    made = answer.json
    year = datetime.now(UTC).year
    assert made["number"] == f"I-{year}-0001"
    assert (made["quote_id"], made["quote_number"]) == (quote_id, quote["number"])
    same = ("currency", "subtotal", "discount_amount", "tax_amount", "total", "tax_breakdown")
    assert {name: made[name] for name in same} == {name: quote[name] for name in same}
    assert [line["name"] for line in made["lines"]] == ["Work"]  # the other was not chosen
    assert (made["status"], made["amount_paid"], made["amount_due"]) == ("open", "0.00", "220.00")
    assert (made["stripe"], made["stripe_reason"]) == (None, "It was not asked for.")
    assert office.get(made["id"]) == made
    assert office.quotes("GET", f"/v1/quotes/{quote_id}").json["status"] == "converted"
    assert office.actions()[-2:] == ["quote.converted", "invoice.created"]


def choose_on_page(office: Office, **changes: Any) -> str:
    """A quote of which the client took the optional line on his page."""
    body = QUOTE | {"line_items": [LINE, OPTIONAL]} | changes
    quote_id: str = office.quotes("POST", "/v1/quotes", body).json["id"]
    sent = office.quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "link"}).json
    page = Visitor(sent["link"].rpartition("/")[2])
    form = {"revision": 1, "option": [2], "total": "440.00", "name": "Grace Hopper"}
    answer = page("POST", form, at="/accept")
    assert answer.status == 303, answer.text
    return quote_id


def test_what_the_client_took_on_his_page_is_what_the_invoice_says(office: Office) -> None:
    made = office.invoice(choose_on_page(office)).json

    assert [line["name"] for line in made["lines"]] == ["Work", "Extra"]
    assert (made["subtotal"], made["tax_amount"], made["total"]) == ("400.00", "40.00", "440.00")


def test_a_quote_that_was_marked_converted_before_still_becomes_one(office: Office) -> None:
    quote_id = office.accepted()
    assert office.quotes("POST", f"/v1/quotes/{quote_id}/convert").status == 200

    assert office.invoice(quote_id).status == 201


@pytest.mark.parametrize("steps", [(), ("send",), ("send", "decline")])
def test_a_quote_that_is_not_accepted_becomes_none(office: Office, steps: tuple[str, ...]) -> None:
    quote_id = office.quotes("POST", "/v1/quotes", QUOTE).json["id"]
    for step in steps:
        body = {"channel": "link"} if step == "send" else None
        office.quotes("POST", f"/v1/quotes/{quote_id}/{step}", body)

    answer = office.invoice(quote_id)

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert office.listed()["data"] == []
    assert office.rows("select 1 from app.invoice_counters") == []


def test_a_second_invoice_of_a_quote_is_refused(office: Office) -> None:
    quote_id = office.accepted()
    assert office.invoice(quote_id).status == 201

    again = office.invoice(quote_id)

    assert (again.status, again.json["message"]) == (409, "the quote has an invoice already")


def test_of_ten_at_once_one_makes_the_invoice(office: Office) -> None:
    quote_id = office.accepted()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: office.invoice(quote_id), range(10)))

    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    assert len(office.listed()["data"]) == 1


def test_the_same_idempotency_key_is_the_same_invoice(office: Office) -> None:
    quote_id = office.accepted()

    first = office.invoice(quote_id, **{"idempotency-key": "once"})
    second = office.invoice(quote_id, **{"idempotency-key": "once"})

    assert (first.status, second.status) == (201, 201)
    assert first.text == second.text


def test_numbers_have_no_gaps_however_many_are_made_at_once(office: Office) -> None:
    refused = office.quotes("POST", "/v1/quotes", QUOTE).json["id"]
    premium(office.database, ACCOUNT)
    wanted = [office.accepted() for _ in range(8)]

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(office.invoice, [*wanted, refused]))

    made = sorted(answer.json["number"] for answer in answers if answer.status == 201)
    year = datetime.now(UTC).year
    assert made == [f"I-{year}-{number:04d}" for number in range(1, 9)]


# ---- when it is due -----------------------------------------------------------------------------


def day(office: Office) -> Any:
    (row,) = office.rows("select (now() at time zone 'UTC')::date as today")
    return row["today"]


@pytest.mark.parametrize(("said", "days"), [({}, 30), ({"due_days": 0}, 0), ({"due_days": 14}, 14)])
def test_it_is_due_so_many_days_from_today(office: Office, said: Any, days: int) -> None:
    made = office.made(said)

    assert made["due_date"] == str(day(office) + timedelta(days=days))


def test_a_due_date_is_kept_whatever_happens_to_the_invoice(office: Office) -> None:
    due = str(day(office) + timedelta(days=90))
    made = office.made({"due_date": due})

    office.pay(made["id"], "20")
    office.run("update app.invoices set updated_at = now() + interval '1 year'")

    assert office.get(made["id"])["due_date"] == due
    with pytest.raises(psycopg.DatabaseError, match="cannot be changed"):
        office.run("update app.invoices set due_date = due_date + 1")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"due_date": "2001-01-01"}, "due_date"),
        ({"due_days": -1}, "due_days"),
        ({"due_days": 366}, "due_days"),
        ({"due_days": 1, "due_date": "2099-01-01"}, "body"),
        ({"email": "nobody"}, "email"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_is_refused_by_name(office: Office, said: Any, field: str) -> None:
    answer = office.invoice(office.accepted(), said)

    assert answer.status == 422
    assert [item["field"] for item in answer.json["details"]] == [field]


def test_it_is_overdue_after_midnight_where_the_account_is(office: Office) -> None:
    """Due today in Kiritimati, where it is tomorrow long before it is in Pago Pago."""
    due = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    made = office.made({"due_date": str(due)})
    place = "insert into app.company_settings (account_id, time_zone) values (%s, %s)"
    office.run(place, ACCOUNT, "Pacific/Kiritimati")
    status = "alter table app.invoices disable trigger user"
    office.run(status)
    office.run("update app.invoices set issued_on = due_date - 9")

    on_the_day = office.get(made["id"])["status"]
    office.run("update app.invoices set due_date = due_date - 1")
    after = office.get(made["id"])
    office.run("update app.company_settings set time_zone = 'Pacific/Pago_Pago'")
    elsewhere = office.get(made["id"])["status"]

    assert (on_the_day, after["status"]) == ("open", "overdue")
    assert elsewhere == "open"  # there that day has not ended
    assert office.rows("select status from app.invoices") == [{"status": "open"}]


# ---- payments -----------------------------------------------------------------------------------


def test_parts_are_paid_until_nothing_is_due(office: Office) -> None:
    made = office.made()

    first = office.pay(made["id"], "120.5", method="check", note="No. 17")
    second = office.pay(made["id"], "99.50")

    assert first.status == second.status == 201, first.text
    assert (first.json["status"], first.json["amount_due"]) == ("open", "99.50")
    paid = second.json
    assert (paid["status"], paid["amount_paid"], paid["amount_due"]) == ("paid", "220.00", "0.00")
    assert paid["paid_at"] is not None
    assert [(row["amount"], row["method"]) for row in paid["payments"]] == [
        ("120.50", "check"),
        ("99.50", "cash"),
    ]
    assert office.actions()[-2:] == ["invoice.payment_recorded"] * 2


@pytest.mark.parametrize("amount", ["220.01", "1000"])
def test_more_than_is_due_is_not_taken(office: Office, amount: str) -> None:
    made = office.made()

    answer = office.pay(made["id"], amount)

    assert (answer.status, answer.json["message"]) == (409, "no more than 220 USD is due")
    assert office.get(made["id"])["amount_paid"] == "0.00"


def test_of_two_payments_at_once_no_more_than_is_due_is_taken(office: Office) -> None:
    made = office.made()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: office.pay(made["id"], "100"), range(6)))

    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409, 409, 409]
    assert office.get(made["id"])["amount_paid"] == "200.00"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e400"}, "amount"),
        ({"method": "stripe"}, "method"),
        ({"received_on": "2999-01-01"}, "received_on"),
        ({"note": "x" * 2001}, "note"),
    ],
)
def test_a_payment_that_cannot_be_is_refused_by_name(office: Office, said: Any, field: str) -> None:
    answer = office.pay(office.made()["id"], **{"amount": "1"} | said)

    assert answer.status == 422, answer.text
    assert {item["field"] for item in answer.json["details"]} == {field}


def test_nobody_can_write_that_stripe_paid(office: Office) -> None:
    made = office.made()
    claims = {"role": "authenticated", "sub": str(USER), "account_id": str(ACCOUNT)}
    forged = """insert into app.payments (id, quote_id, invoice_id, method, amount, currency,
        received_on, note) values (%(id)s, %(quote)s, %(id)s, 'stripe', 1, 'USD', now(), '')"""
    raised = "update app.invoices set amount_paid = total where id = %(id)s"

    for statement in (forged, raised):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            databases.transaction(Actor("authenticated", claims)) as connection,
        ):
            connection.execute(statement, {"id": made["id"], "quote": made["quote_id"]})


def test_a_deposit_that_was_paid_before_is_carried_into_the_invoice(office: Office) -> None:
    quote_id = office.accepted(deposit={"type": "amount", "value": "70"})
    deposit(quote_id, "70")

    made = office.invoice(quote_id).json

    assert (made["deposit_paid"], made["amount_paid"]) == ("70.00", "70.00")
    assert (made["total"], made["amount_due"]) == ("220.00", "150.00")
    assert [row["kind"] for row in made["payments"]] == ["deposit"]
    assert office.pay(made["id"], "150.01").status == 409
    assert office.pay(made["id"], "150").json["status"] == "paid"


def test_a_deposit_that_comes_late_counts_for_the_invoice(office: Office) -> None:
    made = office.made(deposit={"type": "amount", "value": "70"})

    deposit(made["quote_id"], "70")

    after = office.get(made["id"])
    assert (after["deposit_paid"], after["amount_paid"]) == ("0.00", "70.00")
    assert after["amount_due"] == "150.00"


def test_a_deposit_of_everything_leaves_nothing_to_pay(office: Office) -> None:
    quote_id = office.accepted(deposit={"type": "percent", "value": "100"})
    deposit(quote_id, "220")

    made = office.invoice(quote_id).json

    assert (made["status"], made["amount_due"]) == ("paid", "0.00")


def deposit(quote_id: str, amount: str, session: str = "cs_1") -> None:
    """As the worker records one."""
    statement = """insert into app.payments (id, account_id, quote_id, kind, method, amount,
        currency, received_on, stripe_account_id, stripe_object_id)
        values (gen_random_uuid(), %s, %s, 'deposit', 'stripe', %s, 'USD', now(), 'acct_1', %s)"""
    with databases.transaction(SERVICE) as connection:
        connection.execute(statement, [ACCOUNT, quote_id, Decimal(amount), session])


# ---- void ---------------------------------------------------------------------------------------


def test_a_void_invoice_stays_and_its_quote_can_have_another(office: Office) -> None:
    made = office.made()

    voided = office.void(made["id"])
    again = office.void(made["id"])
    other = office.invoice(made["quote_id"])

    assert (voided.status, voided.json["status"]) == (200, "void")
    assert again.json == voided.json
    assert voided.json["voided_at"] is not None
    assert other.status == 201
    assert other.json["number"].endswith("0002")
    assert office.pay(made["id"], "1").json["message"] == "a void invoice takes no payment"
    assert office.actions().count("invoice.voided") == 1


def test_what_was_paid_of_cannot_be_voided(office: Office) -> None:
    made = office.made()
    office.pay(made["id"], "1")

    partly = office.void(made["id"])
    office.pay(made["id"], "219")
    wholly = office.void(made["id"])

    assert (partly.status, wholly.status) == (409, 409)
    assert office.get(made["id"])["status"] == "paid"


def test_a_deposit_is_carried_again_into_the_invoice_after_a_void_one(office: Office) -> None:
    quote_id = office.accepted(deposit={"type": "amount", "value": "70"})
    deposit(quote_id, "70")
    first = office.invoice(quote_id).json

    assert office.void(first["id"]).status == 200
    second = office.invoice(quote_id).json

    assert (second["deposit_paid"], second["amount_due"]) == ("70.00", "150.00")
    assert office.get(first["id"])["payments"] == []


# ---- lists and strangers ------------------------------------------------------------------------


def test_a_list_is_narrowed_and_paged(office: Office) -> None:
    made = [office.made() for _ in range(3)]
    office.void(made[0]["id"])
    office.pay(made[1]["id"], "220")

    first = office.listed("limit=2")
    rest = office.listed(f"limit=2&cursor={first['next_cursor']}")

    ids = [row["id"] for row in first["data"] + rest["data"]]
    assert ids == [row["id"] for row in reversed(made)]
    assert rest["next_cursor"] is None
    by_status = {
        status: [row["id"] for row in office.listed(f"status={status}")["data"]]
        for status in ("open", "paid", "void", "overdue", "uncollectible")
    }
    assert by_status == {
        "open": [made[2]["id"]],
        "paid": [made[1]["id"]],
        "void": [made[0]["id"]],
        "overdue": [],
        "uncollectible": [],
    }
    assert len(office.listed(f"quote_id={made[0]['quote_id']}")["data"]) == 1
    assert office.listed("from=2099-01-01")["data"] == []
    assert len(office.listed("to=2099-01-01")["data"]) == 3


@pytest.mark.parametrize("query", ["status=draft", "limit=101", "cursor=x", "from=soon"])
def test_a_list_refuses_what_it_does_not_know(office: Office, query: str) -> None:
    assert office.invoices("GET", "/v1/invoices", query=query).status == 422


def test_a_stranger_finds_nothing(office: Office, stranger: Client) -> None:
    made = office.made()
    quote_id = office.accepted()

    answers = [
        stranger("GET", f"/v1/invoices/{made['id']}"),
        stranger("POST", f"/v1/invoices/{made['id']}/void"),
        stranger(
            *("POST", f"/v1/invoices/{made['id']}/payments"), {"amount": "1", "method": "cash"}
        ),
        stranger("POST", f"/v1/quotes/{quote_id}/invoice"),
        office.invoices("GET", f"/v1/invoices/{NOWHERE}"),
    ]

    assert {answer.status for answer in answers} == {404}
    assert stranger("GET", "/v1/invoices").json["data"] == []


def test_the_committed_event_is_a_request_of_this_door(office: Office, issuer: Issuer) -> None:
    event = load_event("invoice_manager")
    event["headers"]["authorization"] = f"Bearer {issuer.token(USER, ACCOUNT)}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 200

"""HTTP /v1/quotes through its door: real resolver, real PostgreSQL, row level security on."""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from functions.quote_processor.app import lambda_handler
from quotekit import database as databases
from quotekit import settings
from quotekit.database import Actor
from quotekit.errors import QuotaExceededError
from quotekit.quotes.requests import SendRequest
from quotekit.quotes.sending import Sending
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, OTHER_USER, USER, Answer, Aws, Client, Issuer

LINE: dict[str, Any] = {"name": "Work", "unit": "h", "quantity": "2", "unit_cost": "80"}
QUOTE: dict[str, Any] = {
    "client": {"name": "Grace Hopper", "email": "grace@example.com"},
    "currency": "USD",
    "line_items": [LINE],
    "tax_rate": "10",
    "markup_rate": "25",
}


@pytest.fixture
def quotes(database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def stranger(quotes: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), quotes.route)


def test_a_quote_is_priced_and_stored_as_a_draft(quotes: Client) -> None:
    created = quotes("POST", "/v1/quotes", QUOTE)

    assert created.status == 201, created.text
    assert created.json["number"] is None
    assert created.json["status"] == "draft"
    assert created.json["line_items"][0]["unit_price"] == "100.00"
    assert created.json["subtotal"] == "200.00"
    assert created.json["markup_amount"] == "40.00"
    assert created.json["tax_amount"] == "20.00"
    assert created.json["total"] == "220.00"
    read = quotes("GET", f"/v1/quotes/{created.json['id']}")
    assert read.json == created.json
    assert read.headers["ETag"] == '"1"'


def create(quotes: Client, **changes: Any) -> dict[str, Any]:
    created = quotes("POST", "/v1/quotes", QUOTE | changes)
    assert created.status == 201, created.text
    return created.json


def send(quotes: Client, quote_id: str, channel: str = "link", **headers: str) -> Answer:
    body = {"channel": channel}
    return quotes("POST", f"/v1/quotes/{quote_id}/send", body, headers=headers)


def premium(database: Database, account: UUID) -> None:
    statement = """insert into app.subscriptions (account_id, plan_key, status)
        values (%s, 'premium', 'active')"""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(statement, [account])


def test_calculating_answers_the_same_prices_and_stores_nothing(quotes: Client) -> None:
    calculated = quotes("POST", "/v1/quotes/calculate", QUOTE)

    created = create(quotes)
    prices = ("subtotal", "markup_amount", "tax_amount", "tax_breakdown", "total", "line_items")
    assert {name: calculated.json[name] for name in prices} == {n: created[n] for n in prices}
    assert len(quotes("GET", "/v1/quotes").json["data"]) == 1


def test_a_number_may_be_given_for_a_decimal_string(quotes: Client) -> None:
    created = create(quotes, line_items=[LINE | {"quantity": 2.5, "unit_cost": 0.1}])

    assert created["line_items"][0]["quantity"] == "2.5"
    assert created["line_items"][0]["unit_cost"] == "0.10"


def test_the_account_gives_what_the_quote_does_not_say(quotes: Client, database) -> None:
    create(quotes)
    statement = """insert into app.company_settings
        (account_id, currency, language, default_tax_rate, default_markup_rate, quote_terms)
        values (%s, 'JPY', 'de', 10, 50, 'Net 30')"""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(statement, [ACCOUNT])

    created = quotes("POST", "/v1/quotes", {"line_items": [LINE | {"unit_cost": "99"}]}).json

    assert (created["currency"], created["language"]) == ("JPY", "de")
    assert (created["tax_rate"], created["markup_rate"], created["terms"]) == ("10", "50", "Net 30")
    assert created["total"] == "328"  # 149 yen each, two of them, ten percent tax half up


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"surprise": 1}, "surprise"),
    ({"status": "sent"}, "status"),
    ({"account_id": str(USER)}, "account_id"),
    ({"line_items": []}, "line_items"),
    ({"line_items": [LINE] * 501}, "line_items"),
    ({"line_items": [LINE | {"quantity": "-1"}]}, "line_items.0.quantity"),
    ({"line_items": [LINE | {"quantity": "1.00001"}]}, "line_items.0.quantity"),
    ({"line_items": [LINE | {"quantity": "NaN"}]}, "line_items.0.quantity"),
    ({"line_items": [LINE | {"unit_cost": "1e400"}]}, "line_items.0.unit_cost"),
    ({"line_items": [LINE | {"name": "  "}]}, "line_items.0.name"),
    ({"line_items": [LINE | {"markup": 1}]}, "line_items.0.markup"),
    ({"line_items": [LINE | {"item_id": str(USER)}]}, "line_items.item_id"),
    ({"tax_rate": "100.01"}, "tax_rate"),
    ({"markup_rate": "-0.01"}, "markup_rate"),
    ({"currency": "usd"}, "currency"),
    ({"currency": "XTS"}, "currency"),
    ({"currency": None}, "currency"),
    ({"discount": {"type": "percent", "value": "101"}}, "discount"),
    ({"discount": {"type": "half", "value": "1"}}, "discount.type"),
    ({"client": {"name": "A", "email": "not an address"}}, "client.email"),
    ({"client": {"name": "A", "email": "a@b.de\r\nBcc: x@y.de"}}, "client.email"),
    ({"client": None, "client_id": str(USER)}, "client_id"),
    ({"language": "tlh"}, "language"),
    ({"valid_until": "2026-02-30"}, "valid_until"),
    ({"is_template": True}, "template_name"),
    ({"template_name": "Only a template has one"}, "template_name"),
]


@pytest.mark.parametrize(("change", "field"), REFUSED, ids=[field for _, field in REFUSED])
def test_a_bad_value_is_refused_by_name(quotes: Client, change: dict[str, Any], field: str) -> None:
    answer = quotes("POST", "/v1/quotes", QUOTE | change)

    assert answer.status == 422, answer.text
    assert answer.json["code"] == "VALIDATION_ERROR"
    assert [detail["field"] for detail in answer.json["details"]] == [field]
    assert answer.json["request_id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[" * 100_000, 400),
        ("[]", 422),
        ("null", 422),
        ('"text"', 422),
        ("", 422),
        (json.dumps(QUOTE | {"notes": "nul \u0000 byte"}), 422),
        (json.dumps(QUOTE | {"notes": "half a \ud800 pair"}), 422),
        (json.dumps(QUOTE | {"notes": "x" * 1_100_000}), 413),
    ],
)
def test_an_unreadable_body_gets_a_clear_answer(quotes: Client, body: str, status: int) -> None:
    answer = quotes("POST", "/v1/quotes", body)

    assert answer.status == status, answer.text[:500]
    assert set(answer.json) == {"code", "message", "details", "request_id"}
    assert "Traceback" not in answer.text


def test_a_body_that_is_not_json_is_refused(quotes: Client) -> None:
    answer = quotes("POST", "/v1/quotes", "a=1", headers={"content-type": "text/csv"})

    assert answer.status == 415
    assert answer.json["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_unknown_paths_and_methods_answer_with_the_error_body(quotes: Client) -> None:
    assert quotes("GET", "/v1/quotes/x/y/z").json["code"] == "NOT_FOUND"
    assert quotes("PUT", "/v1/quotes").json["code"] == "METHOD_NOT_ALLOWED"
    assert quotes("GET", "/v1/quotes/not-a-uuid").status == 422


def test_answers_carry_cors_and_security_headers_on_errors_too(quotes: Client) -> None:
    allowed = quotes("GET", "/v1/nothing", headers={"origin": "https://app.test"})
    foreign = quotes("GET", "/v1/quotes", headers={"origin": "https://evil.test"})

    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.test"
    assert allowed.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_another_accounts_quote_does_not_exist(quotes: Client, stranger: Client) -> None:
    quote_id = create(quotes)["id"]

    assert stranger("GET", f"/v1/quotes/{quote_id}").status == 404
    assert stranger("PATCH", f"/v1/quotes/{quote_id}", {"notes": "x", "version": 1}).status == 404
    assert stranger("DELETE", f"/v1/quotes/{quote_id}").status == 404
    assert stranger("POST", f"/v1/quotes/{quote_id}/send", {}).status == 404
    assert stranger("POST", f"/v1/quotes/{quote_id}/duplicate").status == 404
    assert stranger("GET", f"/v1/quotes/{quote_id}/history").json == {"data": []}
    assert stranger("GET", "/v1/quotes").json["data"] == []


def test_a_change_needs_the_version_it_was_made_from(quotes: Client) -> None:
    path = f"/v1/quotes/{create(quotes)['id']}"

    changed = quotes("PATCH", path, {"notes": "First", "version": 1})
    stale = quotes("PATCH", path, {"notes": "Second", "version": 1})
    by_header = quotes("PATCH", path, {"notes": "Third"}, headers={"if-match": '"2"'})
    without = quotes("PATCH", path, {"notes": "Fourth"})

    assert (changed.status, changed.json["version"]) == (200, 2)
    assert (stale.status, stale.json["code"]) == (409, "CONFLICT")
    assert (by_header.status, by_header.json["notes"]) == (200, "Third")
    assert (without.status, without.json["details"][0]["field"]) == (422, "version")


def test_a_change_keeps_what_it_does_not_name_and_prices_anew(quotes: Client) -> None:
    before = create(quotes, discount={"type": "percent", "value": "10"}, notes="Stays")

    after = quotes(
        "PATCH",
        f"/v1/quotes/{before['id']}",
        {"tax_rate": "0", "line_items": [LINE, LINE | {"optional": True}], "version": 1},
    ).json

    assert after["tax_rate"] == "0"
    assert (after["notes"], after["discount"]) == ("Stays", {"type": "percent", "value": "10"})
    assert (after["subtotal"], after["discount_amount"], after["total"]) == (
        "200.00",
        "20.00",
        "180.00",
    )
    assert [line["optional"] for line in after["line_items"]] == [False, True]


def test_sending_numbers_freezes_and_returns_the_clients_link(quotes: Client) -> None:
    quote_id = create(quotes)["id"]

    sent = send(quotes, quote_id)

    assert sent.status == 200, sent.text
    year = datetime.now(UTC).year
    assert sent.json["number"] == f"Q-{year}-0001"
    assert sent.json["status"] == "sent"
    assert sent.json["valid_until"]
    assert sent.json["link"].startswith("https://quotes.test/")
    again = send(quotes, quote_id)
    change = quotes("PATCH", f"/v1/quotes/{quote_id}", {"notes": "x", "version": 2})
    gone = quotes("DELETE", f"/v1/quotes/{quote_id}")
    assert [answer.status for answer in (again, change, gone)] == [409, 409, 409]


def test_the_link_is_kept_as_a_hash_only(quotes: Client, database: Database) -> None:
    link = send(quotes, create(quotes)["id"]).json["link"]

    token = link.rpartition("/")[2]
    with psycopg.connect(database.owner_url) as connection:
        (kept,) = connection.execute("select token_hash from app.quote_links").fetchone() or ()
    assert kept == hashlib.sha256(token.encode()).digest()
    assert len(token) >= 43


def test_sending_by_mail_promises_pdf_and_mail_in_the_same_transaction(
    quotes: Client, database: Database, aws_services: Aws
) -> None:
    sent = send(quotes, create(quotes)["id"], "email").json

    assert sent["delivery"]["status"] == "queued"
    assert sent["delivery"]["recipient"] == "grace@example.com"
    (message,) = aws_services.messages(aws_services.pdf_queue)
    assert message["account_id"] == str(ACCOUNT)
    assert aws_services.messages(aws_services.mail_queue) == []  # it waits for the PDF
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute(
            "select topic, sent_at is not null, blocked_by is not null from app.outbox order by id"
        ).fetchall()
    assert rows == [("pdf", True, False), ("mail", False, True)]


def test_a_quote_for_nobody_cannot_be_mailed(quotes: Client) -> None:
    answer = send(quotes, create(quotes, client={"name": "No address"})["id"], "email")

    assert (answer.status, answer.json["details"][0]["field"]) == (422, "channel")


def test_the_sixth_quote_of_a_free_month_is_refused_also_when_ten_go_at_once(
    quotes: Client, environment: pytest.MonkeyPatch
) -> None:
    ids = [UUID(create(quotes)["id"]) for _ in range(10)]

    outcomes = send_in_parallel(environment, ids)

    assert Counter(outcomes) == {"sent": 5, "QUOTA_EXCEEDED": 5}
    refused = send(quotes, create(quotes)["id"])
    assert (refused.status, refused.json["code"]) == (402, "QUOTA_EXCEEDED")
    used = quotes("GET", "/v1/usage").json["quotes_sent"]
    assert used == {"used": 5, "limit": 5, "remaining": 0}


def test_a_hundred_parallel_sends_with_rollbacks_leave_numbers_without_gaps(
    quotes: Client, environment: pytest.MonkeyPatch, database: Database
) -> None:
    ids = [UUID(create(quotes)["id"]) for _ in range(100)]
    premium(database, ACCOUNT)

    outcomes = send_in_parallel(environment, ids, abandon_every=3)

    assert Counter(outcomes) == {"sent": 66, "abandoned": 34}
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute("select number from app.quotes where number is not null")
        numbers = sorted(str(number) for (number,) in rows)
    year = datetime.now(UTC).year
    assert numbers == [f"Q-{year}-{count:04}" for count in range(1, 67)]


class Abandoned(Exception):  # noqa: N818
    pass


def send_in_parallel(
    environment: pytest.MonkeyPatch, ids: list[UUID], abandon_every: int = 0
) -> list[str]:
    """Send through the service on twenty connections, as so many sandboxes would."""
    environment.setenv("DATABASE_POOL_MAX", "20")
    settings.forget()
    databases.forget()
    actor = Actor("authenticated", {"sub": str(USER), "account_id": str(ACCOUNT)})
    request = SendRequest(channel="link")

    def work(place: int, quote_id: UUID) -> str:
        try:
            with databases.transaction(actor) as connection:
                Sending(request, "https://quotes.test", datetime.now(UTC)).send(
                    connection, quote_id
                )
                if abandon_every and place % abandon_every == 0:
                    raise Abandoned
        except QuotaExceededError as error:
            return error.code
        except Abandoned:
            return "abandoned"
        return "sent"

    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(work, range(len(ids)), ids))


@pytest.mark.parametrize(
    ("steps", "statuses"),
    [
        (["accept", "convert"], [200, 200]),
        (["decline", "accept"], [200, 409]),
        (["convert"], [409]),
        (["accept", "decline"], [200, 409]),
    ],
)
def test_only_the_steps_of_a_quotes_life_are_taken(
    quotes: Client, steps: list[str], statuses: list[int]
) -> None:
    quote_id = create(quotes)["id"]
    assert quotes("POST", f"/v1/quotes/{quote_id}/accept").status == 409  # still a draft
    send(quotes, quote_id)

    answers = [
        quotes("POST", f"/v1/quotes/{quote_id}/{step}", {"note": "By phone"}) for step in steps
    ]

    assert [answer.status for answer in answers] == statuses
    history = quotes("GET", f"/v1/quotes/{quote_id}/history").json["data"]
    taken = [event["action"] for event in history]
    assert taken[:2] == ["quote.created", "quote.sent"]
    assert len(taken) == 2 + statuses.count(200)
    assert history[0]["actor_id"] == str(USER)


def test_a_duplicate_is_a_new_draft_and_a_template_cannot_be_sent(quotes: Client) -> None:
    original = create(quotes)
    send(quotes, original["id"])

    copy = quotes("POST", f"/v1/quotes/{original['id']}/duplicate").json
    named = {"template_name": "Clean-up"}
    template = quotes("POST", f"/v1/quotes/{original['id']}/duplicate", named).json

    assert (copy["status"], copy["number"], copy["total"]) == ("draft", None, original["total"])
    assert template["is_template"]
    assert send(quotes, template["id"]).status == 409
    listed = quotes("GET", "/v1/quotes", query="is_template=true").json["data"]
    assert [row["template_name"] for row in listed] == ["Clean-up"]


def test_a_list_is_filtered_searched_sorted_and_paged_without_gaps(quotes: Client) -> None:
    names = [f"Client {letter}" for letter in "ABCDEFG"]
    for place, name in enumerate(names):
        line = LINE | {"quantity": str(place + 1)}
        create(quotes, client={"name": name}, line_items=[line])

    seen: list[str] = []
    cursor = ""
    while True:
        page = quotes("GET", "/v1/quotes", query=f"limit=3&sort=total{cursor}").json
        seen += [row["client_name"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    found = quotes("GET", "/v1/quotes", query="q=clie+f").json["data"]
    hostile = quotes("GET", "/v1/quotes", query="q=%27%20%7C%20%21%20%28%3A%2A%29%00").json["data"]
    none = quotes("GET", "/v1/quotes", query="status=accepted").json["data"]
    bad = quotes("GET", "/v1/quotes", query="cursor=nonsense")
    much = quotes("GET", "/v1/quotes", query="limit=101")

    assert seen == names
    assert [row["client_name"] for row in found] == ["Client F"]
    assert len(hostile) == 7  # no word in it: not a filter, and no error
    assert none == []
    assert (bad.status, much.status) == (422, 422)


def test_the_same_key_and_body_get_the_stored_answer(quotes: Client) -> None:
    key = {"idempotency-key": "order-1"}

    first = quotes("POST", "/v1/quotes", QUOTE, headers=key)
    again = quotes("POST", "/v1/quotes", QUOTE, headers=key)
    other = quotes("POST", "/v1/quotes", QUOTE | {"notes": "Another"}, headers=key)

    assert (first.status, again.status) == (201, 201)
    assert first.text == again.text
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status, other.json["code"]) == (409, "CONFLICT")
    assert len(quotes("GET", "/v1/quotes").json["data"]) == 1


def test_a_failed_request_keeps_no_key(quotes: Client) -> None:
    key = {"idempotency-key": "retry-me"}
    template = create(quotes, is_template=True, template_name="T")
    quote_id = create(quotes)["id"]

    refused = quotes("POST", f"/v1/quotes/{template['id']}/send", {"channel": "link"}, headers=key)
    sent = quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "link"}, headers=key)

    assert (refused.status, sent.status) == (409, 200)


def test_a_twin_at_work_is_told_to_come_back(quotes: Client, database: Database) -> None:
    lock = "select pg_advisory_xact_lock(hashtextextended(%s || ' ' || %s, 0))"
    with psycopg.connect(database.owner_url) as twin:
        twin.execute(lock, [str(ACCOUNT), "busy"])

        answer = quotes("POST", "/v1/quotes", QUOTE, headers={"idempotency-key": "busy"})

    assert (answer.status, answer.headers["Retry-After"]) == (409, "1")
    assert quotes("POST", "/v1/quotes", QUOTE, headers={"idempotency-key": "busy"}).status == 201


def test_a_queue_that_is_down_loses_nothing(quotes: Client, environment, aws_services: Aws) -> None:
    quote_id = create(quotes)["id"]
    environment.setenv("PDF_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/missing")
    settings.forget()

    sent = send(quotes, quote_id)

    assert sent.status == 200  # the promise is in the outbox; the sweeper keeps it
    assert aws_services.messages(aws_services.pdf_queue) == []

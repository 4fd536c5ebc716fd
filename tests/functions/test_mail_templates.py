"""HTTP /v1/mail-templates: an account's own words, filled in once and escaped."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from functions.mail_templates.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)
from tests.functions.test_quote_processor import QUOTE

BASE = "/v1/mail-templates"
OWN: dict[str, Any] = {
    "kind": "quote",
    "language": "en",
    "subject": "{company_name}: {quote_number}",
    "body": "Hi {client_name}!\n\n{total} until {valid_until}:\n{link}",
}


@pytest.fixture
def templates(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), f"ANY {BASE}")


@pytest.fixture
def stranger(templates: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), templates.route)


@pytest.fixture
def quotes(templates: Client) -> Client:
    return Client(quotes_handler, templates.token, "ANY /v1/quotes/{proxy+}")


def letter(quotes: Client, database: Database, **changes: Any) -> tuple[str, str, str]:
    """Subject, text and HTML of the mail that brings a quote."""
    quote = quotes("POST", "/v1/quotes", QUOTE | changes).json
    sent = quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "email"})
    assert sent.status == 200, sent.text
    with psycopg.connect(database.owner_url) as owner:
        (found,) = owner.execute(
            "select subject, text_body, html_body from app.mails where quote_id = %s",
            [quote["id"]],
        ).fetchall()
    return found


def test_a_template_is_made_read_changed_and_deleted(templates: Client) -> None:
    made = templates("POST", BASE, OWN)
    assert made.status == 201, made.text
    path = f"{BASE}/{made.json['id']}"

    changed = templates("PATCH", path, {"subject": "New"}, headers={"if-match": '"1"'})
    stale = templates("PATCH", path, {"subject": "Newer", "version": 1})
    listed = templates("GET", BASE).json["data"]
    gone = templates("DELETE", path)

    assert (changed.json["subject"], changed.json["body"]) == ("New", OWN["body"])
    assert changed.headers["ETag"] == '"2"'
    assert (stale.status, listed, gone.status) == (409, [changed.json], 204)
    assert templates("GET", path).status == 404
    assert templates("DELETE", path).status == 404


def test_there_is_one_template_of_a_kind_in_a_language(templates: Client) -> None:
    answers = [
        templates("POST", BASE, OWN | changes).status
        for changes in ({}, {}, {"language": "en-GB"}, {"kind": "reminder"})
    ]

    assert answers == [201, 409, 201, 201]


@pytest.mark.parametrize(
    "change",
    [
        {"body": "{secret}"},
        {"body": "{client_name.__class__}"},
        {"body": "{client_name!r}"},
        {"body": "{0}"},
        {"body": "{}"},
        {"body": "{{client_name}}"},
        {"body": "a lone } brace"},
        {"subject": "{CLIENT_NAME}"},
        {"subject": "One\nTwo"},
        {"subject": ""},
        {"subject": "x" * 201},
        {"body": "x" * 10_001},
        {"kind": "invoice"},
        {"language": "xx"},
        {"surprise": 1},
    ],
)
@pytest.mark.parametrize("path", [BASE, f"{BASE}/preview"])
def test_what_is_no_template_is_refused(
    change: dict[str, Any], path: str, templates: Client
) -> None:
    answer = templates("POST", path, OWN | change)

    assert (answer.status, answer.json["details"][0]["field"]) == (422, next(iter(change)))


def test_the_mail_says_the_accounts_words(
    templates: Client, quotes: Client, database: Database
) -> None:
    templates("POST", BASE, OWN)

    subject, text, html = letter(quotes, database, valid_until="2035-01-31")

    assert subject.startswith(": Q-")
    assert text.startswith("Hi Grace Hopper!\n\n$220.00 until January 31, 2035:\nhttps://quotes.")
    assert "<p>Hi Grace Hopper!</p>\n<p>$220.00 until January 31, 2035:<br>\nhttps" in html
    assert "Kind regards" not in text + html


def test_a_value_is_neither_markup_nor_another_placeholder(
    templates: Client, quotes: Client, database: Database
) -> None:
    templates("POST", BASE, OWN | {"body": "<b>{client_name}</b>", "subject": "{client_name}"})
    name = "<script>{total}</script>\r\nBcc: all@example.com"

    subject, text, html = letter(
        quotes, database, client={"name": name, "email": "grace@example.com"}
    )

    assert "\n" not in subject
    assert "<script>{total}</script>" in subject
    assert "<b><script>{total}</script>" in text
    assert "&lt;b&gt;&lt;script&gt;{total}&lt;/script&gt;" in html
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [("de", "Deutsch"), ("de-AT", "Österreichisch"), ("de-CH", "Deutsch"), ("fr", "Devis")],
)
def test_the_nearest_language_is_taken_and_else_our_words(
    spoken: str, expected: str, templates: Client, quotes: Client, database: Database
) -> None:
    for language, subject in (("de", "Deutsch"), ("de-AT", "Österreichisch"), ("es", "Español")):
        templates("POST", BASE, OWN | {"language": language, "subject": subject})

    subject, _, _ = letter(quotes, database, language=spoken)

    assert subject.startswith(expected)


def test_a_preview_is_written_and_not_stored(templates: Client) -> None:
    answer = templates("POST", f"{BASE}/preview", OWN)

    assert answer.status == 200, answer.text
    assert answer.json["subject"] == ": Q-2026-0042"
    assert "Hi Amelia Whitfield!" in answer.json["text"]
    assert templates("GET", BASE).json["data"] == []


def test_anothers_template_is_not_there(
    templates: Client, stranger: Client, quotes: Client, database: Database
) -> None:
    made = templates("POST", BASE, OWN).json
    path = f"{BASE}/{made['id']}"

    statuses = [
        stranger("GET", path).status,
        stranger("PATCH", path, {"subject": "Mine", "version": 1}).status,
        stranger("DELETE", path).status,
        templates("GET", f"{BASE}/{uuid4()}").status,
    ]

    assert statuses == [404] * 4
    assert stranger("GET", BASE).json["data"] == []
    assert stranger("POST", BASE, OWN).status == 201


def test_only_who_manages_the_account_says_its_words(
    templates: Client, issuer: Issuer, database: Database
) -> None:
    made = templates("POST", BASE, OWN).json
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "insert into app.members (account_id, user_id, role) values (%s, %s, 'member')",
            [ACCOUNT, OTHER_USER],
        )
    member = Client(lambda_handler, issuer.token(OTHER_USER, ACCOUNT), templates.route)
    path = f"{BASE}/{made['id']}"

    statuses = [
        member("POST", BASE, OWN | {"language": "fr"}).status,
        member("PATCH", path, {"subject": "Mine", "version": 1}).status,
        member("DELETE", path).status,
    ]

    assert statuses == [403] * 3
    assert member("GET", path).json == made
    assert member("POST", f"{BASE}/preview", OWN).status == 200


def test_each_change_is_on_record(templates: Client, database: Database) -> None:
    made = templates("POST", BASE, OWN).json
    templates("PATCH", f"{BASE}/{made['id']}", {"body": "Anew", "version": 1})
    templates("DELETE", f"{BASE}/{made['id']}")

    with psycopg.connect(database.owner_url) as owner:
        actions = owner.execute(
            "select action from app.audit_events where object_id = %s order by id", [made["id"]]
        ).fetchall()
    assert [row[0].partition(".")[2] for row in actions] == ["created", "changed", "deleted"]


def test_the_committed_event_makes_a_template(templates: Client) -> None:
    event = load_event("mail_templates")
    event["headers"]["authorization"] = f"Bearer {templates.token}"

    assert lambda_handler(event, LambdaContext())["statusCode"] == 201

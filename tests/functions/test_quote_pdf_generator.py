"""A quote as PDF, asked for over HTTP or by the `pdf` queue."""

import hashlib
import io
from typing import Any
from urllib.parse import unquote

import boto3
import psycopg
import pypdf
import pytest

from functions.quote_pdf_generator.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from quotekit.performance import logger
from quotekit.quotes import document
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
    sqs_event,
)
from tests.functions.test_quote_processor import QUOTE

ROUTE = "POST /v1/quotes/{quote_id}/pdf"


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def printer(quotes: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), ROUTE)


def content(key: str) -> bytes:
    stored: bytes = boto3.client("s3").get_object(Bucket="documents", Key=key)["Body"].read()
    return stored


def only_key() -> str:
    (stored,) = boto3.client("s3").list_objects_v2(Bucket="documents")["Contents"]
    return str(stored["Key"])


def text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def test_a_draft_is_printed_measured_and_linked(quotes: Client, printer: Client) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE).json

    answer = printer("POST", f"/v1/quotes/{quote['id']}/pdf")

    assert answer.status == 200, answer.text
    pdf = content(only_key())
    assert answer.json["sha256"] == hashlib.sha256(pdf).hexdigest()
    assert answer.json["bytes"] == len(pdf)
    assert answer.json["pages"] == len(pypdf.PdfReader(io.BytesIO(pdf)).pages)
    assert "DRAFT" in text(pdf)
    assert only_key().split("?")[0] in answer.json["url"]
    assert only_key().startswith(f"accounts/{ACCOUNT}/")


def test_json_and_pdf_agree_to_the_cent_and_keep_the_owners_secrets(
    quotes: Client, printer: Client
) -> None:
    lines = [
        {"name": "Hedge", "unit": "m", "quantity": "12.35", "unit_cost": "7.77", "tax_rate": "5"},
        {"name": "Roof", "unit": "h", "quantity": "3", "unit_cost": "61.13"},
    ]
    quote = quotes("POST", "/v1/quotes", QUOTE | {"line_items": lines, "markup_rate": "17"}).json

    printer("POST", f"/v1/quotes/{quote['id']}/pdf")

    printed = text(content(only_key()))
    for amount in (
        quote["total"],
        quote["subtotal"],
        *(line["line_total"] for line in quote["line_items"]),
        *(line["unit_price"] for line in quote["line_items"]),
        *(row["tax"] for row in quote["tax_breakdown"]),
    ):
        assert f"${amount}" in printed
    for secret in ("7.77", "61.13", quote["markup_amount"], "arkup"):
        assert secret not in printed


def test_what_did_not_change_is_not_printed_again(
    quotes: Client, printer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE).json
    path = f"/v1/quotes/{quote['id']}/pdf"
    first = printer("POST", path).json
    prints = []
    render = document.render
    monkeypatch.setattr(document, "render", lambda sheet: prints.append(1) or render(sheet))

    again = printer("POST", path).json
    quotes("PATCH", f"/v1/quotes/{quote['id']}", {"notes": "Changed", "version": 1})
    changed = printer("POST", path).json

    assert again["sha256"] == first["sha256"]
    assert changed["sha256"] != first["sha256"]
    assert len(prints) == 1


def test_an_object_that_vanished_is_printed_again(quotes: Client, printer: Client) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE).json
    path = f"/v1/quotes/{quote['id']}/pdf"
    first = printer("POST", path).json
    boto3.client("s3").delete_object(Bucket="documents", Key=only_key())

    again = printer("POST", path).json

    assert hashlib.sha256(content(only_key())).hexdigest() == again["sha256"] == first["sha256"]


def test_another_accounts_quote_cannot_be_printed(quotes: Client, issuer: Issuer) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE).json
    stranger = Client(lambda_handler, issuer.token(OTHER_USER), ROUTE)

    assert stranger("POST", f"/v1/quotes/{quote['id']}/pdf").status == 404


def order(quotes: Client, aws_services: Aws) -> dict[str, Any]:
    quote_id = quotes("POST", "/v1/quotes", QUOTE).json["id"]
    quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "email"})
    (message,) = aws_services.messages(aws_services.pdf_queue)
    return message


def test_the_queue_prints_and_lets_the_mail_go(
    quotes: Client, aws_services: Aws, database: Database
) -> None:
    message = order(quotes, aws_services)

    answers = [lambda_handler(sqs_event(message), LambdaContext()) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    mails = aws_services.messages(aws_services.mail_queue)
    assert len(mails) == 1  # the second delivery found nothing left to do
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute("select status, pages from app.documents").fetchall()
    assert rows == [("ready", 1)]


def test_a_print_that_keeps_failing_says_why_and_frees_the_mail(
    quotes: Client, aws_services: Aws, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = order(quotes, aws_services)

    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(document, "render", fail)

    early = lambda_handler(sqs_event(message, receives=1), LambdaContext())
    waiting = aws_services.messages(aws_services.mail_queue)
    last = lambda_handler(sqs_event(message, receives=5), LambdaContext())

    assert len(early["batchItemFailures"]) == len(last["batchItemFailures"]) == 1
    assert waiting == []
    assert len(aws_services.messages(aws_services.mail_queue)) == 1
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute("select status, reason from app.documents").fetchall()
    assert rows == [("failed", "MemoryError")]


def test_only_the_broken_record_returns_to_the_queue_and_the_log_says_why(
    quotes: Client, aws_services: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = sqs_event(order(quotes, aws_services), {"nonsense": True})
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)

    answer = lambda_handler(event, LambdaContext())

    (line,) = [text for text in log.getvalue().splitlines() if "record failed" in text]
    assert "KeyError" in line
    assert "message-2" in line
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-2"}]}


def test_the_committed_event_is_answered(quotes: Client) -> None:
    event = load_event("quote_pdf_generator")

    assert lambda_handler(event, LambdaContext())["statusCode"] == 401  # it carries no token


def test_the_link_gives_the_file_a_name_a_browser_can_save(quotes: Client, printer: Client) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE).json

    url = printer("POST", f"/v1/quotes/{quote['id']}/pdf").json["url"]

    assert "draft.pdf" in unquote(url)


def test_a_logo_that_cannot_be_drawn_does_not_keep_the_quote_from_its_client(
    quotes: Client, printer: Client, database: Database
) -> None:
    header_only = (
        b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10\x08\x02" * 2
    )
    boto3.client("s3").put_object(Bucket="assets", Key="broken", Body=header_only)
    quote = quotes("POST", "/v1/quotes", QUOTE).json
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "insert into app.company_settings (account_id, logo_key) values (%s, 'broken')",
            [ACCOUNT],
        )

    answer = printer("POST", f"/v1/quotes/{quote['id']}/pdf")

    assert answer.status == 200, answer.text
    assert "DRAFT" in text(content(only_key()))

"""The `mail` queue: sent once, whatever SES and the queue do."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from functions.mail_sender.app import lambda_handler
from functions.quote_pdf_generator.app import lambda_handler as print_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from quotekit import aws, mail, settings
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
    sqs_event,
)
from tests.functions.test_quote_processor import QUOTE
from tests.vendors import ses as vendor
from tests.vendors.ses import Ses


@pytest.fixture
def ses(environment: pytest.MonkeyPatch, aws_services: Aws) -> Iterator[Ses]:
    with vendor.serve() as server:
        environment.setenv("AWS_ENDPOINT_URL_SESV2", server.url)
        aws.forget()
        yield server


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


def mailed(
    quotes: Client, aws_services: Aws, *, printed: bool = True
) -> tuple[str, dict[str, Any]]:
    """A quote sent by mail whose PDF is printed; its id and the message on the mail queue."""
    quote_id = quotes("POST", "/v1/quotes", QUOTE).json["id"]
    quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "email", "message": "See you!"})
    (order,) = aws_services.messages(aws_services.pdf_queue)
    if printed:
        assert print_handler(sqs_event(order), LambdaContext()) == {"batchItemFailures": []}
    (message,) = aws_services.messages(aws_services.mail_queue)
    return quote_id, message


def deliver(message: dict[str, Any], receives: int = 1) -> bool:
    """Whether the message left the queue."""
    answer = lambda_handler(sqs_event(message, receives=receives), LambdaContext())
    return answer == {"batchItemFailures": []}


def delivery(quotes: Client, quote_id: str) -> dict[str, Any]:
    found: dict[str, Any] = quotes("GET", f"/v1/quotes/{quote_id}").json["delivery"]
    return found


def test_the_mail_carries_the_printed_quote(quotes: Client, aws_services: Aws, ses: Ses) -> None:
    quote_id, message = mailed(quotes, aws_services)

    assert deliver(message)

    (sent,) = ses.mails
    number = quotes("GET", f"/v1/quotes/{quote_id}").json["number"]
    assert sent["To"] == "grace@example.com"
    assert number in sent["Subject"]
    body = sent.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "$220.00" in text
    assert "See you!" in text
    assert "https://quotes.test/" in text
    (attached,) = sent.iter_attachments()
    assert attached.get_filename() == f"{number}.pdf"
    assert attached.get_payload(decode=True).startswith(b"%PDF-")
    found = delivery(quotes, quote_id)
    assert (found["status"], found["attachment"], found["attempts"]) == ("sent", "attached", 1)


def test_cost_and_markup_are_in_no_part_of_the_mail(
    quotes: Client, aws_services: Aws, ses: Ses
) -> None:
    _, message = mailed(quotes, aws_services)

    deliver(message)

    words = "".join(
        part.get_content() for part in ses.mails[0].walk() if part.get_content_maintype() == "text"
    )
    assert "80.00" not in words  # the unit's cost
    assert "40.00" not in words  # the markup
    assert "arkup" not in words


def test_ses_failing_twice_and_then_working_sends_exactly_one_mail(
    quotes: Client, aws_services: Aws, ses: Ses
) -> None:
    quote_id, message = mailed(quotes, aws_services)
    ses.failures = [(400, "TooManyRequestsException"), (400, "LimitExceededException")]

    outcomes = [deliver(message, receives) for receives in (1, 2, 3, 4)]

    assert outcomes == [False, False, True, True]  # the fourth is SQS delivering once too often
    assert len(ses.mails) == 1
    found = delivery(quotes, quote_id)
    assert (found["status"], found["attempts"], found["reason"]) == ("sent", 3, None)


def test_a_mail_ses_refuses_is_failed_at_once_and_ends_as_dead_letter(
    quotes: Client, aws_services: Aws, ses: Ses
) -> None:
    quote_id, message = mailed(quotes, aws_services)
    ses.failures = [(400, "MessageRejected")]

    outcomes = [deliver(message, receives) for receives in range(1, 7)]

    assert outcomes == [False] * 6  # never deleted: SQS moves it to the dead letters
    assert ses.calls == 1
    found = delivery(quotes, quote_id)
    assert (found["status"], found["reason"]) == ("failed", "SES: MessageRejected")
    history = quotes("GET", f"/v1/quotes/{quote_id}/history").json["data"]
    assert history[-1]["action"] == "mail.failed"


def test_a_mail_delayed_once_too_often_is_failed(
    quotes: Client, aws_services: Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote_id, message = mailed(quotes, aws_services)
    ses.failures = [(400, "TooManyRequestsException")] * 60

    assert not deliver(message, receives=1)
    waiting = delivery(quotes, quote_id)
    assert not deliver(message, receives=settings.queue_settings().mail_receives)

    assert (waiting["status"], waiting["reason"]) == ("queued", "SES: TooManyRequestsException")
    assert delivery(quotes, quote_id)["status"] == "failed"


def test_two_workers_with_the_same_message_send_one_mail(
    quotes: Client, aws_services: Aws, ses: Ses, database: Database
) -> None:
    _, message = mailed(quotes, aws_services)
    with psycopg.connect(database.owner_url, autocommit=True) as twin:
        twin.execute("update app.mails set leased_until = now() + interval '1 minute'")

        assert not deliver(message)  # the twin has it

        twin.execute("update app.mails set leased_until = now() - interval '1 second'")
        assert deliver(message)  # the twin died; its lease is over
        assert deliver(message)  # and the queue delivers once more

    assert len(ses.mails) == 1


def test_a_quote_that_could_not_be_printed_is_mailed_with_its_link(
    quotes: Client, aws_services: Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "LARGEST_ATTACHMENT", 10)
    quote_id, message = mailed(quotes, aws_services)

    assert deliver(message)

    assert list(ses.mails[0].iter_attachments()) == []
    assert delivery(quotes, quote_id)["attachment"] == "linked"


def test_a_name_cannot_add_a_header(quotes: Client, aws_services: Aws, ses: Ses) -> None:
    evil = {"name": "Eve\r\nBcc: everyone@example.com", "email": "eve@example.com"}
    quote_id = quotes("POST", "/v1/quotes", QUOTE | {"client": evil}).json["id"]
    quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "email"})
    (order,) = aws_services.messages(aws_services.pdf_queue)
    print_handler(sqs_event(order), LambdaContext())
    (message,) = aws_services.messages(aws_services.mail_queue)

    assert deliver(message)

    assert ses.mails[0]["Bcc"] is None


def test_the_committed_event_is_a_record_of_this_queue() -> None:
    answer = lambda_handler(load_event("mail_sender"), LambdaContext())

    (failure,) = answer["batchItemFailures"]  # no such mail here: it goes back, and in the end dies
    assert failure["itemIdentifier"] == load_event("mail_sender")["Records"][0]["messageId"]

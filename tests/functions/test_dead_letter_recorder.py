"""Dead letters: each written down with its reason, counted, and none lost."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from functions.dead_letter_recorder.app import lambda_handler
from functions.outbox_sweeper.app import lambda_handler as sweep
from functions.webhook_worker.app import lambda_handler as work
from quotekit import database as databases
from quotekit import errors, queues, settings
from quotekit.webhooks import applying, effects, letters
from quotekit.webhooks.model import Event, Outcome, PermanentError
from tests import deliveries
from tests.conftest import Database
from tests.functions.conftest import Aws, LambdaContext, load_event, sqs_event

GIVEN = deliveries.pull_request("open", 10, event_id="delivery-1")


@pytest.fixture
def owner(
    database: Database, webhook_queues: dict[str, str], environment: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[Any]]:
    environment.setattr(queues, "rest", lambda *_: None)
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def records(body: Event | dict[str, Any] | str, queue: str, message_id: str = "m-1") -> Any:
    message = body.message if isinstance(body, Event) else body
    given = sqs_event(message if isinstance(message, dict) else {})
    record = given["Records"][0]
    record["body"] = message if isinstance(message, str) else record["body"]
    record["messageId"] = message_id
    record["eventSourceARN"] = f"arn:aws:sqs:us-east-1:000000000000:quotekit-local-{queue}"
    return given


def bury(
    body: Event | dict[str, Any] | str,
    message_id: str = "m-1",
    queue: str = "webhooks-critical-dead-letter",
) -> bool:
    """Whether the letter left its queue."""
    answer = lambda_handler(records(body, queue, message_id), LambdaContext())
    return answer == {"batchItemFailures": []}


def found(owner: psycopg.Connection[Any]) -> Any:
    return owner.execute("select * from ops.webhook_dead_letters order by id").fetchall()


def status(owner: psycopg.Connection[Any]) -> str:
    (row,) = owner.execute("select status from ops.webhook_events").fetchall()
    return str(row["status"])


def fail(monkeypatch: pytest.MonkeyPatch, *raised: BaseException) -> None:
    """Have the worker fail by each of these, one delivery after the other."""
    left = list(raised)

    def effect(connection: Any, events: Sequence[Event]) -> list[Outcome]:
        raise left.pop(0)

    with monkeypatch.context() as patch:
        patch.setattr(effects, "effect_of", lambda _: effect)
        for _ in raised:
            work(records(GIVEN, "webhooks-critical"), LambdaContext())


def test_the_committed_event_is_written_down(owner: psycopg.Connection[Any]) -> None:
    answer = lambda_handler(load_event("dead_letter_recorder"), LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert [row["queue"] for row in found(owner)] == ["webhooks"]


CATEGORIES: list[tuple[BaseException, str]] = [
    (TimeoutError("the shop's"), "timeout"),
    (psycopg.errors.QueryCanceled("statement timeout"), "timeout"),
    (psycopg.errors.LockNotAvailable("locked"), "timeout"),
    (PermanentError("not the shape"), "validation"),
    (errors.InvalidInputError(), "validation"),
    (errors.BadRequestError(), "validation"),
    (psycopg.errors.NumericValueOutOfRange("too much"), "validation"),
    (psycopg.errors.CheckViolation("refused"), "validation"),
    (errors.ServiceUnavailableError(), "external"),
    (ConnectionResetError(), "external"),
    (psycopg.errors.DeadlockDetected("deadlock"), "external"),
    (errors.RateLimitedError(), "rate_limit"),
    (KeyError("a bug"), "unknown"),
    (errors.QuoteKitError(), "unknown"),
]


@pytest.mark.parametrize(
    ("error", "category"), CATEGORIES, ids=lambda value: getattr(value, "__class__", value).__name__
)
def test_the_category_is_that_of_the_last_attempt(
    error: BaseException,
    category: str,
    owner: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail(monkeypatch, RuntimeError("another one before"), error)

    assert bury(GIVEN)

    (letter,) = found(owner)
    assert (letter["category"], letter["count"]) == (category, 1)
    assert letter["reason"].startswith(type(error).__name__)
    assert Event.of(json.loads(letter["body"])) == GIVEN
    assert (letter["queue"], letter["resolved_at"], status(owner)) == (
        "webhooks_critical",
        None,
        "dead",
    )


def test_what_botocore_raises_is_external() -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError

    raised = (ClientError({}, "GetObject"), EndpointConnectionError(endpoint_url="https://s3"))

    assert [applying.category_of(error) for error in raised] == ["external", "external"]


def test_the_same_event_dying_again_counts_up_and_a_message_delivered_twice_does_not(
    owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, RuntimeError("first"))
    ids = ["m-1", "m-1", "m-2", "m-2", "m-3"]

    assert all(bury(GIVEN, message_id) for message_id in ids)

    (letter,) = found(owner)
    assert letter["count"] == 3
    assert letter["last_failed_at"] > letter["first_failed_at"]


@pytest.mark.parametrize("body", ["no JSON", "[1, 2]", '{"a": "\\u0000"}', "\x00raw", "{}"])
def test_what_nobody_can_read_is_kept_raw(body: str, owner: psycopg.Connection[Any]) -> None:
    assert bury(body)
    assert bury(body, "m-2")

    (letter,) = found(owner)
    assert letter["body"] == body.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    assert (letter["source"], letter["category"]) == ("unreadable", "validation")
    assert (letter["webhook_id"], letter["count"]) == (None, 2)
    assert owner.execute("select from ops.webhook_events").rowcount == 0


def test_a_claim_whose_body_is_gone_is_kept_with_the_claim(
    owner: psycopg.Connection[Any],
) -> None:
    claim = {queues.CLAIM: "claims/gone.json"}

    assert bury(claim)

    (letter,) = found(owner)
    assert json.loads(letter["body"]) == claim
    assert letter["reason"] == "FileNotFoundError: claims/gone.json"


def test_a_letter_stays_in_its_queue_until_it_is_committed(
    owner: psycopg.Connection[Any], environment: pytest.MonkeyPatch, database: Database
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    environment.setenv("DATABASE_CONNECT_ATTEMPTS", "1")
    forget()
    away = bury(GIVEN)
    environment.setenv("DATABASE_URL", database.url)
    forget()

    assert (away, bury(GIVEN), len(found(owner))) == (False, True, 1)


def forget() -> None:
    databases.forget()
    settings.forget()


def test_an_event_that_was_never_tried_is_sent_again_once(
    owner: psycopg.Connection[Any], aws_services: Aws, webhook_queues: dict[str, str]
) -> None:
    """The database was away for longer than the queue waits."""
    assert bury(GIVEN)
    assert bury(GIVEN)  # SQS, once too often
    waiting = status(owner)
    owner.execute("update app.outbox set due_at = now() - interval '1 minute'")
    sent = sweep(load_event("outbox_sweeper"), LambdaContext())
    (message,) = aws_services.messages(webhook_queues["webhooks-critical"])

    work(records(message, "webhooks-critical"), LambdaContext())

    (letter,) = found(owner)
    assert (waiting, sent, status(owner)) == ("queued", {"sent": 1}, "applied")
    assert (letter["category"], letter["reason"]) == ("unknown", letters.NO_TRACE)
    assert (letter["count"], letter["resolution"]) == (1, "applied after all")


def test_an_event_that_kills_its_worker_is_sent_again_no_second_time(
    owner: psycopg.Connection[Any],
) -> None:
    assert bury(GIVEN)
    (row,) = owner.execute("select id from ops.webhook_events").fetchall()

    assert bury({"stored": str(row["id"])}, "m-2")

    assert [letter["count"] for letter in found(owner)] == [2]
    assert owner.execute("select from app.outbox").rowcount == 1
    assert status(owner) == "dead"


def test_an_event_that_was_applied_meanwhile_is_resolved_as_it_is_written_down(
    owner: psycopg.Connection[Any],
) -> None:
    work(records(GIVEN, "webhooks-critical"), LambdaContext())

    assert bury(GIVEN)

    (letter,) = found(owner)
    assert (letter["resolution"], status(owner)) == ("it had been applied", "applied")


def test_a_redriven_message_of_an_event_that_is_gone_is_kept_raw(
    owner: psycopg.Connection[Any],
) -> None:
    assert bury({"stored": str(uuid4())})

    assert [letter["source"] for letter in found(owner)] == ["unreadable"]

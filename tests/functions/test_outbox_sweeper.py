"""Every minute: promises whose sender died between commit and queue."""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from functions.outbox_sweeper.app import lambda_handler
from quotekit import database, settings
from quotekit.webhooks import service
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, Aws, LambdaContext, load_event

PROMISE = """
insert into app.outbox (id, account_id, topic, payload, due_at, created_at, blocked_by)
select gen_random_uuid(), %(account)s, %(topic)s, jsonb_build_object('n', n),
    now() - interval '1 minute', now() - %(age)s::interval, %(blocked_by)s
from generate_series(1, %(count)s) as n
returning id
"""


@pytest.fixture
def owner(database: Database, aws_services: Aws) -> psycopg.Connection[Any]:
    connection = psycopg.connect(database.owner_url, autocommit=True)
    connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
    return connection


def promise(owner: psycopg.Connection[Any], topic: str = "pdf", **values: Any) -> list[Any]:
    defaults = {"account": ACCOUNT, "topic": topic, "age": "1 minute", "count": 1}
    parameters = defaults | {"blocked_by": None} | values
    return [row[0] for row in owner.execute(PROMISE, parameters).fetchall()]


def sweep() -> int:
    return lambda_handler(load_event("outbox_sweeper"), LambdaContext())["sent"]


def unsent(owner: psycopg.Connection[Any]) -> int:
    return len(owner.execute("select from app.outbox where sent_at is null").fetchall())


def test_what_was_promised_and_not_sent_is_sent_once(
    owner: psycopg.Connection[Any], aws_services: Aws
) -> None:
    promise(owner, count=25)

    assert sweep() == 25
    assert sweep() == 0
    got = [m for _ in range(5) for m in aws_services.messages(aws_services.pdf_queue)]
    assert sorted(message["n"] for message in got) == list(range(1, 26))
    owner.close()


def test_a_queue_that_refuses_leaves_the_promise_for_later(
    owner: psycopg.Connection[Any], environment: pytest.MonkeyPatch
) -> None:
    promise(owner)
    environment.setenv("PDF_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/missing")
    settings.forget()

    assert sweep() == 0

    assert unsent(owner) == 1
    row = owner.execute("select attempts, due_at > now() from app.outbox").fetchone()
    assert row == (1, True)
    owner.close()


def test_a_mail_waits_for_its_pdf_but_not_for_ever(owner: psycopg.Connection[Any]) -> None:
    (pdf,) = promise(owner)
    promise(owner, topic="mail", blocked_by=pdf)
    assert sweep() == 1  # the PDF's order only

    owner.execute("update app.outbox set created_at = now() - interval '16 minutes'")

    assert sweep() == 1
    assert unsent(owner) == 0
    owner.close()


DEAD = """
insert into ops.webhook_events (id, source, event_id, type, handler, queue, status, category, error,
    received_at, bytes, is_json, body)
values (gen_random_uuid(), 'github', '1', 'push', 'github', 'webhooks_bulk', 'dead', 'external',
    'boom', now(), 2, true, '{}')
returning id
"""


def test_the_next_part_of_a_redrive_goes_to_the_events_own_queue(
    owner: psycopg.Connection[Any], aws_services: Aws, webhook_queues: dict[str, str]
) -> None:
    (webhook_id,) = owner.execute(DEAD).fetchall()[0]
    with database.transaction(database.SERVICE) as connection:
        service.start_redrive(connection, service.Filter(), now=datetime.now(UTC))

    assert sweep() == 1
    assert sweep() == 0
    (message,) = aws_services.messages(webhook_queues["webhooks-bulk"])
    assert message["stored"] == str(webhook_id)
    owner.close()


def test_a_batch_that_waits_is_measured_for_its_alarm(
    owner: psycopg.Connection[Any],
    aws_services: Aws,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv("BATCH_QUEUE_URL", aws_services.pdf_queue)
    settings.forget()
    owner.execute(
        "insert into app.batch_jobs (id, account_id, created_by, operation, status, total,"
        " updated_at) values (gen_random_uuid(), %s, %s, 'delete_clients', 'running', 10,"
        " now() - interval '1 hour')",
        [ACCOUNT, ACCOUNT],
    )
    owner.execute(
        "insert into app.batch_chunks (job_id, number, account_id, first_position, size, items,"
        " due_at) select id, 0, account_id, 1, 10, to_jsonb(array_fill(1, array[10])),"
        " now() - interval '50 minutes' from app.batch_jobs"
    )

    sweep()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (measured,) = (line["OldestPendingChunk"] for line in lines if "OldestPendingChunk" in line)
    assert 2990 <= measured[0] <= 3060
    owner.close()

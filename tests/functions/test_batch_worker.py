"""Tickets in, chunks done: the worker's door."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from functions.batch_worker.app import lambda_handler
from tests.batching import (
    WRITE_ENTRIES,
    WRITE_ENTRY,
    Desk,
    entries,
    register,
    ticket,
    unregister,
)
from tests.conftest import Database
from tests.conftest import forget as forget_database
from tests.functions.conftest import Aws, LambdaContext, forget, load_event

NOTIFY = "https://example.com/batches"


@pytest.fixture
def desk(database: Database, aws_services: Aws, environment: pytest.MonkeyPatch) -> Iterator[Desk]:
    sqs = boto3.client("sqs")
    for queue in ("batch-high", "batch", "batch-low", "notifications"):
        url = sqs.create_queue(QueueName=queue)["QueueUrl"]
        environment.setenv(f"{queue}-queue-url".upper().replace("-", "_"), url)
    forget()
    register(WRITE_ENTRIES, WRITE_ENTRY)
    desk = Desk(database.owner_url)
    desk.prepare()
    yield desk
    unregister(WRITE_ENTRIES, WRITE_ENTRY)
    desk.connection.close()


def messages(queue: str) -> list[dict[str, Any]]:
    """What can be seen on a queue now."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def delayed(queue: str) -> int:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return int(found["Attributes"]["ApproximateNumberOfMessagesDelayed"])


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics that the last invocation wrote."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return {name: value for line in lines for name, value in line.items()}


def test_a_ticket_does_the_whole_job(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(25))

    answer = lambda_handler(ticket(job), LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert desk.entries(job) == list(range(25))
    found = desk.job(job)
    assert (found.status, found.succeeded, found.codes) == ("completed", 25, {"created": 25})


def test_the_committed_event_is_a_ticket_for_a_job_that_may_be_over(desk: Desk) -> None:
    answer = lambda_handler(load_event("batch_worker"), LambdaContext())

    assert answer == {"batchItemFailures": []}


@pytest.mark.parametrize(
    ("queue", "priority"),
    [("batch-high", "high"), ("batch", "normal"), ("batch-low", "low")],
)
def test_a_queues_tickets_are_for_jobs_of_its_priority(
    desk: Desk, queue: str, priority: str
) -> None:
    jobs = {
        name: desk.submit("write_entries", entries(3), priority=name)
        for name in ("high", "normal", "low")
    }

    lambda_handler(ticket(jobs["high"], f"quotekit-test-{queue}"), LambdaContext())

    assert [name for name, job in jobs.items() if desk.entries(job)] == [priority]


def test_a_ticket_that_comes_twice_or_for_a_job_that_is_gone_changes_nothing(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))

    for one in (job, job, uuid4()):
        answer = lambda_handler(ticket(one), LambdaContext())
        assert answer == {"batchItemFailures": []}

    assert desk.entries(job) == list(range(10))


class HurriedContext(LambdaContext):
    """An invocation that has 9 s left at first, and 7 s after two looks."""

    def __init__(self) -> None:
        super().__init__()
        self.left = [9_000] * 4

    def get_remaining_time_in_millis(self) -> int:
        return self.left.pop() if self.left else 7_000


def test_before_its_time_is_over_a_worker_hands_back_and_sends_a_ticket(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(100))

    lambda_handler(ticket(job), HurriedContext())

    assert 0 < len(desk.entries(job)) < 100
    assert desk.value("select count(*) from app.batch_chunks where lease is not null") == 0
    assert messages("batch") == [{"job_id": str(job)}]
    lambda_handler(ticket(job), LambdaContext())
    assert desk.entries(job) == list(range(100))


def test_a_job_above_its_rate_gets_a_delayed_ticket_and_no_second_one(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10), rate=1)

    for _ in range(2):
        lambda_handler(ticket(job), LambdaContext())

    assert len(desk.entries(job)) == 1
    assert delayed("batch") == 1


def test_without_a_database_the_ticket_rests(desk: Desk, environment: pytest.MonkeyPatch) -> None:
    url = boto3.client("sqs").get_queue_url(QueueName="batch")["QueueUrl"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"job_id": "x"}))
    (received,) = boto3.client("sqs").receive_message(QueueUrl=url)["Messages"]
    event = ticket(uuid4())
    event["Records"][0]["receiptHandle"] = received["ReceiptHandle"]
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    forget_database()

    answer = lambda_handler(event, LambdaContext())

    identifier = event["Records"][0]["messageId"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": identifier}]}
    assert messages("batch") == []


def test_the_metrics_count_items_chunks_and_lost_leases(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    items = entries(25)
    items[3] |= {"fault": "missing"}
    job = desk.submit("write_entries", items)
    lease = "update app.batch_chunks set state = 'running', lease = 0, leased_until = now() "
    desk.connection.execute(lease.encode() + b"where number = 0")

    lambda_handler(ticket(job), LambdaContext())

    found = figures(capsys)
    assert (found["ItemsSucceeded"], found["ItemsFailed"], found["ItemsSkipped"]) == (
        [24.0],
        [1.0],
        [0.0],
    )
    assert len(found["ChunkTime"]) == 3
    assert (found["LeasesLost"], found["CommitsRefused"]) == ([1.0], [0.0])


def test_whom_it_concerns_is_told_of_the_start_and_the_end_once(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(25), notify_url=NOTIFY)

    for _ in range(2):
        lambda_handler(ticket(job), LambdaContext())

    query = "select event, data ->> 'status', data ->> 'succeeded' from app.batch_notices"
    told = desk.connection.execute(query.encode() + b" order by created_at").fetchall()
    assert told == [("started", "running", "0"), ("finished", "completed", "25")]
    assert len(messages("notifications")) == 2


def test_whom_it_concerns_is_told_that_too_many_items_failed(desk: Desk) -> None:
    items = [{"n": n, "fault": "missing"} for n in range(30)]
    job = desk.submit("write_entries", items, notify_url=NOTIFY, stop=5)

    lambda_handler(ticket(job), LambdaContext())

    query = "select data ->> 'error' from app.batch_notices where event = 'failed'"
    assert desk.value(query) == "More than 5 % of the items failed."


def test_progress_is_told_ten_seconds_after_the_start(desk: Desk) -> None:
    job = desk.submit("write_entry", entries(20), notify_url=NOTIFY)
    desk.connection.execute(
        "update app.batch_jobs set status = 'running', started_at = now() - interval '11 seconds'"
    )

    lambda_handler(ticket(job), LambdaContext())

    events = [row[0] for row in desk.connection.execute("select event from app.batch_notices")]
    assert events.count("progress") == 1

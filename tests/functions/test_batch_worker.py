"""Tickets in, chunks done: the worker's door."""

from collections.abc import Iterator

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
from tests.functions.conftest import Aws, LambdaContext, forget


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


def test_a_ticket_does_the_whole_job(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(25))

    answer = lambda_handler(ticket(job), LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert desk.entries(job) == list(range(25))
    found = desk.job(job)
    assert (found.status, found.succeeded, found.codes) == ("completed", 25, {"created": 25})

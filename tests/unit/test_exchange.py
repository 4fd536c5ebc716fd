"""AWS without boto3: signed as botocore signs, repeated when it helps, over kept connections."""

import time
from collections.abc import Iterator

import pytest

from quotekit import exchange
from quotekit.exchange import AwsError
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/queue"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with vendor.serve() as server:
        for name in ("AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            monkeypatch.delenv(name, raising=False)
        for service in ("SQS", "S3", "SECRETS_MANAGER"):
            monkeypatch.delenv(f"AWS_ENDPOINT_URL_{service}", raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", vendor.REGION)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", vendor.KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", vendor.SECRET_KEY)
        monkeypatch.setattr(exchange, "PAUSE", 0)
        server.queues[QUEUE] = []
        exchange.forget()
        yield server
        exchange.forget()


def send(text: str = "hello", **options: float) -> dict[str, object]:
    request = {"QueueUrl": QUEUE, "MessageBody": text}
    return exchange.call("sqs", "SendMessage", request, **({"timeout": 1} | options))


def test_a_message_is_sent_with_the_signature_botocore_makes(aws):
    answer = send()

    assert answer["MessageId"] == "m-1"
    assert aws.queues[QUEUE][0]["MessageBody"] == "hello"


def test_an_object_is_stored_and_read_with_the_signature_botocore_makes(aws):
    exchange.put("documents", "claims/0190-a_b.json", b"\x00\xff", "application/json", timeout=1)

    found = exchange.get("documents", "claims/0190-a_b.json", timeout=1)
    again = exchange.get("documents", "claims/0190-a_b.json", found.headers["etag"], timeout=1)

    assert aws.objects == {"/documents/claims/0190-a_b.json": b"\x00\xff"}
    assert (found.status, found.body) == (200, b"\x00\xff")
    assert (again.status, again.body) == (304, b"")


def test_requests_to_one_place_share_a_connection(aws):
    for _ in range(5):
        send()

    assert aws.connections == 1


def test_a_connection_that_idled_for_long_is_not_used_again(aws, monkeypatch):
    send()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + exchange.LONGEST_IDLE + 1)

    send()

    assert aws.connections == 2


@pytest.mark.parametrize("trouble", ["error", "throttle", "drop"])
def test_a_passing_trouble_is_tried_again(aws, trouble):
    aws.trouble("sqs", trouble, trouble)

    send()

    assert len(aws.queues[QUEUE]) == 1


def test_a_message_whose_answer_was_lost_is_sent_twice_rather_than_never(aws):
    aws.trouble("sqs", "lost")

    send()

    assert [entry["MessageBody"] for entry in aws.queues[QUEUE]] == ["hello", "hello"]


def test_a_connection_the_other_side_ended_costs_no_attempt(aws):
    send()
    aws.trouble("sqs", "drop", "error", "error")

    send()  # over the kept connection, then anew: two errors, and the third attempt works

    assert len(aws.queues[QUEUE]) == 2


def test_a_refusal_is_final(aws):
    aws.trouble("sqs", "denied")

    with pytest.raises(AwsError) as caught:
        send()

    assert caught.value.reason == "AccessDeniedException"
    assert aws.count("SendMessage") == 1


def test_aws_in_lasting_trouble_is_given_up(aws):
    aws.trouble("sqs", *["error"] * 9)

    with pytest.raises(AwsError, match=r"^AmazonSQS\.SendMessage: InternalFailure$"):
        send()

    assert aws.count("SendMessage") == exchange.ATTEMPTS


def test_the_deadline_ends_the_waiting(aws):
    aws.delay = 2
    aws.trouble("sqs", "late", "late", "late")
    started = time.monotonic()

    with pytest.raises(AwsError) as caught:
        send(timeout=5, deadline=0.3)

    assert caught.value.reason == "TimeoutError"
    assert time.monotonic() - started < 1.5


def test_nobody_there_is_an_error_of_aws(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")

    with pytest.raises(AwsError) as caught:
        send()

    assert caught.value.reason == "ConnectionRefusedError"


def test_services_are_where_botocore_finds_them(monkeypatch):
    import boto3

    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    for service in ("sqs", "secretsmanager"):
        theirs = boto3.client(
            service, "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        assert exchange.endpoint(service) == theirs.meta.endpoint_url
    assert exchange.address("b", "claims/1") == "https://b.s3.eu-west-1.amazonaws.com/claims/1"

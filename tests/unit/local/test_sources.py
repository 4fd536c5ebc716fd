"""SQS event sources: batches, windows, partial failures and concurrency over a queue in memory."""

import asyncio
import itertools
import json

import pytest

from local import sources
from local.invocation import Outcome
from local.runtime import TooManyRequestsError
from local.sources import Mapping, Poller, Queue, failures, record
from local.wire import CallError

ARN = "arn:aws:sqs:us-east-1:000000000000:mail"


class FakeSqs:
    """Speaks SQS's JSON protocol; a message received stays away until the test returns it."""

    def __init__(self):
        self.numbers = itertools.count()
        self.visible, self.hidden, self.deleted, self.receives = [], {}, [], []
        self.broken = 0

    def put(self, *bodies):
        for body in bodies:
            number = str(next(self.numbers))
            self.visible.append({"MessageId": f"m{number}", "Body": body, "MD5OfBody": "md5"})

    async def post(self, path, headers, body):
        if self.broken:
            self.broken -= 1
            raise CallError("refused")
        assert path == "/"
        answer = await self.answer(headers["X-Amz-Target"], json.loads(body))
        return json.dumps(answer).encode()

    async def answer(self, target, body):
        match target:
            case "AmazonSQS.GetQueueUrl":
                assert body == {"QueueName": "mail"}
                return {"QueueUrl": "http://sqs/mail"}
            case "AmazonSQS.ReceiveMessage":
                return {"Messages": await self.receive(body)}
            case "AmazonSQS.DeleteMessageBatch":
                assert len(body["Entries"]) <= 10
                for entry in body["Entries"]:
                    self.deleted.append(self.hidden.pop(entry["ReceiptHandle"])["Body"])
                return {"Successful": []}

    async def receive(self, body):
        assert 1 <= body["MaxNumberOfMessages"] <= 10
        self.receives.append(body)
        if not self.visible:
            await asyncio.sleep(0.01)
        taken = self.visible[: body["MaxNumberOfMessages"]]
        del self.visible[: len(taken)]
        for message in taken:
            message["ReceiptHandle"] = f"r-{message['MessageId']}"
            self.hidden[message["ReceiptHandle"]] = message
        return taken


class Function:
    def __init__(self, answer=lambda _: None, seconds=0.0):
        self.answer, self.seconds = answer, seconds
        self.batches, self.running, self.most = [], 0, 0

    async def invoke(self, function, payload, *, qualifier):
        assert (function, qualifier) == ("sender", "live")
        bodies = [item["body"] for item in json.loads(payload)["Records"]]
        self.batches.append(bodies)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        result = self.answer(bodies)
        return result if isinstance(result, Outcome) else Outcome(json.dumps(result).encode())


def serve(sqs, function, until, **settings):
    """Run one poller until the condition holds."""

    async def play():
        mapping = Mapping(ARN, "sender", "live", **settings)
        task = asyncio.create_task(Poller(mapping, Queue(sqs, ARN), function).run())
        async with asyncio.timeout(5):
            while not until():  # any condition of the test
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())


def test_a_batch_that_succeeds_is_deleted():
    sqs, function = FakeSqs(), Function()
    sqs.put("a", "b", "c")

    serve(sqs, function, lambda: len(sqs.deleted) == 3)

    assert function.batches == [["a", "b", "c"]]
    assert sqs.hidden == {}
    assert sqs.receives[0]["WaitTimeSeconds"] == 1


def test_only_the_failed_records_stay_with_partial_batch_responses():
    sqs = FakeSqs()
    function = Function(lambda _: {"batchItemFailures": [{"itemIdentifier": "m1"}]})
    sqs.put("a", "b", "c")

    serve(sqs, function, lambda: sqs.deleted, report_item_failures=True)

    assert sqs.deleted == ["a", "c"]
    assert [message["Body"] for message in sqs.hidden.values()] == ["b"]


def test_without_the_setting_the_response_is_not_read():
    sqs = FakeSqs()
    function = Function(lambda _: {"batchItemFailures": [{"itemIdentifier": "m1"}]})
    sqs.put("a", "b")

    serve(sqs, function, lambda: sqs.deleted)

    assert sqs.deleted == ["a", "b"]


def test_a_function_error_fails_the_whole_batch():
    sqs, function = FakeSqs(), Function(lambda _: Outcome(b"{}", "Unhandled"))
    sqs.put("a", "b")

    serve(sqs, function, lambda: function.batches)

    assert sqs.deleted == []
    assert len(sqs.hidden) == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "m1"}]}', {"m1"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', None),
        (b'{"batchItemFailures": [{"identifier": "m1"}]}', None),
        (b'{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', None),
        (b'"text"', None),
        (b"not json", None),
    ],
)
def test_a_partial_batch_response_is_read_as_the_guide_rules(answer, expected):
    assert failures(answer, {"m1", "m2"}) == expected


def test_never_more_batches_at_once_than_the_maximum_concurrency():
    sqs, function = FakeSqs(), Function(seconds=0.05)
    sqs.put(*"abcdefgh")

    serve(sqs, function, lambda: len(sqs.deleted) == 8, batch_size=1, maximum_concurrency=3)

    assert function.most == 3


def test_a_window_collects_up_to_the_batch_size():
    sqs, function = FakeSqs(), Function()
    sqs.put(*"abcdefghijklmno")

    serve(sqs, function, lambda: len(sqs.deleted) == 15, batch_size=12, window_seconds=0.1)

    assert [len(batch) for batch in function.batches] == [12, 3]


def test_throttled_batches_are_tried_again(monkeypatch):
    monkeypatch.setattr(sources, "THROTTLE_SECONDS", (0.01, 0.01))
    sqs = FakeSqs()
    sqs.put("a")
    attempts = []

    def throttle_once(bodies):
        attempts.append(bodies)
        if len(attempts) == 1:
            raise TooManyRequestsError

    serve(sqs, Function(throttle_once), lambda: sqs.deleted)

    assert len(attempts) == 2


def test_a_queue_that_fails_for_a_moment_is_polled_again():
    sqs, function = FakeSqs(), Function()
    sqs.put("a")
    sqs.broken = 1

    serve(sqs, function, lambda: sqs.deleted)

    assert sqs.deleted == ["a"]


def test_a_record_has_the_documented_shape():
    message = {
        "MessageId": "059f36b4",
        "ReceiptHandle": "AQEB",
        "Body": "Test message.",
        "MD5OfBody": "e4e68fb7",
        "Attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDA",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
        },
        "MessageAttributes": {
            "kind": {"StringValue": "x", "DataType": "String"},
            "blob": {"BinaryValue": "/wA=", "DataType": "Binary"},
        },
        "MD5OfMessageAttributes": "00484c68",
    }

    assert record(message, ARN) == {
        "messageId": "059f36b4",
        "receiptHandle": "AQEB",
        "body": "Test message.",
        "attributes": message["Attributes"],
        "messageAttributes": {
            "kind": {
                "stringValue": "x",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            },
            "blob": {
                "binaryValue": "/wA=",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Binary",
            },
        },
        "md5OfBody": "e4e68fb7",
        "md5OfMessageAttributes": "00484c68",
        "eventSource": "aws:sqs",
        "eventSourceARN": ARN,
        "awsRegion": "us-east-1",
    }


def test_a_mapping_is_read_from_the_lambda_api():
    mapping = Mapping.from_api(
        {
            "EventSourceArn": ARN,
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:sender:live",
            "BatchSize": 5,
            "MaximumBatchingWindowInSeconds": 2,
            "ScalingConfig": {"MaximumConcurrency": 4},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }
    )

    assert mapping == Mapping(ARN, "sender", "live", 5, 2, True, 4)

"""SQS event source mappings: polls the emulator's queues and invokes functions with batches."""

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from local.invocation import REGION, Outcome
from local.runtime import RuntimeApiError, TooManyRequestsError
from local.wire import CallError

POLL_SECONDS: Final = 1  # Lambda waits 20; the emulator would end no sooner than its last answer
RECEIVE_LIMIT: Final = 10  # messages SQS hands out, or deletes, in one call
BATCH_BYTES: Final = 6_000_000
DEFAULT_CONCURRENCY: Final = 5
THROTTLE_SECONDS: Final = (0.5, 1, 2, 4, 8, 15)
# Read by the emulator for account and region; it checks no signature.
AUTHORIZATION: Final = (
    f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/sqs/aws4_request,"
    " SignedHeaders=host, Signature=none"
)

type Message = dict[str, Any]


class Invoker(Protocol):
    async def invoke(self, function: str, payload: bytes, *, qualifier: str) -> Outcome: ...


@dataclass(frozen=True)
class Mapping:
    """An event source mapping as it was deployed."""

    queue_arn: str
    function: str
    qualifier: str
    batch_size: int = 10
    window_seconds: float = 0
    report_item_failures: bool = False
    maximum_concurrency: int = DEFAULT_CONCURRENCY

    @classmethod
    def from_api(cls, answer: dict[str, Any]) -> "Mapping":
        function, _, qualifier = answer["FunctionArn"].split(":function:")[1].partition(":")
        return cls(
            queue_arn=answer["EventSourceArn"],
            function=function,
            qualifier=qualifier or "$LATEST",
            batch_size=answer.get("BatchSize", 10),
            window_seconds=answer.get("MaximumBatchingWindowInSeconds") or 0,
            report_item_failures="ReportBatchItemFailures"
            in (answer.get("FunctionResponseTypes") or ()),
            maximum_concurrency=(answer.get("ScalingConfig") or {}).get(
                "MaximumConcurrency", DEFAULT_CONCURRENCY
            ),
        )


class Emulator(Protocol):
    async def post(self, path: str, headers: dict[str, str], body: bytes) -> bytes: ...


class Queue:
    """The three calls a poller makes, as SQS's JSON protocol."""

    def __init__(self, emulator: Emulator, arn: str) -> None:
        self._emulator = emulator
        self._name = arn.rpartition(":")[2]
        self._url: str | None = None

    async def receive(self, count: int, wait_seconds: int) -> list[Message]:
        answer = await self._call(
            "ReceiveMessage",
            MaxNumberOfMessages=min(count, RECEIVE_LIMIT),
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[Message] = answer.get("Messages") or []
        return messages

    async def delete(self, messages: list[Message]) -> None:
        for start in range(0, len(messages), RECEIVE_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[start : start + RECEIVE_LIMIT])
            ]
            await self._call("DeleteMessageBatch", Entries=entries)

    async def _call(self, action: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        if self._url is None:
            found = await self._post("GetQueueUrl", {"QueueName": self._name})
            self._url = found["QueueUrl"]
        return await self._post(action, {"QueueUrl": self._url, **parameters})

    async def _post(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION,
        }
        content = await self._emulator.post("/", headers, json.dumps(body).encode())
        answer: dict[str, Any] = json.loads(content) if content else {}
        return answer


class Poller:
    """Serves one mapping until cancelled."""

    def __init__(self, mapping: Mapping, queue: Queue, invoker: Invoker) -> None:
        self._mapping = mapping
        self._queue = queue
        self._invoker = invoker

    async def run(self) -> None:
        """Poll while there is room for a batch; a hiccup of the queue is waited out."""
        slots = asyncio.Semaphore(self._mapping.maximum_concurrency)
        async with asyncio.TaskGroup() as batches:
            while True:
                await slots.acquire()
                try:
                    batch = await self._gather()
                except CallError:
                    batch = []
                    await asyncio.sleep(1)
                if batch:
                    task = batches.create_task(self._process(batch))
                    task.add_done_callback(lambda _: slots.release())
                else:
                    slots.release()

    async def _gather(self) -> list[Message]:
        """Wait for messages; with a window, until the batch is full or the window is over."""
        mapping = self._mapping
        batch = await self._queue.receive(mapping.batch_size, POLL_SECONDS)
        deadline = time.monotonic() + mapping.window_seconds
        while batch and len(batch) < mapping.batch_size and _size(batch) < BATCH_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            missing = mapping.batch_size - len(batch)
            batch += await self._queue.receive(missing, min(POLL_SECONDS, int(left) + 1))
        return batch

    async def _process(self, batch: list[Message]) -> None:
        """What is not deleted comes again after its visibility timeout; SQS counts and redrives."""
        event = {"Records": [record(message, self._mapping.queue_arn) for message in batch]}
        outcome = await self._invoke(json.dumps(event).encode())
        if outcome is None or outcome.error:
            return
        failed: Iterable[str] | None = set()
        if self._mapping.report_item_failures:
            failed = failures(outcome.payload, {message["MessageId"] for message in batch})
        if failed is not None:
            with suppress(CallError):  # then they come again: at least once, as ever
                await self._queue.delete([m for m in batch if m["MessageId"] not in failed])

    async def _invoke(self, payload: bytes) -> Outcome | None:
        mapping = self._mapping
        for delay in (*THROTTLE_SECONDS, None):
            try:
                return await self._invoker.invoke(
                    mapping.function, payload, qualifier=mapping.qualifier
                )
            except TooManyRequestsError:
                if delay is not None:
                    await asyncio.sleep(delay)
            except RuntimeApiError:
                break
        return None


def failures(payload: bytes, sent: set[str]) -> set[str] | None:
    """The message ids a partial batch response names; None when the whole batch failed.

    As the Lambda guide rules: nothing at all is success, anything malformed is failure.
    """
    try:
        answer = json.loads(payload or b"null")
        if not answer:
            return set()
        named = {item["itemIdentifier"] for item in answer.get("batchItemFailures") or []}
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return named if named <= sent else None


def record(message: Message, queue_arn: str) -> dict[str, Any]:
    """An SQS message as Lambda shows it to a function."""
    shown = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    if "MD5OfMessageAttributes" in message:
        shown["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return shown


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    kind = "binaryValue" if "BinaryValue" in value else "stringValue"
    return {
        kind: value.get("BinaryValue", value.get("StringValue")),
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value["DataType"],
    }


def _size(batch: list[Message]) -> int:
    return sum(len(message["Body"]) for message in batch)

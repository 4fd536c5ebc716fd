"""Messages to SQS, and the parts of a consumer that every queue shares.

A message above the limit of SQS travels by claim check: its body goes to S3, and the message
carries
the key. Delivery is at least once, so a consumer's effect has to be idempotent.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import batched
from random import uniform
from typing import TYPE_CHECKING, Any, Final

from quotekit import aws, storage
from quotekit.identifiers import new_id
from quotekit.performance import logger
from quotekit.settings import queue_settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

MOST_IN_A_BATCH: Final = 10
LARGEST_MESSAGE: Final = 262_144  # bytes; every region's queues take that much, batches in all too
CLAIM: Final = "quotekit_claim_check"
LONGEST_DELAY: Final = 900  # seconds
LONGEST_INVISIBILITY: Final = 43_200


def url(topic: str) -> str:
    """The address of a topic's queue: MAIL_QUEUE_URL, PDF_QUEUE_URL."""
    return queue_settings().need(f"{topic}_queue_url")


def send(queue_url: str, messages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Send messages by name; yields the names SQS took. What it refused is logged, not raised."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bodies = {name: encode(message) for name, message in messages.items()}
    for names in _batches(bodies):
        try:
            yield from _send_batch(queue_url, {name: bodies[name] for name in names})
        except (BotoCoreError, ClientError) as error:
            logger.warning("queue refused a batch", queue=queue_url, error=type(error).__name__)


def send_later(queue_url: str, message: Mapping[str, Any], seconds: int) -> None:
    """Send one message that nobody sees before so many seconds, 900 at most, have passed."""
    aws.client("sqs").send_message(
        QueueUrl=queue_url, MessageBody=encode(message), DelaySeconds=min(seconds, LONGEST_DELAY)
    )


def _send_batch(queue_url: str, bodies: Mapping[str, str]) -> list[str]:
    entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies.values())]
    answer = aws.client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries)
    for failure in answer.get("Failed", []):
        logger.warning("queue refused a message", queue=queue_url, code=failure["Code"])
    names = list(bodies)
    return [names[int(item["Id"])] for item in answer.get("Successful", [])]


def _batches(bodies: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """At most ten messages and LARGEST_MESSAGE bytes together."""
    for names in batched(bodies, MOST_IN_A_BATCH, strict=False):
        batch: list[str] = []
        size = 0
        for name in names:
            length = len(bodies[name].encode())
            if batch and size + length > LARGEST_MESSAGE:
                yield tuple(batch)
                batch, size = [], 0
            batch.append(name)
            size += length
        yield tuple(batch)


def encode(message: Mapping[str, Any]) -> str:
    """The body that travels: the message, or the claim check of one that is too large."""
    body = json.dumps(message, separators=(",", ":"))
    if len(body.encode()) <= LARGEST_MESSAGE:
        return body
    key = f"claims/{new_id()}.json"
    storage.put(storage.documents(), key, body.encode(), "application/json")
    return json.dumps({CLAIM: key})


def decode(record: "SQSRecord") -> dict[str, Any]:
    """The message of a record, fetched from S3 if it travelled by claim check."""
    message: dict[str, Any] = json.loads(record.body)
    if CLAIM in message:
        message = json.loads(storage.get(storage.documents(), message[CLAIM]))
    return message


def receives(record: "SQSRecord") -> int:
    """How often the message has been delivered, this time included."""
    return int(record.attributes.approximate_receive_count or 1)


def name(record: "SQSRecord") -> str:
    """The name of the queue a record came from."""
    return record.event_source_arn.rpartition(":")[2]


def back_off(
    record: "SQSRecord",
    queue_url: str,
    *,
    first: float,
    longest: float,
    failures: int | None = None,
) -> None:
    """Let a failed message rest: first · 2ⁿ seconds ± 30 %, at most `longest`.

    n counts the deliveries before this one, or the failures where they are known.
    """
    n = (failures or receives(record)) - 1
    rest(record, queue_url, min(first * 2.0 ** min(n, 60), longest))


def rest(record: "SQSRecord", queue_url: str, seconds: float) -> None:
    """Make a message visible again after so many seconds ± 30 %."""
    jittered = seconds * uniform(0.7, 1.3)  # noqa: S311 - jitter
    aws.client("sqs").change_message_visibility(
        QueueUrl=queue_url,
        ReceiptHandle=record.receipt_handle,
        VisibilityTimeout=min(round(jittered), LONGEST_INVISIBILITY),
    )


def bury(record: "SQSRecord", dead_letter_queue_url: str) -> None:
    """Put a message that can never be done where SQS would only after the last delivery.

    The caller deletes it by succeeding. A crash between the two makes a second dead letter.
    """
    aws.client("sqs").send_message(QueueUrl=dead_letter_queue_url, MessageBody=record.body)

"""The `notifications` queue: what happened to a batch, told to the account's own server."""

import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import database, destinations, performance, queues
from quotekit.batches import notices, signatures
from quotekit.batches.notices import Notice
from quotekit.destinations import Reply
from quotekit.environment import NotifySettings
from quotekit.performance import logger, metrics
from quotekit.records import RecordProcessor
from quotekit.settings import queue_settings

# Seconds between attempts, as Standard Webhooks proposes; SQS keeps nothing hidden for 14 hours.
RESTS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
LONGEST_WISH: Final = 3_600  # seconds a receiver may ask to be left alone

processor = RecordProcessor()


class NotTakenError(Exception):
    """The message stays in the queue: later, or at its end in the dead-letter queue."""


def record_handler(record: SQSRecord) -> None:
    notice_id = UUID(queues.decode(record)["notice_id"])
    logger.append_keys(notice_id=str(notice_id))
    with database.reading(database.SERVICE) as connection:
        notice = notices.get(connection, notice_id)
    if notice is None or notice.notify_url is None or notice.status != "pending":
        return
    if notice.overtaken:
        with database.transaction(database.SERVICE) as connection:
            notices.drop(connection, notice_id)
        return
    attempt(record, notice, notice.notify_url)


def attempt(record: SQSRecord, notice: Notice, url: str) -> None:
    body = json.dumps(notice.document, separators=(",", ":")).encode()
    headers = signatures.signed(notice.account_id, notice.id, body, datetime.now(UTC))
    headers |= {"content-type": "application/json", "user-agent": "QuoteKit"}
    started = time.perf_counter()
    final, reply, reason = False, None, None
    try:
        to = destinations.Destination.of(url)
        reply = destinations.post(to, headers, body, timeout=NotifySettings.timeout)
        final, reason = judged(reply)
    except destinations.RefusedError as error:
        final, reason = True, str(error)
    except destinations.UnreachableError as error:
        reason = str(error)
    milliseconds = (time.perf_counter() - started) * 1000
    settle(record, notice, reply, reason, milliseconds=milliseconds, final=final)


def judged(reply: Reply) -> tuple[bool, str | None]:
    """Whether it is at its end, and why it was not taken: any 2xx takes it, 410 wants no more."""
    if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return True, None
    return reply.status == HTTPStatus.GONE, f"answered with {reply.status}"


def settle(
    record: SQSRecord,
    notice: Notice,
    reply: Reply | None,
    reason: str | None,
    *,
    milliseconds: float,
    final: bool,
) -> None:
    """Write down what came of it; what may yet be taken goes back to the queue."""
    count = queues.receives(record)
    last = count >= queue_settings().notification_receives
    fate: notices.Fate = "delivered" if not reason else "failed" if final or last else "pending"
    with database.transaction(database.SERVICE) as connection:
        notices.attempted(
            *(connection, notice.id, fate),
            response_status=reply and reply.status,
            reason=reason,
            milliseconds=milliseconds,
        )
    word = "Delivered" if not reason else "Refused" if final else "Failed"
    metrics.add_metric(f"Notifications{word}", MetricUnit.Count, 1)
    if reason and not final:
        if not last:
            wish = min(reply.retry_after, LONGEST_WISH) if reply else 0
            rest = max(RESTS[min(count, len(RESTS)) - 1], wish)
            queues.rest(record, queues.url("notifications"), rest)
        raise NotTakenError(reason)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    with performance.measured("notifications queue") as request:
        answer = process_partial_response(event, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer

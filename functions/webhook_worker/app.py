"""The three queues of webhooks: each event recorded once and applied once, in one transaction."""

from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import database, performance, queues
from quotekit.errors import DatabaseUnavailableError
from quotekit.performance import logger, metrics
from quotekit.records import RecordProcessor
from quotekit.settings import queue_settings
from quotekit.webhooks import applying, intake
from quotekit.webhooks.model import Event, PermanentError
from quotekit.webhooks.repository import Delivery

LEAST_TIME: Final = 20_000  # ms a record may need: a connection, two transactions, one message
SHORT_PAUSE: Final = 1.0  # seconds
# An event is not to blame for a database that is away, and is applied soon after it is back.
AWAY_PAUSE: Final = 12.0

processor = RecordProcessor()


class NotAppliedError(Exception):
    """The message stays in the queue."""


def together(records: list[SQSRecord], lambda_context: LambdaContext) -> set[str]:
    """The messages done in one transaction: all that may share one, or none of them."""
    if lambda_context.get_remaining_time_in_millis() < LEAST_TIME:
        return set()
    try:
        done = intake.apply_together(records, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found again one by one
        logger.info("one by one", error=repr(error))
        metrics.add_metric("Separated", MetricUnit.Count, 1)
        return set()
    for event, state in done.values():
        count(event, state)
    return set(done)


def record_handler(record: SQSRecord, lambda_context: LambdaContext) -> None:
    delivery = intake.delivery(record, datetime.now(UTC))
    if lambda_context.get_remaining_time_in_millis() < LEAST_TIME:
        queues.rest(record, queues.url(delivery.queue), SHORT_PAUSE)
        raise NotAppliedError("no time left in this invocation")
    try:
        handle(record, delivery)
    except DatabaseUnavailableError as error:
        queues.rest(record, queues.url(delivery.queue), AWAY_PAUSE)
        raise NotAppliedError("the database is away") from error


def handle(record: SQSRecord, delivery: Delivery) -> None:
    try:
        event = intake.read(record)
    except (PermanentError, ValueError, TypeError, FileNotFoundError) as error:
        logger.warning("unreadable message", error=repr(error))
        bury(record, delivery)
        return
    logger.append_keys(source=event.source, event_id=event.event_id)
    try:
        with database.transaction(database.SERVICE) as connection:
            state = applying.apply(connection, event, delivery)
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the attempt is written down
        failed(record, event, delivery, error)
        return
    count(event, state)


def count(event: Event, state: str) -> None:
    metrics.add_metric(state.capitalize(), MetricUnit.Count, 1)
    latency = (datetime.now(UTC) - event.received_at).total_seconds() * 1000
    metrics.add_metric("Latency", MetricUnit.Milliseconds, max(latency, 0.0))


def failed(record: SQSRecord, event: Event, delivery: Delivery, error: Exception) -> None:
    """Write the attempt down; let the message rest, or end it where nothing can mend it."""
    most = queue_settings().webhook_attempts
    if event.refused is not None:
        queues.back_off(record, queues.url(delivery.queue), first=60, longest=3600)
        raise NotAppliedError("a refusal's sample") from error
    with database.transaction(database.SERVICE) as connection:
        failure = applying.fail(connection, event, delivery, error, most=most)
    if failure is None:
        return  # a twin applied it
    metrics.add_metric("Failed", MetricUnit.Count, 1)
    if failure.status == "dead":
        logger.warning("dead", failures=failure.failures, exc_info=error)
        bury(record, delivery)
        return
    queues.rest(record, queues.url(delivery.queue), applying.pause(failure.failures))
    raise NotAppliedError(f"failure {failure.failures} of {most}") from error


def bury(record: SQSRecord, delivery: Delivery) -> None:
    queues.bury(record, queues.url(f"{delivery.queue}_dead_letter"))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    event["Records"].sort(key=intake.turn)
    answer: PartialItemFailureResponse = {"batchItemFailures": []}
    with performance.measured("webhooks") as request:
        done = together([SQSRecord(item) for item in event["Records"]], context)
        if left := [item for item in event["Records"] if item["messageId"] not in done]:
            answer = process_partial_response({"Records": left}, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer

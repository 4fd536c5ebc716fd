"""The dead letters of webhooks: each written down with why, deleted only after the commit."""

from typing import Any
from uuid import UUID

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import database, performance, queues
from quotekit.performance import logger, metrics
from quotekit.records import RecordProcessor
from quotekit.webhooks import letters, repository
from quotekit.webhooks.letters import Letter
from quotekit.webhooks.model import Event, PermanentError

processor = RecordProcessor()


def record_handler(record: SQSRecord) -> None:
    letter = read(record)
    with database.transaction(database.SERVICE) as connection:
        recorded = letters.record(connection, letter)
    if recorded.is_new:
        metrics.add_metric("DeadLetters", MetricUnit.Count, 1)
        logger.warning(
            "dead letter",
            letter_id=str(recorded.id),
            category=recorded.category,
            count=recorded.count,
            sent_again=recorded.sent_again,
        )


def read(record: SQSRecord) -> Letter:
    """The letter with its event, or raw when there is none to be read."""
    event, unread = None, ""
    try:
        event = event_of(queues.decode(record))
        if event.refused is not None:
            event, unread = None, "the sample of a refusal"
    except (PermanentError, ValueError, TypeError, FileNotFoundError) as error:
        unread = f"{type(error).__name__}: {error}"
    topic = repository.topic_of(queues.name(record))
    return Letter(record.message_id, topic, record.body, event, unread)


def event_of(message: dict[str, Any]) -> Event:
    if "stored" not in message:
        return Event.of(message)
    with database.reading(database.SERVICE) as connection:
        return repository.load(connection, UUID(message["stored"]))


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    with performance.measured("dead letters") as request:
        answer = process_partial_response(event, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer

"""The `batch-high`, `batch` and `batch-low` queues: a ticket lets a worker look for chunks."""

from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import performance, queues
from quotekit.batches import engine
from quotekit.batches.model import TOPICS, Priority
from quotekit.batches.slices import Counts
from quotekit.errors import DatabaseUnavailableError
from quotekit.performance import logger, metrics
from quotekit.records import RecordProcessor

AWAY_PAUSE: Final = 12.0  # seconds; a ticket is not to blame for a database that is away
COUNTED: Final = {"succeeded": "ItemsSucceeded", "failed": "ItemsFailed", "skipped": "ItemsSkipped"}

processor = RecordProcessor()


def record_handler(record: SQSRecord, lambda_context: LambdaContext) -> None:
    priority = priority_of(queues.name(record))
    job_id = UUID(queues.decode(record)["job_id"])
    logger.append_keys(job_id=str(job_id))

    def remaining() -> float:
        return lambda_context.get_remaining_time_in_millis() / 1000

    try:
        turn = engine.serve(priority, job_id, remaining)
    except DatabaseUnavailableError:
        queues.rest(record, queues.url(TOPICS[priority]), AWAY_PAUSE)
        raise
    if turn.ticket_after is not None:
        url = queues.url(TOPICS[priority])
        queues.send_later(url, {"job_id": str(job_id)}, turn.ticket_after)
    measure(turn.counts)


def priority_of(queue: str) -> Priority:
    if queue.endswith("batch-high"):
        return "high"
    return "low" if queue.endswith("batch-low") else "normal"


def measure(counts: Counts) -> None:
    for status, name in COUNTED.items():
        metrics.add_metric(name, MetricUnit.Count, counts.items[status])
    for milliseconds in counts.milliseconds:
        metrics.add_metric("ChunkTime", MetricUnit.Milliseconds, milliseconds)
    metrics.add_metric("LeasesLost", MetricUnit.Count, counts.leases_lost)
    metrics.add_metric("CommitsRefused", MetricUnit.Count, counts.refused)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    with performance.measured("batch queue") as request:
        answer = process_partial_response(event, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer

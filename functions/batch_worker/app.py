"""The `batch-high`, `batch` and `batch-low` queues: a ticket lets a worker look for chunks."""

from typing import Any

from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import performance, queues
from quotekit.performance import logger, metrics
from quotekit.records import RecordProcessor

processor = RecordProcessor()


def record_handler(record: SQSRecord) -> None:
    raise NotImplementedError(queues.decode(record)["job_id"])


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    with performance.measured("batch queue"):
        return process_partial_response(event, record_handler, processor, context)

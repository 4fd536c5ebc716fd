"""Batches from SQS: each record by itself; one that fails goes back alone, and the log says why."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType

from quotekit.performance import logger


class RecordProcessor(BatchProcessor):
    """The Powertools processor, which is silent about the records it hands back."""

    def __init__(self) -> None:
        super().__init__(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def failure_handler(self, record: Any, exception: Any) -> Any:  # noqa: ANN401 - as Powertools
        logger.warning("record failed", message_id=record.message_id, exc_info=exception)
        return super().failure_handler(record, exception)

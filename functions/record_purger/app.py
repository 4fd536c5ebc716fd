"""Every hour: records older than their days, deleted."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import performance
from quotekit.operations import retention
from quotekit.performance import logger, metrics

MARGIN: Final = 35.0  # seconds for the last transaction: a statement may take thirty


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    until = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN
    with performance.measured("schedule"):
        done = retention.purge(datetime.now(UTC), until=until)
        metrics.add_metric("Purged", MetricUnit.Count, sum(done.deleted.values()))
    logger.info("purged", deleted=done.deleted, finished=done.finished)
    return {"deleted": dict(done.deleted), "finished": done.finished}

"""Every minute: promises that no queue has yet, sent; the next part of each redrive; webhooks
counted; batches whose workers or tickets were lost, taken up again."""

from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import database, outbox, performance
from quotekit.batches import sweeping, watching
from quotekit.operations.webhooks import counts
from quotekit.performance import logger, metrics
from quotekit.rounds import rounds
from quotekit.webhooks import service

MOST: Final = 500
ROUNDS: Final = 20


def sweep() -> int:
    """Send what is due; how many went. What a queue refuses comes due again, later each time."""
    with database.transaction(database.SERVICE) as connection:
        due = outbox.take_due(connection, MOST)
    return outbox.deliver(due) if due else 0


def redrive() -> int:
    """Send the next part of every running redrive; how many went."""
    with database.transaction(database.SERVICE) as connection:
        promises = service.continue_redrives(connection, datetime.now(UTC))
    return outbox.deliver(promises) if promises else 0


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    with performance.measured("schedule"):
        sent = redrive()
        sent += rounds(sweep, most=MOST, times=ROUNDS)
        counted_until = counts.roll_up(datetime.now(UTC))
        swept = sweeping.sweep()
        metrics.add_metric("LeasesLost", MetricUnit.Count, swept.leases)
        with database.reading(database.SERVICE) as connection:
            waited = watching.longest_wait(connection)
        metrics.add_metric("OldestPendingChunk", MetricUnit.Seconds, waited)
    logger.info("outbox swept", sent=sent, webhooks_counted_until=counted_until, batches=swept)
    return {"sent": sent}

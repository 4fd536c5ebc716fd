"""Every hour: clients who have not answered on a day of their account's reminders, reminded."""

from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext
from psycopg.errors import UniqueViolation

from quotekit import database, outbox, performance
from quotekit.outbox import Promise
from quotekit.performance import logger, metrics
from quotekit.quotes import reminding
from quotekit.quotes.reminding import Waiting
from quotekit.rounds import rounds
from quotekit.settings import portal_settings

MOST: Final = 200
ROUNDS: Final = 20


def remind(now: datetime) -> int:
    """Remind some of those who are due; how many."""
    with database.reading(database.SERVICE) as connection:
        due = reminding.due(connection, now=now, limit=MOST)
    promises = [promise for waiting in due for promise in promised(waiting, now)]
    if promises:
        outbox.deliver(promises)
    return len(promises)


def promised(waiting: Waiting, now: datetime) -> list[Promise]:
    url = portal_settings().url
    try:
        with database.transaction(waiting.actor) as connection:
            return reminding.remind(connection, waiting, portal_url=url, now=now)
    except UniqueViolation:  # another run was first
        return []


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    now = datetime.now(UTC)
    with performance.measured("schedule"):
        reminded = rounds(lambda: remind(now), most=MOST, times=ROUNDS)
    logger.info("clients reminded", reminded=reminded)
    return {"reminded": reminded}

"""Every hour: quotes whose last day has ended at their account's place become expired."""

from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import database, performance
from quotekit.performance import logger, metrics
from quotekit.quotes import service
from quotekit.rounds import rounds

MOST: Final = 500
ROUNDS: Final = 40


def expire(now: datetime) -> int:
    with database.transaction(database.SERVICE) as connection:
        return service.expire_quotes(connection, now=now, limit=MOST)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    now = datetime.now(UTC)
    with performance.measured("schedule"):
        expired = rounds(lambda: expire(now), most=MOST, times=ROUNDS)
    logger.info("quotes expired", expired=expired)
    return {"expired": expired}

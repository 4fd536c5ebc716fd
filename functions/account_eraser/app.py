"""HTTP /v1/account/erase, /v1/erasures; every five minutes the erasures that are due, taken on."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, performance
from quotekit.operations import operators
from quotekit.operations.erasure import asking, receipts, requests
from quotekit.operations.erasure.asking import Erasure
from quotekit.operations.erasure.receipts import Receipt
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()

MARGIN: Final = 8.0  # seconds for the last part: a statement and a page of objects


@app.post("/v1/account/erase")
def erase_account(body: requests.ErasureRequest) -> api.Accepted[Erasure]:
    """Have all the account has deleted after some days, in which it can be taken back."""
    by, now = api.caller(app), datetime.now(UTC)
    return api.accept(app, lambda c: asking.ask(c, by, body, now))


@app.get("/v1/account/erase")
def get_erasure() -> api.Answer[Erasure]:
    return api.fetch(app, asking.get)


@app.delete("/v1/account/erase")
def take_erasure_back() -> api.Answer[None]:
    by = api.caller(app)
    return api.command(app, lambda c: asking.take_back(c, by))


@app.get("/v1/erasures")
def list_erasures(query: Annotated[requests.Listing, Query()]) -> api.Answer[Page[Receipt]]:
    """Receipts of accounts that were erased; for admins."""
    app.context["principal"] = operators.admit(api.caller(app), writing=False)
    return api.fetch(app, lambda c: receipts.page(c, query))


def work(seconds: float) -> dict[str, str]:
    from quotekit.operations.erasure import working

    with performance.measured("schedule"):
        done = working.work(datetime.now(UTC), until=time.monotonic() + seconds)
    for erasure_id, status in done.items():
        logger.info("erasure", erasure_id=str(erasure_id), status=status)
    return {str(erasure_id): status for erasure_id, status in done.items()}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if "routeKey" in event:
        return app.resolve(event, context)
    return work(context.get_remaining_time_in_millis() / 1000 - MARGIN)

"""HTTP /v1/quotes/{id}/mails: what became of a quote's mails; /q/mails/…: the picture in them."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

import psycopg
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, database, performance
from quotekit.errors import QuoteKitError
from quotekit.headers import SECURITY_HEADERS
from quotekit.mails import opens
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.quotes import mailed
from quotekit.quotes.mailed import QuoteMail

app = api.Api()
GIF: Final = "R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="  # 1 by 1, clear


@app.get("/v1/quotes/<quote_id>/mails")
def list_mails(
    quote_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> api.Answer[Page[QuoteMail]]:
    return api.fetch(app, lambda c: mailed.list_mails(c, quote_id, limit, cursor))


def picture(event: dict[str, Any]) -> dict[str, Any]:
    """The same answer whatever the token and whatever fails: it tells nothing of any mail.

    The log names the route alone, as the path is a secret."""
    with performance.measured(event["routeKey"]) as request:
        try:
            if event["requestContext"]["http"]["method"] == "GET":
                count(event["rawPath"].split("/")[3])
        except (QuoteKitError, psycopg.Error) as error:
            request.failed = True
            logger.exception("an open was not counted", exc_info=error)
    headers = SECURITY_HEADERS | {"Content-Type": "image/gif"}
    return {"statusCode": HTTPStatus.OK, "headers": headers, "body": GIF, "isBase64Encoded": True}


def count(token: str) -> None:
    if opens.TOKEN.fullmatch(token):
        with database.transaction(database.SERVICE) as connection:
            opens.count(connection, token, datetime.now(UTC))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if event["rawPath"].startswith("/q/mails/"):
        return picture(event)
    return app.resolve(event, context)

"""HTTP /v1/quotes/{id}/revise and …/versions: a sent quote said anew, and what that changed."""

from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.performance import logger, metrics
from quotekit.quotes import differences, revising
from quotekit.quotes.differences import Difference
from quotekit.quotes.model import Quote
from quotekit.quotes.revising import Chain

app = api.Api()
Place = Annotated[int, Path(ge=1, le=50)]


@app.post("/v1/quotes/<quote_id>/revise")
def revise_quote(quote_id: UUID) -> api.Created[Quote]:
    return api.create(app, lambda connection: revising.revise(connection, quote_id))


@app.get("/v1/quotes/<quote_id>/versions")
def list_versions(quote_id: UUID) -> api.Answer[Chain]:
    return api.fetch(app, lambda connection: revising.chain(connection, quote_id))


@app.get("/v1/quotes/<quote_id>/versions/<before>/diff/<after>")
def compare_versions(quote_id: UUID, before: Place, after: Place) -> api.Answer[Difference]:
    return api.fetch(app, lambda c: differences.compare(*revising.pair(c, quote_id, before, after)))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

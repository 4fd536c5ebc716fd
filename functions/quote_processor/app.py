"""HTTP /v1/quotes and /v1/usage: quotes from first draft to the client's answer."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, audit
from quotekit.accounts import usage
from quotekit.bodies import Day
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.quotes import repository, requests, search, service
from quotekit.quotes.model import Calculation, Filters, Quote, Status, Summary
from quotekit.settings import portal_settings

app = api.Api()


@app.post("/v1/quotes")
def create_quote(body: requests.QuoteCreate) -> api.Created[Quote]:
    return api.create(app, lambda c: service.create_quote(c, body))


@app.post("/v1/quotes/calculate")
def calculate(body: requests.QuoteCreate) -> api.Answer[Calculation]:
    return api.command(app, lambda connection: service.calculate(connection, body))


@app.get("/v1/quotes")
def list_quotes(
    status: Status | None = None,
    client_id: UUID | None = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    created_from: Annotated[Day | None, Query(alias="from")] = None,
    created_to: Annotated[Day | None, Query(alias="to")] = None,
    is_template: bool = False,
    sort: search.Order = "-created_at",
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> api.Answer[Page[Summary]]:
    filters = Filters(status, client_id, q, created_from, created_to, is_template)
    return api.fetch(
        app, lambda c: search.list_quotes(c, filters, order=sort, limit=limit, cursor=cursor)
    )


@app.get("/v1/quotes/<quote_id>")
def get_quote(quote_id: UUID) -> api.Answer[Quote]:
    return api.fetch(app, lambda connection: repository.get(connection, quote_id).quote)


@app.patch("/v1/quotes/<quote_id>")
def change_quote(quote_id: UUID, body: requests.QuoteChange) -> api.Answer[Quote]:
    version = api.expected_version(app, body.version)
    return api.command(app, lambda c: service.change_quote(c, quote_id, body, version=version))


@app.delete("/v1/quotes/<quote_id>")
def delete_quote(quote_id: UUID) -> api.Answer[None]:
    return api.command(app, lambda connection: service.delete_quote(connection, quote_id))


@app.post("/v1/quotes/<quote_id>/duplicate")
def duplicate_quote(
    quote_id: UUID, body: requests.DuplicateRequest | None = None
) -> api.Created[Quote]:
    name = body.template_name if body else None
    return api.create(app, lambda c: service.duplicate_quote(c, quote_id, name))


@app.post("/v1/quotes/<quote_id>/send")
def send_quote(quote_id: UUID, body: requests.SendRequest | None = None) -> api.Answer[Quote]:
    from quotekit import outbox
    from quotekit.quotes.sending import Sending

    delivery = Sending(body or requests.SendRequest(), portal_settings().url, datetime.now(UTC))
    response = api.command(app, lambda connection: delivery.send(connection, quote_id))
    outbox.deliver(delivery.promises)
    return response


@app.post("/v1/quotes/<quote_id>/accept")
def accept_quote(quote_id: UUID, body: requests.Decision | None = None) -> api.Answer[Quote]:
    return decide(quote_id, "accepted", body)


@app.post("/v1/quotes/<quote_id>/decline")
def decline_quote(quote_id: UUID, body: requests.Decision | None = None) -> api.Answer[Quote]:
    return decide(quote_id, "declined", body)


@app.post("/v1/quotes/<quote_id>/convert")
def convert_quote(quote_id: UUID, body: requests.Decision | None = None) -> api.Answer[Quote]:
    return decide(quote_id, "converted", body)


def decide(quote_id: UUID, status: Status, body: requests.Decision | None) -> api.Answer[Quote]:
    return api.command(
        app, lambda c: service.decide(c, quote_id, status, body.note if body else None)
    )


@app.get("/v1/quotes/<quote_id>/history")
def quote_history(quote_id: UUID) -> api.Answer[audit.History]:
    return api.fetch(app, lambda connection: audit.history(connection, quote_id))


@app.get("/v1/usage")
def get_usage() -> api.Answer[usage.Usage]:
    return api.fetch(app, usage.current)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

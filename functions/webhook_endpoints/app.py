"""HTTP /v1/webhook-endpoints: tenants' own addresses for Standard Webhooks, and what came."""

from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, idempotency
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.webhooks import arrivals, endpoints, issuing
from quotekit.webhooks.arrivals import Arrival
from quotekit.webhooks.endpoints import Endpoint
from quotekit.webhooks.issuing import Issued

app = api.Api()
BASE = "/v1/webhook-endpoints"


@app.post(BASE)
def create_endpoint(body: endpoints.EndpointCreate) -> api.Created[Issued]:
    return issued(issuing.create_endpoint(api.caller(app), body, once()))


@app.get(BASE)
def list_endpoints() -> api.Answer[Page[Endpoint]]:
    return api.fetch(app, endpoints.list_endpoints)


@app.get(f"{BASE}/<endpoint_id>")
def get_endpoint(endpoint_id: UUID) -> api.Answer[Endpoint]:
    return api.fetch(app, lambda c: endpoints.get_endpoint(c, endpoint_id))


@app.patch(f"{BASE}/<endpoint_id>")
def change_endpoint(endpoint_id: UUID, body: endpoints.EndpointChange) -> api.Answer[Endpoint]:
    return api.Answer.of(issuing.change_endpoint(api.caller(app), endpoint_id, body))


@app.delete(f"{BASE}/<endpoint_id>")
def delete_endpoint(endpoint_id: UUID) -> api.Answer[None]:
    issuing.delete_endpoint(api.caller(app), endpoint_id)
    return api.Answer.of(None)


@app.post(f"{BASE}/<endpoint_id>/rotate")
def rotate_secret(
    endpoint_id: UUID, body: endpoints.SecretRotate | None = None
) -> api.Created[Issued]:
    asked = body or endpoints.SecretRotate()
    return issued(issuing.rotate_secret(api.caller(app), endpoint_id, asked, once()))


@app.get(f"{BASE}/<endpoint_id>/events")
def list_events(
    endpoint_id: UUID, query: Annotated[arrivals.Asked, Query()]
) -> api.Answer[Page[Arrival]]:
    return api.fetch(app, lambda c: arrivals.list_arrivals(c, endpoint_id, query))


@app.get(f"{BASE}/<endpoint_id>/events/<event_id>")
def get_event(endpoint_id: UUID, event_id: UUID) -> api.Answer[Arrival]:
    return api.fetch(app, lambda c: arrivals.get_arrival(c, endpoint_id, event_id))


def once() -> idempotency.Request | None:
    """The request under its Idempotency-Key; its secret must not be kept with its answer."""
    event = app.current_event
    key = event.headers.get("idempotency-key")
    if key is None:
        return None
    body = event.body or ""
    return idempotency.request(key, method=event.http_method, path=event.path, body=body)


def issued(answer: Issued) -> api.Created[Issued]:
    response = api.Created[Issued].of(answer)
    if answer.replayed:
        response.headers |= api.REPLAYED
    return response


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

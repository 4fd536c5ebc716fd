"""HTTP /v1/webhook-monitor: how the webhooks do and what an operator does about it; for admins."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, outbox
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.operations import operators
from quotekit.operations.webhooks import alerts, audit, letters, overview, repair, requests, search
from quotekit.performance import logger, metrics
from quotekit.webhooks import rules, service

app = api.Api()
BASE = "/v1/webhook-monitor"
ACCEPTED = HTTPStatus.ACCEPTED


def show(view: Callable[..., object], *asked: object) -> Response[str]:
    app.context["principal"] = operators.admit(api.caller(app), writing=False)
    return api.fetch(app, lambda connection: view(connection, *asked, datetime.now(UTC)))


def change(
    work: Callable[[Connection], object], *, status: HTTPStatus = HTTPStatus.OK
) -> Response[str]:
    app.context["principal"] = operators.admit(api.caller(app), writing=True)
    return api.command(app, work, status=status)


def serve(name: str, view: Callable[..., object], asked: type[Body]) -> None:
    def answer(query: Body) -> Response[str]:
        return show(view, query)

    answer.__annotations__["query"] = Annotated[asked, Query()]  # where Powertools reads it
    app.get(f"{BASE}/{name}")(answer)


serve("overview", overview.overview, requests.Period)
serve("performance", overview.performance, requests.OfTypes)
serve("dead-letter-queue", letters.dead_letters, requests.Latest)
serve("audit-trail", audit.audit_trail, requests.Trail)
serve("batch-jobs", audit.batch_jobs, requests.Period)
serve("alerts", alerts.alerts, requests.Period)
serve("events", search.search, requests.Search)
serve("routes", repair.show_routing, Body)
serve("breakers", repair.show_breakers, Body)


@app.get(f"{BASE}/events/<webhook_id>")
def event(webhook_id: UUID) -> Response[str]:
    return show(search.get, webhook_id)


@app.post(f"{BASE}/events/<webhook_id>/retry")
def retry(webhook_id: UUID) -> Response[str]:
    sending = repair.Retry()
    response = change(lambda c: sending.send(c, webhook_id), status=ACCEPTED)
    outbox.deliver(sending.promises)
    return response


@app.post(f"{BASE}/redrive")
def redrive(body: requests.RedriveStart) -> Response[str]:
    by, now = api.caller(app), datetime.now(UTC)
    return change(lambda c: repair.redrive(c, body, by, now), status=ACCEPTED)


@app.get(f"{BASE}/redrive/<redrive_id>")
def redrive_status(redrive_id: UUID) -> Response[str]:
    return show(lambda c, _: service.redrive_status(c, redrive_id))


@app.post(f"{BASE}/redrive/<redrive_id>/cancel")
def cancel(redrive_id: UUID) -> Response[str]:
    return change(lambda c: repair.cancel(c, redrive_id))


@app.post(f"{BASE}/redrive/<redrive_id>/resume")
def resume(redrive_id: UUID) -> Response[str]:
    return change(lambda c: repair.resume(c, redrive_id))


@app.post(f"{BASE}/dead-letter-queue/<letter_id>/resolve")
def resolve(letter_id: UUID, body: requests.Resolution) -> Response[str]:
    return change(lambda c: letters.resolve(c, letter_id, body))


@app.put(f"{BASE}/routes")
def replace_routes(body: rules.Rules) -> Response[str]:
    by = api.caller(app)
    return change(lambda c: rules.replace_rules(c, body, by))


@app.post(f"{BASE}/routes/publish")
def publish() -> Response[str]:
    return api.reply(repair.publish(operators.admit(api.caller(app), writing=True)))


@app.put(f"{BASE}/breakers/<dependency>")
def decide(dependency: str, body: requests.BreakerDecision) -> Response[str]:
    return change(lambda c: repair.decide(c, dependency, body))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

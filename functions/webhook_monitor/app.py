"""HTTP /v1/webhook-monitor: how the webhooks do and what an operator does about it; for admins."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, outbox
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.operations import batches, operators
from quotekit.operations.webhooks import alerts, audit, letters, overview, repair, requests, search
from quotekit.performance import logger, metrics
from quotekit.resilience.repository import Known
from quotekit.webhooks import rules, service
from quotekit.webhooks.service import Redrive

app = api.Api()
BASE = "/v1/webhook-monitor"


def show[T](view: Callable[..., T], *asked: object) -> api.Answer[T]:
    app.context["principal"] = operators.admit(api.caller(app), writing=False)
    return api.fetch(app, lambda connection: view(connection, *asked, datetime.now(UTC)))


def change[T](work: Callable[[Connection], T]) -> api.Answer[T]:
    app.context["principal"] = operators.admit(api.caller(app), writing=True)
    return api.command(app, work)


def begin[T](work: Callable[[Connection], T]) -> api.Accepted[T]:
    app.context["principal"] = operators.admit(api.caller(app), writing=True)
    return api.accept(app, work)


def serve(name: str, view: Callable[..., object], asked: type[Body]) -> None:
    def answer(query: Body) -> api.Answer[object]:
        return show(view, query)

    answer.__annotations__["query"] = Annotated[asked, Query()]  # where Powertools reads it
    answer.__annotations__["return"] = api.answer_of(view)
    answer.__doc__ = view.__doc__
    app.get(f"{BASE}/{name}")(answer)


serve("overview", overview.overview, requests.Period)
serve("performance", overview.performance, requests.OfTypes)
serve("dead-letter-queue", letters.dead_letters, requests.Latest)
serve("audit-trail", audit.audit_trail, requests.Trail)
serve("batch-jobs", batches.batch_jobs, requests.Period)
serve("alerts", alerts.alerts, requests.Period)
serve("events", search.search, requests.Search)
serve("routes", repair.show_routing, Body)
serve("breakers", repair.show_breakers, Body)


@app.get(f"{BASE}/events/<webhook_id>")
def event(webhook_id: UUID) -> api.Answer[search.Event]:
    return show(search.get, webhook_id)


@app.post(f"{BASE}/events/<webhook_id>/retry")
def retry(webhook_id: UUID) -> api.Accepted[repair.Retried]:
    sending = repair.Retry()
    response = begin(lambda c: sending.send(c, webhook_id))
    outbox.deliver(sending.promises)
    return response


@app.post(f"{BASE}/redrive")
def redrive(body: requests.RedriveStart) -> api.Accepted[Redrive]:
    by, now = api.caller(app), datetime.now(UTC)
    return begin(lambda c: repair.redrive(c, body, by, now))


@app.get(f"{BASE}/redrive/<redrive_id>")
def redrive_status(redrive_id: UUID) -> api.Answer[Redrive]:
    return show(lambda c, _: service.redrive_status(c, redrive_id))


@app.post(f"{BASE}/redrive/<redrive_id>/cancel")
def cancel(redrive_id: UUID) -> api.Answer[Redrive]:
    return change(lambda c: repair.cancel(c, redrive_id))


@app.post(f"{BASE}/redrive/<redrive_id>/resume")
def resume(redrive_id: UUID) -> api.Answer[Redrive]:
    return change(lambda c: repair.resume(c, redrive_id))


@app.post(f"{BASE}/dead-letter-queue/<letter_id>/resolve")
def resolve(letter_id: UUID, body: requests.Resolution) -> api.Answer[letters.Resolved]:
    return change(lambda c: letters.resolve(c, letter_id, body))


@app.put(f"{BASE}/routes")
def replace_routes(body: rules.Rules) -> api.Answer[rules.Version]:
    by = api.caller(app)
    return change(lambda c: rules.replace_rules(c, body, by))


@app.post(f"{BASE}/routes/publish")
def publish() -> api.Answer[repair.Published]:
    return api.Answer.of(repair.publish(operators.admit(api.caller(app), writing=True)))


@app.put(f"{BASE}/breakers/<dependency>")
def decide(dependency: str, body: requests.BreakerDecision) -> api.Answer[Known]:
    return change(lambda c: repair.decide(c, dependency, body))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

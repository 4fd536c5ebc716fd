"""HTTP /v1/onboarding: what a newcomer has done, is shown and prefers; a funnel for admins."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.onboarding import checklist, funnel, preferences, tours
from quotekit.onboarding.model import Checklist, Funnel, Preferences, Tour
from quotekit.onboarding.requests import FunnelAsked, PreferencesChange, StepReport, Where
from quotekit.operations import operators
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()
BASE = "/v1/onboarding"
write = partial(api.command, app)


@app.get(f"{BASE}/checklist")
def get_checklist() -> api.Answer[Checklist]:
    return write(checklist.checklist)  # notes what it finds for the first time


@app.get(f"{BASE}/tours")
def list_tours() -> api.Answer[Page[Tour]]:
    return api.fetch(app, tours.tours)


@app.get(f"{BASE}/tours/<tour_id>")
def get_tour(tour_id: str) -> api.Answer[Tour]:
    return api.fetch(app, lambda c: tours.get(c, tour_id))


@app.post(f"{BASE}/tours/<tour_id>/start")
def start_tour(tour_id: str, body: Where | None = None) -> api.Answer[Tour]:
    return write(lambda c: tours.start(c, tour_id, body or Where(), datetime.now(UTC)))


@app.post(f"{BASE}/tours/<tour_id>/skip")
def skip_tour(tour_id: str, body: Where | None = None) -> api.Answer[Tour]:
    return write(lambda c: tours.skip(c, tour_id, body or Where(), datetime.now(UTC)))


@app.post(f"{BASE}/tours/<tour_id>/abandon")
def abandon_tour(tour_id: str, body: Where | None = None) -> api.Answer[Tour]:
    return write(lambda c: tours.abandon(c, tour_id, body or Where(), datetime.now(UTC)))


@app.post(f"{BASE}/tours/<tour_id>/steps/<step>")
def report_step(tour_id: str, step: str, body: StepReport) -> api.Answer[Tour]:
    return write(lambda c: tours.report(c, tour_id, step, body, datetime.now(UTC)))


@app.get(f"{BASE}/preferences")
def get_preferences() -> api.Answer[Preferences]:
    return api.fetch(app, preferences.get)


@app.patch(f"{BASE}/preferences")
def change_preferences(body: PreferencesChange) -> api.Answer[Preferences]:
    caller, version = api.caller(app), api.expected_version(app, body.version)
    return write(lambda c: preferences.change(c, caller, body, version=version))


@app.get(f"{BASE}/funnel")
def get_funnel(query: Annotated[FunnelAsked, Query()]) -> api.Answer[Funnel]:
    app.context["principal"] = operators.admit(api.caller(app), writing=False)
    return api.fetch(app, lambda c: funnel.funnel(c, query, datetime.now(UTC)))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

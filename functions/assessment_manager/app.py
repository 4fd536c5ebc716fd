"""HTTP /v1/properties, /v1/assessments, /v1/assessment-rules: from what was found to a quote."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, things
from quotekit.assessments import assessments, properties, quoting, requests, rules
from quotekit.assessments.model import Assessment, AssessmentQuote, Pricing, Property, Rule
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()
read, write, create = partial(api.fetch, app), partial(api.command, app), partial(api.create, app)
version_of = partial(api.expected_version, app)


@app.post("/v1/properties")
def create_property(body: requests.PropertyCreate) -> api.Created[Property]:
    return create(lambda c: properties.create(c, body))


@app.get("/v1/properties")
def list_properties(
    query: Annotated[requests.PropertyListing, Query()],
) -> api.Answer[Page[Property]]:
    return read(lambda c: properties.page(c, query))


@app.patch("/v1/properties/<thing_id>")
def change_property(thing_id: UUID, body: requests.PropertyChange) -> api.Answer[Property]:
    return write(lambda c: properties.change(c, thing_id, body, version=version_of(body.version)))


@app.post("/v1/assessments")
def create_assessment(body: requests.AssessmentCreate) -> api.Created[Assessment]:
    return create(lambda c: assessments.create(c, body))


@app.get("/v1/assessments")
def list_assessments(
    query: Annotated[requests.AssessmentListing, Query()],
) -> api.Answer[Page[Assessment]]:
    return read(lambda c: assessments.page(c, query))


@app.patch("/v1/assessments/<thing_id>")
def change_assessment(thing_id: UUID, body: requests.AssessmentChange) -> api.Answer[Assessment]:
    return write(lambda c: assessments.change(c, thing_id, body, version=version_of(body.version)))


@app.post("/v1/assessments/<thing_id>/pricing")
def price_assessment(thing_id: UUID) -> api.Answer[Pricing]:
    return write(lambda c: quoting.calculate(c, thing_id, datetime.now(UTC)))


@app.post("/v1/assessments/<thing_id>/quote")
def quote_assessment(thing_id: UUID) -> api.Created[AssessmentQuote]:
    return create(lambda c: quoting.quote(c, thing_id))


@app.get("/v1/assessments/<thing_id>/quote")
def get_assessment_quote(thing_id: UUID) -> api.Answer[AssessmentQuote]:
    return read(lambda c: quoting.quoted(c, thing_id))


@app.post("/v1/assessment-rules")
def create_rule(body: requests.RuleCreate) -> api.Created[Rule]:
    return create(lambda c: rules.create(c, body))


@app.get("/v1/assessment-rules")
def list_rules(query: Annotated[requests.RuleListing, Query()]) -> api.Answer[Page[Rule]]:
    return read(lambda c: rules.page(c, query))


@app.patch("/v1/assessment-rules/<thing_id>")
def change_rule(thing_id: UUID, body: requests.RuleChange) -> api.Answer[Rule]:
    return write(lambda c: rules.change(c, thing_id, body, version=version_of(body.version)))


things.serve(app, "/v1/properties", properties)
things.serve(app, "/v1/assessments", assessments)
things.serve(app, "/v1/assessment-rules", rules)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

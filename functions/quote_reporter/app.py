"""HTTP /v1/reports: what an account's quotes came to, as JSON or, by Accept: text/csv, as CSV."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, database
from quotekit.performance import logger, metrics
from quotekit.reports import tables
from quotekit.reports.model import (
    AcceptanceReport,
    AcceptanceRow,
    PipelineReport,
    PipelineRow,
    RevenueReport,
    RevenueRow,
    StatusReport,
    StatusRow,
)
from quotekit.reports.requests import Asked, RevenueAsked
from quotekit.reports.service import Reporter

app = api.Api()


@app.get("/v1/reports/quotes")
def report_quotes(query: Annotated[Asked, Query()]) -> api.Answer[StatusReport]:
    return report(query, Reporter.by_status, StatusRow, lambda found: found.rows)


@app.get("/v1/reports/acceptance")
def report_acceptance(query: Annotated[Asked, Query()]) -> api.Answer[AcceptanceReport]:
    return report(query, Reporter.acceptance, AcceptanceRow, lambda found: [found.row])


@app.get("/v1/reports/revenue")
def report_revenue(query: Annotated[RevenueAsked, Query()]) -> api.Answer[RevenueReport]:
    return report(query, lambda r: r.revenue(query), RevenueRow, lambda found: found.rows)


@app.get("/v1/reports/pipeline")
def report_pipeline(query: Annotated[Asked, Query()]) -> api.Answer[PipelineReport]:
    return report(query, Reporter.pipeline, PipelineRow, lambda found: found.rows)


def report[T](
    asked: Asked, make: Callable[[Reporter], T], kind: type[Any], rows: Callable[[T], Sequence[Any]]
) -> api.Answer[T]:
    """The report; its rows alone where the caller accepts CSV."""
    with database.reading(api.caller(app).actor) as connection:
        found = make(Reporter(connection, asked, datetime.now(UTC)))
    if tables.CSV in app.current_event.headers.get("accept", ""):
        return api.Answer(200, tables.CSV_TYPE, tables.table(kind, rows(found)))
    return api.Answer.of(found)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

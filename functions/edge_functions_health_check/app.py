"""HTTP GET /v1/health (anyone) and /v1/health/deep (admins); every five minutes the deep one by
itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import to_jsonable_python

from quotekit import api, auth, database, performance
from quotekit.operations import health
from quotekit.operations.health import Health
from quotekit.performance import logger, metrics

app = api.Api(public=frozenset({"/v1/health"}))


@dataclass(frozen=True, slots=True)
class Shallow:
    """This function runs; nothing else was asked."""

    status: str
    observed_at: datetime


@app.get("/v1/health")
def shallow() -> api.Answer[Shallow]:
    return api.Answer.of(Shallow("healthy", datetime.now(UTC)))


@app.get("/v1/health/deep")
def deep() -> api.Answer[Health] | api.Unavailable[Health]:
    with database.reading(api.caller(app).actor) as connection:
        auth.require_role(connection, "admin")
    found = health.examine(health.parts())
    if found.status == "unhealthy":
        return api.Unavailable.of(found)
    return api.Answer.of(found)


def watch() -> dict[str, Any]:
    """The scheduled look: the same checks, as metrics and one line in the log."""
    with performance.measured("schedule") as request:
        found = health.examine(health.parts())
        record(found)
        request.failed = found.status == "unhealthy"
    log = logger.info if found.status == "healthy" else logger.warning
    answer: dict[str, Any] = to_jsonable_python(found)
    log("health", **answer)
    return answer


def record(found: Health) -> None:
    """Of what AWS itself does not measure; the queues' figures it has already."""
    for check in found.checks:
        if check.name.startswith(("queue:", "dead-letters:")):
            continue
        metrics.add_metric(f"Latency:{check.name}", MetricUnit.Milliseconds, check.latency_ms)
        metrics.add_metric(
            f"Healthy:{check.name}", MetricUnit.Count, float(check.state != "unhealthy")
        )


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context) if "routeKey" in event else watch()

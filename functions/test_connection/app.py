"""HTTP GET /v1/test-connection: says that the way from the caller to a function is open."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.performance import logger, metrics
from quotekit.settings import deployment_settings

app = api.Api(public=frozenset({"/v1/test-connection"}))


@dataclass(frozen=True, slots=True)
class Connection:
    """What answered, where, and when by its own clock."""

    status: str
    function: str
    function_version: str
    stage: str
    time: datetime


@app.get("/v1/test-connection")
def check_connection() -> api.Answer[Connection]:
    context = app.lambda_context
    return api.Answer.of(
        Connection(
            status="ok",
            function=context.function_name,
            function_version=context.function_version,
            stage=deployment_settings().stage,
            time=datetime.now(UTC),
        )
    )


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

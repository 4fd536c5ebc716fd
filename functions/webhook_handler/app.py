"""HTTP POST /v1/webhooks/{source} and /v1/webhooks/standard/{endpoint_id}: verified and queued.

Without the house's resolver, logger and metrics: what they import would take longer than all this
does. Answers, errors and metrics are the same; see docs/decisions/0009-webhook-ingress.md.
"""

import json
import time
from http import HTTPStatus
from random import random
from typing import Any

from quotekit.environment import SettingsError, WebhookSettings
from quotekit.errors import QuoteKitError, ServiceUnavailableError
from quotekit.headers import SECURITY_HEADERS
from quotekit.telemetry import logger, metrics
from quotekit.webhooks import ingress, routing, sending
from quotekit.webhooks.ingress import Address, RefusedError, Request


def receive(request: Request) -> dict[str, Any]:
    """Answer 200 once a queue has the event, and not before."""
    now = time.time()
    to = None
    try:
        to = ingress.address(request)
        metrics.note(source=to.source, endpoint_id=to.endpoint_id)
        accepted = queue(request, to, now)
    except RefusedError as refused:
        return refuse(request, to, refused, now)
    message = accepted.message
    metrics.count("Accepted", ["source"])
    metrics.count("OlderSecret", ["source"], value=float(message["signature_key"] > 0))
    metrics.note(event_id=message["event_id"], type=message["type"], queue=accepted.queue)
    return answer(HTTPStatus.OK, {"received": True, "id": message["event_id"]})


def queue(request: Request, to: Address, now: float) -> ingress.Accepted:
    accepted = ingress.accept(request, to, now)
    if problem := routing.error():
        logger.warning("the published routing cannot be read", error=problem)
        metrics.count("RoutingStale")
    try:
        sending.send(accepted.queue, accepted.message, accepted.group)
    except (sending.NotSentError, SettingsError) as error:
        raise RefusedError(ServiceUnavailableError(), "queue_unavailable") from error
    return accepted


def refuse(
    request: Request, to: Address | None, refused: RefusedError, now: float
) -> dict[str, Any]:
    error, reason = refused.error, refused.reason
    metrics.note(source=to.source if to else "unknown", reason=reason)
    metrics.count("Refusals", ["source", "reason"])
    if error.status == HTTPStatus.UNAUTHORIZED:
        metrics.count("SignatureFailures", ["source"])
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("webhook not taken", reason=reason, exc_info=refused)
    elif random() < WebhookSettings.refusals_sampled:  # noqa: S311 a sample is no secret
        sample(request, to, reason, now)
    return failure(request, error)


def sample(request: Request, to: Address | None, reason: str, now: float) -> None:
    """Keep a record for the operators; who was refused does not wait for trouble with it."""
    try:
        sending.send("bulk", ingress.refusal(request, to, reason, now), "refused")
    except (sending.NotSentError, SettingsError) as error:
        logger.warning("refusal not recorded", error=str(error))


def failure(request: Request, error: QuoteKitError) -> dict[str, Any]:
    body = {
        "code": error.code,
        "message": error.message,
        "details": list(error.details),
        "request_id": request.id,
    }
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST"
    return answer(error.status, body, headers)


def answer(
    status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    metrics.note(status=status.value)
    metrics.failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "statusCode": status.value,
        "headers": {"Content-Type": "application/json", **SECURITY_HEADERS, **(headers or {})},
        "body": json.dumps(body),
    }


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
    request = Request.of(event)
    metrics.note(route=event["routeKey"], request_id=request.id, source_ip=request.source_ip)
    try:
        answered = receive(request)
    except Exception as error:  # noqa: BLE001 the log gets everything, the caller nothing
        logger.error("unexpected error", exc_info=error)
        answered = failure(request, QuoteKitError())
    answered["headers"]["X-Request-Id"] = request.id
    return answered

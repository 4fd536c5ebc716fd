"""Lambda's Invoke API over HTTP, so that any AWS SDK can call through our runtime."""

import base64
import json
from http import HTTPStatus
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.runtime import (
    LATEST,
    FunctionNotFoundError,
    RequestTooLargeError,
    Runtime,
    TooManyRequestsError,
)

REFUSALS = {
    FunctionNotFoundError: (HTTPStatus.NOT_FOUND, "ResourceNotFoundException"),
    TooManyRequestsError: (HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequestsException"),
    RequestTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException"),
}


class LambdaApi:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        path = "/2015-03-31/functions/{name:path}/invocations"
        self.application = Starlette(
            routes=[Route(path, self.invoke, methods=["POST"])],
            exception_handlers=dict.fromkeys(REFUSALS, _refuse),
        )

    async def invoke(self, request: Request) -> Response:
        name, qualifier = _target(request)
        payload = await request.body() or b"{}"
        match request.headers.get("x-amz-invocation-type"):
            case "DryRun":
                return Response(status_code=HTTPStatus.NO_CONTENT)
            case "Event":
                await self._runtime.send(name, payload, qualifier=qualifier)
                return Response(status_code=HTTPStatus.ACCEPTED)
        context = request.headers.get("x-amz-client-context")
        outcome = await self._runtime.invoke(
            name,
            payload,
            qualifier=qualifier,
            client_context=base64.b64decode(context).decode() if context else None,
            trace=request.headers.get("x-amzn-trace-id"),
        )
        headers = {
            "x-amzn-requestid": outcome.request_id,
            "x-amz-executed-version": outcome.version,
        }
        if outcome.error:
            headers["x-amz-function-error"] = outcome.error
        if request.headers.get("x-amz-log-type") == "Tail":
            headers["x-amz-log-result"] = base64.b64encode(outcome.log[-4096:].encode()).decode()
        return Response(outcome.payload, headers=headers, media_type="application/json")


def _target(request: Request) -> tuple[str, str]:
    """Name and qualifier from a name, a name with a qualifier, or an ARN."""
    given = unquote(request.path_params["name"]).split(":")
    parts = given[6:] if given[0] == "arn" else given
    named = parts[1] if len(parts) > 1 else LATEST
    return parts[0], request.query_params.get("Qualifier", named)


async def _refuse(_: Request, error: Exception) -> Response:
    status, kind = REFUSALS[type(error)]  # type: ignore[index]
    body = {"Type": "User", "Message": str(error), "message": str(error)}
    return Response(
        json.dumps(body), status, {"x-amzn-errortype": kind}, media_type="application/json"
    )

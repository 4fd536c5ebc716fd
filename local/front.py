"""An HTTP API of API Gateway in front of the functions: payload format 2.0, as an ASGI app."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote

from local.invocation import ACCOUNT, Outcome, trace_id
from local.routes import Cors, Route, RouteTable
from local.runtime import RequestTooLargeError, RuntimeApiError

BODY_BYTES: Final = 10 * 1024 * 1024
INTEGRATION_SECONDS: Final = 30.0
# Only these reach a function as text; all else, and a body without a type, comes as base64.
TEXT_TYPES: Final = ("application/json", "application/xml", "application/javascript")
HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te"})

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Invoker(Protocol):
    async def invoke(
        self, function: str, payload: bytes, *, qualifier: str, trace: str
    ) -> Outcome: ...


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def message(cls, status: HTTPStatus, text: str | None = None) -> "Answer":
        """What the gateway itself says."""
        body = json.dumps({"message": text or status.phrase}, separators=(",", ":")).encode()
        return cls(status, (("content-type", "application/json"),), body)


TOO_LARGE: Final = Answer.message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")


@dataclass(frozen=True)
class Request:
    method: str
    raw_path: str
    query: str
    headers: dict[str, str]
    cookies: list[str]
    body: bytes
    source: str
    protocol: str


class Front:
    """Routes a request to a function and renders what the function returned."""

    def __init__(
        self,
        invoker: Invoker,
        routes: RouteTable,
        cors: Cors | None = None,
        *,
        api_id: str = "local",
        port: int = 80,
        integration_seconds: float = INTEGRATION_SECONDS,
    ) -> None:
        self.invoker = invoker
        self.routes = routes
        self.cors = cors
        self._api_id = api_id
        self._port = str(port)
        self._integration_seconds = integration_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        request = self._request(scope, body or b"")
        request_id = base64.b64encode(secrets.token_bytes(11)).decode()
        answer = self._preflight(request)
        if answer is None:
            answer = TOO_LARGE if body is None else await self._route(request, request_id)
            answer = self._with_cors(answer, request.headers.get("origin", ""))
        await _send(answer, request_id, send)

    def _preflight(self, request: Request) -> Answer | None:
        headers = request.headers
        if (
            self.cors is None
            or request.method != "OPTIONS"
            or not {"origin", "access-control-request-method"} <= headers.keys()
        ):
            return None
        allowed = self.cors.preflight(headers["origin"])
        return Answer(HTTPStatus.NO_CONTENT, tuple(allowed.items()), b"")

    async def _route(self, request: Request, request_id: str) -> Answer:
        found = self.routes.select(request.method, request.raw_path)
        if found is None:
            return Answer.message(HTTPStatus.NOT_FOUND)
        route, parameters = found
        event = self._event(request, route, parameters, request_id)
        payload = json.dumps(event, separators=(",", ":")).encode()
        try:
            outcome = await asyncio.wait_for(
                self.invoker.invoke(
                    route.function,
                    payload,
                    qualifier=route.qualifier,
                    trace=request.headers["x-amzn-trace-id"],
                ),
                self._integration_seconds,
            )
        except RequestTooLargeError:  # above 6 MB the gateway takes it, Lambda does not
            return TOO_LARGE
        except (TimeoutError, RuntimeApiError):  # too slow; throttled, or no such function
            return Answer.message(HTTPStatus.SERVICE_UNAVAILABLE)
        return render(outcome)

    def _request(self, scope: Scope, body: bytes) -> Request:
        headers, cookies = _fold(scope["headers"])
        source = scope["client"][0] if scope["client"] else ""
        forwarded = headers.get("x-forwarded-for")
        headers |= {
            "x-forwarded-for": f"{forwarded}, {source}" if forwarded else source,
            "x-forwarded-port": self._port,
            "x-forwarded-proto": scope["scheme"],
            "x-amzn-trace-id": headers.get("x-amzn-trace-id") or trace_id(),
        }
        headers.setdefault("content-length", str(len(body)))
        return Request(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            cookies,
            body,
            source,
            f"HTTP/{scope['http_version']}",
        )

    def _event(
        self, request: Request, route: Route, parameters: dict[str, str], request_id: str
    ) -> dict[str, Any]:
        """The event; what has no value is absent, as on AWS."""
        now = time.time()
        path = unquote(request.raw_path).partition("?")[0]  # AWS decodes rawPath, and cuts it there
        host = request.headers.get("host", "").partition(":")[0]
        text = _is_text(request.headers.get("content-type", ""))
        body = request.body.decode(errors="replace") if text else _base64(request.body)
        optional = {
            "cookies": request.cookies,
            "queryStringParameters": _query(request.query),
            "pathParameters": parameters,
            "body": body,
        }
        return {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": path,
            "rawQueryString": request.query,
            "headers": request.headers,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": self._api_id,
                "domainName": host,
                "domainPrefix": host.partition(".")[0],
                "http": {
                    "method": request.method,
                    "path": path,
                    "protocol": request.protocol,
                    "sourceIp": request.source,
                    "userAgent": request.headers.get("user-agent", ""),
                },
                "requestId": request_id,
                "routeKey": route.key,
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
                "timeEpoch": int(now * 1000),
            },
            **{name: value for name, value in optional.items() if value},
            "isBase64Encoded": bool(request.body) and not text,
        }

    def _with_cors(self, answer: Answer, origin: str) -> Answer:
        """Replace the function's own CORS headers, as API Gateway does once it has some."""
        if self.cors is None:
            return answer
        kept = [header for header in answer.headers if not header[0].startswith("access-control-")]
        return Answer(answer.status, (*kept, *self.cors.answer(origin).items()), answer.body)


def render(outcome: Outcome) -> Answer:
    """The HTTP answer to what a function returned: structured, or inferred from plain JSON."""
    failure = Answer.message(HTTPStatus.INTERNAL_SERVER_ERROR)
    if outcome.error:
        return failure
    try:
        result = json.loads(outcome.payload)
        if isinstance(result, dict) and "statusCode" in result:
            return _structured(result)
    except (ValueError, TypeError, AttributeError):  # not JSON, or not of the documented form
        return failure
    body = result.encode() if isinstance(result, str) else outcome.payload
    return Answer(HTTPStatus.OK, (("content-type", "application/json"),), body)


def _structured(result: dict[str, Any]) -> Answer:
    status = int(result["statusCode"])
    body = (result.get("body") or "").encode()
    if not 100 <= status <= 599:  # noqa: PLR2004  # what HTTP has
        raise ValueError(status)
    if result.get("isBase64Encoded"):
        body = base64.b64decode(body, validate=True)
    headers = {
        name.lower(): _header(value)
        for name, value in (result.get("headers") or {}).items()
        if name.lower() not in HOP_BY_HOP | {"content-length"}
    }
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    cookies = [("set-cookie", _header(cookie)) for cookie in result.get("cookies") or []]
    return Answer(status, (*headers.items(), *cookies), body)


def _header(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise TypeError(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None once it is larger than the gateway takes."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_BYTES:
            chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= BODY_BYTES else None


async def _send(answer: Answer, request_id: str, send: Send) -> None:
    headers = [*answer.headers, ("apigw-requestid", request_id)]
    if answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        headers.append(("content-length", str(len(answer.body))))
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body})


def _fold(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[str]]:
    """Headers with lower-case names, repeated ones joined by commas, and cookies apart."""
    folded: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        elif name not in HOP_BY_HOP:
            folded[name] = f"{folded[name]},{value}" if name in folded else value
    return folded, cookies


def _query(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in TEXT_TYPES


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode()

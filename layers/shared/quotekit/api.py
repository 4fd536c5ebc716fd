"""The door every HTTP function is built with: verified callers, checked bodies, one shape of error.

Errors: `{"code", "message", "details": [{"field", "message"}], "request_id"}` with the status of
`quotekit.errors`. Success: the resource itself; lists `{"data", "next_cursor"}`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from itertools import dropwhile
from typing import Any, ClassVar, Final, Self

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from psycopg import DataError
from psycopg.errors import InsufficientPrivilege
from pydantic_core import core_schema, to_json

from quotekit import auth, database, idempotency, performance
from quotekit.database import Connection
from quotekit.errors import (
    BadRequestError,
    Details,
    ForbiddenError,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    QuoteKitError,
    UnsupportedMediaTypeError,
    invalid,
)
from quotekit.headers import SECURITY_HEADERS
from quotekit.performance import logger
from quotekit.settings import api_settings

ETAG: Final = re.compile(r'(?:W/)?"(0|[1-9][0-9]{0,7})"')  # which a proxy may have weakened
PLACES: Final = {"body", "query", "path"}
REPLAYED: Final = {"Idempotency-Replayed": "true"}
EXPOSED: Final = "ETag,Idempotency-Replayed,Retry-After,X-Request-Id"


class Api(APIGatewayHttpResolver):
    """The Powertools resolver with this house's admission, errors, headers and measurements.

    `public` names the paths that are answered without a token."""

    def __init__(self, *, public: frozenset[str] = frozenset()) -> None:
        super().__init__(enable_validation=True)
        self.public = public
        self.request_id = ""
        self.not_found(self.on_unknown_route)
        self.exception_handler(QuoteKitError)(self.on_error)
        self.exception_handler(RequestValidationError)(self.on_invalid_request)
        self.exception_handler([DataError, UnicodeEncodeError])(self.on_unstorable)
        self.exception_handler(InsufficientPrivilege)(self.on_refusal)
        self.exception_handler(RecursionError)(self.on_nesting)
        self.exception_handler(ValueError)(self.on_wrong_value)
        self.exception_handler(Exception)(self.on_unexpected)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
        """Answer one API Gateway HTTP API event (payload format 2.0)."""
        self.request_id = event["requestContext"]["requestId"]
        with performance.measured(event["routeKey"]) as request:
            answer = self.answer(event, context)
            request.failed = answer["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR
        http = event["requestContext"]["http"]
        logger.info(f"{http['method']} {http['path']}", status=answer["statusCode"])
        answer["headers"] |= SECURITY_HEADERS | {"X-Request-Id": self.request_id}
        answer["headers"] |= cors_headers(event["headers"].get("origin"))
        return answer

    def answer(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
        try:
            admitted = self.admit(event)
        except QuoteKitError as error:
            refused = self.on_error(error)
            headers = {"Content-Type": content_types.APPLICATION_JSON, **refused.headers}
            return {"statusCode": refused.status_code, "headers": headers, "body": refused.body}
        self.context["principal"] = admitted
        return super().resolve(event, context)

    def admit(self, event: Mapping[str, Any]) -> auth.Principal | None:
        """Let in a body of allowed size that is text, from a caller with a valid token."""
        limit, body = api_settings().body_limit, event.get("body") or ""
        if len(body) > limit * 2 or len(text_body(event).encode()) > limit:
            raise PayloadTooLargeError
        public = event["rawPath"] in self.public
        caller = None if public else auth.authenticate(event["headers"])
        kind = event["headers"].get("content-type", "").partition(";")[0].strip()
        if body and kind not in {"", content_types.APPLICATION_JSON}:
            raise UnsupportedMediaTypeError
        if event["requestContext"]["http"]["method"] == "POST":
            idempotency.check(event["headers"].get("idempotency-key", "none"))
        return caller

    def on_unknown_route(self, _: RouteNotFoundError) -> Response[str]:
        path = self.current_event.path
        known = any(route.rule.match(path) for route in self._static_routes + self._dynamic_routes)
        return self.on_error(MethodNotAllowedError() if known else NotFoundError())

    def on_error(self, error: QuoteKitError) -> Response[str]:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.exception("request failed", exc_info=error)
        return self.render(error)

    def render(self, error: QuoteKitError) -> Response[str]:
        headers: dict[str, str | list[str]] = {}
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        body = {
            "code": error.code,
            "message": error.message,
            "details": list(error.details),
            "request_id": self.request_id,
        }
        return Response(
            status_code=int(error.status),
            content_type=content_types.APPLICATION_JSON,
            body=to_json(body).decode(),
            headers=headers,
        )

    def on_invalid_request(self, error: RequestValidationError) -> Response[str]:
        """422 that names each field; 400 when the body is no JSON at all."""
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return self.on_error(BadRequestError("The body is not valid JSON."))
        return self.on_error(InvalidInputError(details=explained(found)))

    def on_unstorable(self, _: Exception) -> Response[str]:
        """422 for text no database can hold: NUL, half a surrogate pair."""
        return self.on_error(InvalidInputError("A value holds what cannot be stored."))

    def on_refusal(self, _: Exception) -> Response[str]:
        """403 for what row level security does not let the caller write."""
        return self.on_error(ForbiddenError())

    def on_nesting(self, _: RecursionError) -> Response[str]:
        return self.on_error(BadRequestError("The body is nested too deeply."))

    def on_wrong_value(self, error: ValueError) -> Response[str]:
        """400 where the body is to blame: a number in it may have more digits than Python reads."""
        try:
            self.current_event.json_body  # noqa: B018 read again
        except ValueError:
            return self.on_error(BadRequestError("The body is not valid JSON."))
        return self.on_unexpected(error)

    def on_unexpected(self, error: Exception) -> Response[str]:
        """500 that tells the log everything and the caller nothing."""
        logger.exception("unexpected error", exc_info=error)
        return self.render(QuoteKitError())


def caller(app: Api) -> auth.Principal:
    """Who sent the request at hand."""
    principal: auth.Principal = app.context["principal"]
    return principal


def as_person(app: Api) -> auth.Principal:
    """Let the request act for its sender himself, member of the account or not."""
    sender = caller(app)
    app.context["principal"] = replace(sender, actor=sender.person)
    return sender


class Answer[T](Response[str]):
    """200 with a T as JSON: decimals as strings, times in ISO 8601, its `version` as ETag; 204
    for None."""

    status: ClassVar[HTTPStatus] = HTTPStatus.OK

    @classmethod
    def of(cls, result: T) -> Self:
        if result is None:
            return cls(status_code=HTTPStatus.NO_CONTENT, content_type=None, body="")
        version = getattr(result, "version", None)
        headers = {} if version is None else {"ETag": f'"{version}"'}
        return cls.text(cls.status, to_json(result).decode(), headers)

    @classmethod
    def text(cls, status: int, body: str, headers: Mapping[str, str]) -> Self:
        """What is JSON already."""
        kind = content_types.APPLICATION_JSON
        return cls(status_code=int(status), content_type=kind, body=body, headers=dict(headers))

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> core_schema.CoreSchema:
        return core_schema.any_schema()  # Powertools has nothing to check here


class Created[T](Answer[T]):
    status = HTTPStatus.CREATED


class Accepted[T](Answer[T]):
    status = HTTPStatus.ACCEPTED


class Unavailable[T](Answer[T]):  # 503 that says more than an error
    status = HTTPStatus.SERVICE_UNAVAILABLE


def fetch[T](app: Api, read: Callable[[Connection], T]) -> Answer[T]:
    """Answer a GET: what `read` finds, each of its statements in one round trip."""
    with database.reading(caller(app).actor) as connection:
        return Answer.of(read(connection))


def command[T](app: Api, work: Callable[[Connection], T]) -> Answer[T]:
    """Answer a change: `work` in one transaction of the caller, once for each Idempotency-Key."""
    return _once(app, work, Answer)


def create[T](app: Api, work: Callable[[Connection], T]) -> Created[T]:
    """Answer a POST that makes something: a command whose answer is 201."""
    return _once(app, work, Created)


def accept[T](app: Api, work: Callable[[Connection], T]) -> Accepted[T]:
    """Answer a change that goes on after the answer: a command whose answer is 202."""
    return _once(app, work, Accepted)


def _once[A: Answer[Any]](app: Api, work: Callable[[Connection], object], kind: type[A]) -> A:
    event = app.current_event
    key = event.headers.get("idempotency-key") if event.http_method == "POST" else None
    with database.transaction(caller(app).actor) as connection:
        if key is None:
            return kind.of(work(connection))
        request = idempotency.request(
            key, method=event.http_method, path=event.path, body=event.body or ""
        )
        kept = idempotency.recall(connection, request)
        if kept is not None:
            return kind.text(kept.status, kept.body, REPLAYED)
        response = kind.of(work(connection))
        answer = idempotency.Answer(response.status_code, response.body or "")
        idempotency.keep(connection, request, answer)
    return response


def answer_of(view: Callable[..., object]) -> object:
    """The type of a route that is made for a view and answers what that returns."""
    return Answer.__class_getitem__(view.__annotations__["return"])  # type: ignore[attr-defined]


def expected_version(app: Api, in_body: int | None) -> int:
    """The version a change was made from: `version` in the body or If-Match. 422 when neither is
    there, or If-Match is no version's ETag."""
    given = app.current_event.headers.get("if-match")
    found = ETAG.fullmatch(given or "")
    version = int(found[1]) if found else in_body
    if version is None or (given is not None and not found):
        raise invalid("version", "required, or an If-Match header with an ETag")
    if in_body not in {None, version}:
        raise BadRequestError("If-Match and version differ.")
    return version


def explained(found: Any) -> Details:  # noqa: ANN401 - pydantic's own list of dictionaries
    """Pydantic's findings as `{"field", "message"}`, without the place and without the input."""
    return [
        {
            "field": ".".join(map(str, dropwhile(PLACES.__contains__, item["loc"]))) or "body",
            "message": item["msg"],
        }
        for item in found
    ]


def cors_headers(origin: str | None) -> dict[str, str]:
    """What a browser needs to read the answer, errors too; API Gateway answers preflights."""
    allowed = api_settings().cors_origins
    if origin is None or not ("*" in allowed or origin in allowed):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED,
        "Vary": "Origin",
    }


def text_body(event: Mapping[str, Any]) -> str:
    """The body as text, whatever way API Gateway carried it."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadRequestError("The body is not UTF-8 text.") from error

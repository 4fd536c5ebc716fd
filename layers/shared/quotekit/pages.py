"""The door of pages for people: HTML, plain forms, errors in words, and headers that let a browser
run nothing but the house's own files."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response

from quotekit import api
from quotekit.errors import PayloadTooLargeError, QuoteKitError, UnsupportedMediaTypeError
from quotekit.headers import SECURITY_HEADERS
from quotekit.performance import logger, measured

HTML: Final = "text/html; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
MOST_BYTES: Final = 65_536
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = SECURITY_HEADERS | {
    "Content-Security-Policy": POLICY,
    "X-Robots-Tag": "noindex, nofollow",
}


class Page(api.Answer[str]):
    """HTML of any status."""

    @classmethod
    def html(cls, status: int, body: str, location: str | None = None) -> "Page":
        """`location` is where to look instead: what a form is answered with that took effect."""
        headers: dict[str, str | list[str]] = {"Location": location} if location else {}
        return cls(status_code=int(status), content_type=HTML, body=body, headers=headers)


class Pages(api.Api):
    """The house's resolver for pages: no tokens of ours, and an apology for each error.

    The log names a page by its route, as a path here is a secret."""

    def __init__(self, apology: Callable[[QuoteKitError, str], str]) -> None:
        super().__init__()
        self.apology = apology
        self.languages = ""

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
        """Answer one API Gateway HTTP API event (payload format 2.0)."""
        self.request_id = event["requestContext"]["requestId"]
        self.languages = event["headers"].get("accept-language", "")
        with measured(event["routeKey"]) as request:
            answer = self.answer(event, context)
            request.failed = answer["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR
        method = event["requestContext"]["http"]["method"]
        logger.info(f"{method} {event['routeKey']}", status=answer["statusCode"])
        answer["headers"] |= HEADERS | {"X-Request-Id": self.request_id}
        return answer

    def admit(self, event: Mapping[str, Any]) -> None:
        """Let in a form of allowed size."""
        body = event.get("body") or ""
        if len(body) > MOST_BYTES * 2 or len(api.text_body(event)) > MOST_BYTES:
            raise PayloadTooLargeError
        kind = event["headers"].get("content-type", "").partition(";")[0].strip()
        if body and kind != FORM:
            raise UnsupportedMediaTypeError("The body must be a form.")

    @property
    def form(self) -> str:
        """The body of the request at hand."""
        return api.text_body(self.current_event.raw_event)

    def render(self, error: QuoteKitError) -> Response[str]:
        page = Page.html(error.status, self.apology(error, self.languages))
        if error.retry_after is not None:
            page.headers["Retry-After"] = str(error.retry_after)
        return page

"""What an exception says of the service that was called: nothing here imports a vendor's library.

A failure is what may pass by itself: no connection, a time-out, 408, 425, 429 and 5xx. Any other
status is an answer: the service works, and asking again would bring the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
# Errors of a connection that are no OSError, by the names their libraries give them.
UNREACHED: Final = {
    "http.client.HTTPException",
    "httpx.TransportError",
    "stripe.APIConnectionError",
    "stripe._error.APIConnectionError",
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
}


def status(error: BaseException) -> int | None:
    """The HTTP status an exception carries: of urllib, httpx, Stripe, botocore or this house."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        sources = ((response, "status_code"), (error, "http_status"), (error, "status"))
        values = [getattr(source, name, None) for source, name in (*sources, (error, "code"))]
        found = next((value for value in values if isinstance(value, int)), None)
    return int(found) if isinstance(found, int) else None


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    answered = status(error)
    if answered is not None:
        return answered in PASSING or answered >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, OSError) or any(
        f"{kind.__module__}.{kind.__name__}" in UNREACHED for kind in type(error).__mro__
    )


def verdict(error: BaseException) -> bool | None:
    """Whether the service answered; None when the exception says nothing about it."""
    if is_passing(error):
        return False
    return None if status(error) is None else True


def retry_after(error: BaseException, now: datetime | None = None) -> float | None:
    """Seconds the service wants to be left alone, by its `Retry-After` (RFC 9110 §10.2.3)."""
    own = getattr(error, "retry_after", None)
    if isinstance(own, int | float):  # an error of this house
        return float(own)
    text = _headers(error).get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())


def _headers(error: BaseException) -> dict[str, str]:
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPHeaders")
    else:
        found = getattr(response, "headers", None) or getattr(error, "headers", None)
    return {str(name).lower(): str(value) for name, value in (found or {}).items()}

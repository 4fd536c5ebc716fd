"""Everything that can go wrong, as one tree: a class is an HTTP status and a stable code.

QuoteKitError 500 INTERNAL_ERROR
├── BadRequestError 400 BAD_REQUEST
├── UnauthorizedError 401 UNAUTHORIZED
├── QuotaExceededError 402 QUOTA_EXCEEDED
├── ForbiddenError 403 FORBIDDEN
├── NotFoundError 404 NOT_FOUND
├── MethodNotAllowedError 405 METHOD_NOT_ALLOWED
├── ConflictError 409 CONFLICT
│   ├── StaleVersionError
│   └── StillRunningError
├── GoneError 410 GONE
├── PayloadTooLargeError 413 PAYLOAD_TOO_LARGE
├── UnsupportedMediaTypeError 415 UNSUPPORTED_MEDIA_TYPE
├── InvalidInputError 422 VALIDATION_ERROR
├── RateLimitedError 429 RATE_LIMITED
└── ServiceUnavailableError 503 SERVICE_UNAVAILABLE
    └── DatabaseUnavailableError

The first line of a class's docstring is its default message.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

Details = Sequence[Mapping[str, Any]]


class QuoteKitError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "INTERNAL_ERROR"
    retry_after: ClassVar[int | None] = None
    """Seconds after which the same request may succeed."""

    def __init__(self, message: str | None = None, details: Details = ()) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.details = details
        super().__init__(self.message)


class BadRequestError(QuoteKitError):
    """The request could not be read."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"


class UnauthorizedError(QuoteKitError):
    """A valid bearer token is required."""

    status = HTTPStatus.UNAUTHORIZED
    code = "UNAUTHORIZED"


class QuotaExceededError(QuoteKitError):
    """The plan's limit is reached."""

    status = HTTPStatus.PAYMENT_REQUIRED
    code = "QUOTA_EXCEEDED"


class ForbiddenError(QuoteKitError):
    """This is not allowed to you."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"


class NotFoundError(QuoteKitError):
    """There is no such thing here."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class MethodNotAllowedError(QuoteKitError):
    """This address does not answer that method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "METHOD_NOT_ALLOWED"


class ConflictError(QuoteKitError):
    """The request does not fit the present state."""

    status = HTTPStatus.CONFLICT
    code = "CONFLICT"


class StaleVersionError(ConflictError):
    """It was changed in the meantime; read it again."""


class StillRunningError(ConflictError):
    """A request with this Idempotency-Key is still running."""

    retry_after = 1


class GoneError(QuoteKitError):
    """This existed and does not any more."""

    status = HTTPStatus.GONE
    code = "GONE"


class PayloadTooLargeError(QuoteKitError):
    """The request body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaTypeError(QuoteKitError):
    """The body must be application/json."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_MEDIA_TYPE"


class InvalidInputError(QuoteKitError):
    """The request has invalid values."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "VALIDATION_ERROR"


class RateLimitedError(QuoteKitError):
    """Too many requests."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "RATE_LIMITED"
    retry_after = 1


class ServiceUnavailableError(QuoteKitError):
    """A part this needs does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "SERVICE_UNAVAILABLE"
    retry_after = 5


class DatabaseUnavailableError(ServiceUnavailableError):
    """The database does not answer."""


def invalid(field: str, message: str) -> InvalidInputError:
    """One value is wrong: `field` is its path in the body, joined by dots."""
    return InvalidInputError(details=[{"field": field, "message": message}])

"""Which errors an operation may answer: by what it takes, and by what it is about."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from docs.openapi.routes import Taken
from quotekit import errors

type Json = dict[str, Any]

CLASSES: Final[list[type[errors.QuoteKitError]]] = [
    errors.QuoteKitError,
    *errors.QuoteKitError.__subclasses__(),
]
KINDS: Final = {kind.code: kind for kind in CLASSES}
SCHEMAS: Final[Json] = {
    "Error": {
        "type": "object",
        "additionalProperties": False,
        "required": ["code", "message", "details", "request_id"],
        "properties": {
            "code": {"type": "string", "enum": sorted(KINDS)},
            "message": {"type": "string"},
            "details": {
                "type": "array",
                "description": "What is wrong where; empty when there is nothing more to say.",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                },
            },
            "request_id": {"type": "string", "description": "What the log calls this request."},
        },
    }
}
HEADERS: Final[dict[str, Json]] = {
    "UNAUTHORIZED": {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
    "SERVICE_UNAVAILABLE": {
        "Retry-After": {"description": "seconds", "schema": {"type": "string"}}
    },
}
# What neither a signature nor a method tells: plans' limits, and who may.
LIMITED: Final = frozenset({"create_client", "send_quote", "copy_shared_item", "start_tour"})
SOUGHT: Final = frozenset(  # by what is not in the path
    {"get_account", "change_account", "transfer_account", "accept_invitation", "get_funnel"}
    | {"get_erasure"}
)
RATED: Final = frozenset({"invite", "resend_invitation"})
EARLY: Final = frozenset({"get_result"})  # not there yet
LATE: Final = frozenset({"get_result", "accept_invitation"})  # not there any more


def code_of(status: HTTPStatus) -> str:
    (code,) = (code for code, kind in KINDS.items() if kind.status == status)
    return code


def schema(code: str) -> Json:
    return {
        "allOf": [
            {"$ref": "#/components/schemas/Error"},
            {"type": "object", "properties": {"code": {"const": code}}},
        ]
    }


def responses() -> Json:
    """One response for each class of errors."""
    found = {}
    for code, kind in sorted(KINDS.items()):
        found[code] = {
            "description": (kind.__doc__ or "").partition("\n")[0],
            "content": {"application/json": {"schema": schema(code)}},
        }
        if code in HEADERS:
            found[code]["headers"] = HEADERS[code]
    return found


def statuses(route: Taken) -> Iterator[HTTPStatus]:
    """The errors an operation may answer."""
    yield HTTPStatus.INTERNAL_SERVER_ERROR
    yield HTTPStatus.SERVICE_UNAVAILABLE
    writes = route.method != "GET"
    if not route.public:
        yield HTTPStatus.UNAUTHORIZED
        yield HTTPStatus.FORBIDDEN  # no member, or not by his role
    if route.in_path or route.method == "DELETE" or route.name in SOUGHT:
        yield HTTPStatus.NOT_FOUND
    if route.name in RATED:
        yield HTTPStatus.TOO_MANY_REQUESTS
    if route.in_path or route.query or writes:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    if writes:
        yield HTTPStatus.CONFLICT
        yield HTTPStatus.BAD_REQUEST
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    if route.name in LIMITED:
        yield HTTPStatus.PAYMENT_REQUIRED
    if route.name in EARLY:
        yield HTTPStatus.CONFLICT
    if route.name in LATE:
        yield HTTPStatus.GONE

"""The door of webhooks, which is built without the house's resolver: told by its own modules."""

from http import HTTPStatus
from typing import Any, Final

from docs.openapi.errors import code_of
from quotekit.webhooks.ingress import STANDARD
from quotekit.webhooks.signatures import SCHEMES

type Json = dict[str, Any]

# Which headers a sender's scheme reads, and which of them it signs with.
HEADERS: Final = {
    "stripe": ("stripe-signature",),
    "github": ("x-hub-signature-256", "x-github-event", "x-github-delivery"),
    "tiktok-shop": ("authorization",),
    "easypost": ("x-hmac-signature",),
    "shippo": ("shippo-auth-signature",),
    STANDARD: ("webhook-id", "webhook-timestamp", "webhook-signature"),
}
ERRORS: Final = (
    *(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND),
    *(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INTERNAL_SERVER_ERROR),
    HTTPStatus.SERVICE_UNAVAILABLE,
)
RECEIVED: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["received", "id"],
    "properties": {"received": {"const": True}, "id": {"type": "string"}},
}
ENDPOINT: Final[Json] = {
    "name": "endpoint_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


def paths() -> dict[str, Json]:
    found = {}
    for source in sorted(SCHEMES):
        own = source == STANDARD
        place = f"/v1/webhooks/{source}" + ("/{endpoint_id}" if own else "")
        found[place] = {"post": operation(source, [ENDPOINT] if own else [])}
    return found


def operation(source: str, parameters: list[Json]) -> Json:
    told = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in HEADERS[source]
        if name != "authorization"  # which OpenAPI leaves to security schemes
    ]
    content: Json = {"application/json": {"schema": {"type": "object"}}}
    if source == "github":
        form: Json = {"type": "object", "required": ["payload"]}
        form["properties"] = {"payload": {"type": "string", "contentMediaType": "application/json"}}
        content["application/x-www-form-urlencoded"] = {"schema": form}
    return {
        "operationId": f"receive_{source.replace('-', '_')}",
        "summary": f"Take an event of {source}, signed over the body's exact bytes by its scheme",
        "tags": ["webhook-handler"],
        "security": [],
        "parameters": [*parameters, *told],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "A queue has it.",
                "content": {"application/json": {"schema": RECEIVED}},
            },
            **{
                str(status.value): {"$ref": f"#/components/responses/{code_of(status)}"}
                for status in ERRORS
            },
        },
    }

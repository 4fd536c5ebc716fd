"""The client's page, which answers with HTML and takes plain forms: told by its own models."""

from http import HTTPStatus
from typing import Any, Final

from docs.openapi import examples
from quotekit.bodies import Body
from quotekit.portal import requests

type Json = dict[str, Any]

FORM: Final = "application/x-www-form-urlencoded"
HTML: Final[Json] = {"text/html": {"schema": {"type": "string"}}}
TOKEN: Final[Json] = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "What the client was sent; whoever has it may answer the quote.",
    "schema": {"type": "string", "minLength": 1},
}
APOLOGIES: Final = (
    *(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED),
    *(HTTPStatus.GONE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    *(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR),
    HTTPStatus.SERVICE_UNAVAILABLE,
)
FORM_APOLOGIES: Final = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
TOTALS: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["total", "agreed", "rows", "amounts"],
    "properties": {
        "total": {"type": "string"},
        "agreed": {"type": "string", "description": "the total as it is written"},
        "amounts": {
            "type": "object",
            "description": "what else follows from the quantities, by its id on the page",
            "additionalProperties": {"type": "string"},
        },
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "amount", "kind"],
                "properties": {
                    "name": {"type": "string"},
                    "amount": {"type": "string"},
                    "kind": {"enum": ["part", "total", "remark"]},
                },
            },
        },
    },
}
PICTURE: Final[Json] = {
    "operationId": "show_picture",
    "summary": "The picture in a tracked mail",
    "description": "Counts an open where the token's account tracks mails. The answer is the same "
    "for every token, known or not. An open is a hint: mail programs ask for pictures ahead of "
    "their readers, or never. It does not make the quote `viewed`.",
    "tags": ["quote-mails"],
    "security": [],
    "parameters": [TOKEN | {"description": "What the mail's picture is named by."}],
    "responses": {
        "200": {
            "description": "One clear pixel",
            "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
}


def paths() -> dict[str, Json]:
    image = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    style = {"text/css": {"schema": {"type": "string"}}}
    priced = HTML | {"application/json": {"schema": TOTALS}}
    return {
        "/q/{token}": {"get": looked("show_quote", "The client's page of a quote", HTML)},
        "/q/{token}/pdf": {"get": looked("show_pdf", "The quote as PDF", HTML, found=False)},
        "/q/{token}/deposit": {
            "get": looked("pay_deposit", "To where the deposit is paid", HTML, found=False)
        },
        "/q/{token}/logo": {"get": looked("show_logo", "The company's logo", image)},
        "/q/{token}/total": {
            "post": sent("price_options", "The page with other options", requests.Draft, priced)
        },
        "/q/{token}/accept": {"post": sent("accept_on_page", "Accept, once", requests.Agreement)},
        "/q/{token}/decline": {"post": sent("decline_on_page", "Decline, once", requests.Refusal)},
        "/q/{token}/question": {
            "post": sent("ask_on_page", "Ask the contractor", requests.Question)
        },
        "/q/brand/{colour}": {
            "get": looked("show_brand", "A company's colour as a style sheet", style)
            | {"parameters": [TOKEN | {"name": "colour", "description": "as in 1f5c4d.css"}]}
        },
        "/q/mails/{token}/opened.gif": {"get": PICTURE},
    }


def looked(name: str, summary: str, content: Json, *, found: bool = True) -> Json:
    status = HTTPStatus.OK if found else HTTPStatus.SEE_OTHER
    return operation(name, summary, {status: told(status, content if found else None)}, APOLOGIES)


def sent(name: str, summary: str, form: type[Body], priced: Json | None = None) -> Json:
    status = HTTPStatus.OK if priced else HTTPStatus.SEE_OTHER
    answers = {status: told(status, priced)}
    schema = form.model_json_schema()
    content = {FORM: {"schema": schema} | keyed(schema) | examples.of(form)}
    body = {"required": True, "content": content}
    made = operation(name, summary, answers, (*APOLOGIES, *FORM_APOLOGIES))
    return made | {"requestBody": body}


def keyed(schema: Json) -> Json:
    """How a form names the fields of an object: `choice[4]`."""
    found = schema["properties"].items()
    objects = [name for name, said in found if said.get("type") == "object"]
    encoding = {name: {"style": "deepObject", "explode": True} for name in objects}
    return {"encoding": encoding} if encoding else {}


def told(status: HTTPStatus, content: Json | None) -> Json:
    if content is not None:
        return {"description": status.phrase, "content": content}
    return {
        "description": status.phrase,
        "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
        "content": HTML,
    }


def operation(
    name: str, summary: str, answers: dict[HTTPStatus, Json], apologies: tuple[HTTPStatus, ...]
) -> Json:
    pages = {status: {"description": status.phrase, "content": HTML} for status in apologies}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["quote-portal"],
        "security": [],
        "parameters": [TOKEN],
        "responses": {
            str(status.value): said for status, said in sorted((pages | answers).items())
        },
    }

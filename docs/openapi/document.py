"""The doors as one OpenAPI 3.1 document: each operation, what it takes, all it may answer."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from docs.openapi import errors, examples, portal, webhooks
from docs.openapi.links import Links
from docs.openapi.routes import ROOT, Taken, taken
from docs.openapi.schemas import Json, Schemas, without_null

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
LINES: Final = frozenset({"list_items"})  # lists that come whole and as lines to who asks for that
CSV: Final = "text/csv"
TABLES: Final = "/v1/reports/"  # what also comes as a table to who asks for that
KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes the request safe to repeat: the second answer is the first one's.",
    "schema": {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": 200},
}
IF_MATCH: Final[Json] = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag the change was made from, where the body has no version.",
    "schema": {"type": "string", "pattern": '^(W/)?"(0|[1-9][0-9]{0,7})"$'},
}
INFO: Final = """\
Quotes, catalogue, subscriptions, webhooks and operations of QuoteKit. Made from the doors in
`functions/` by `make openapi`; do not edit. Money and quantities are decimal strings in answers;
lists are pages: `next_cursor` goes back as `cursor`. Every error has the body `Error`."""


def document() -> Json:
    routes = sorted(taken(), key=lambda route: (route.path, route.method))
    schemas = Schemas(routes)
    names = operation_ids(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(
            route, names[route.method, route.path], schemas
        )
    paths |= webhooks.paths() | portal.paths()
    components = schemas.used_by(paths) | errors.SCHEMAS
    Links(paths, components).add()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "QuoteKit",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "description": INFO.replace("\n", " "),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"bearer": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "responses": errors.responses(),
            "schemas": dict(sorted(components.items())),
        },
    }


def operation_ids(routes: Iterable[Taken]) -> dict[tuple[str, str], str]:
    """A door's own name for a route where no other has it, else one made of method and path."""
    routes = list(routes)
    counted = Counter(route.name for route in routes)
    return {
        (route.method, route.path): route.name if counted[route.name] == 1 else made(route)
        for route in routes
    }


def made(route: Taken) -> str:
    path = re.sub(r"\{(\w+)\}", r"by_\1", route.path.removeprefix("/v1/"))
    return re.sub(r"\W", "_", f"{route.method.lower()}_{path}")


def operation(route: Taken, name: str, schemas: Schemas) -> Json:
    described = route.summary.partition("\n\n")
    summary = " ".join(described[0].split()).rstrip(".") or name.replace("_", " ").capitalize()
    found: Json = {
        "operationId": name,
        "summary": summary,
        "tags": [route.door.replace("_", "-")],
        "parameters": parameters(route, schemas),
        "responses": responses(route, schemas),
    }
    if route.name in LINES:
        found["responses"] |= in_lines(found["responses"])
    if route.path.startswith(TABLES):
        rows = {"schema": {"type": "string", "description": "a header, and a line for each row"}}
        found["responses"]["200"]["content"][CSV] = rows
    if route.public:
        found["security"] = []
    if route.body:
        content = {JSON: {"schema": schemas.given(route.body)} | examples.of(route.body)}
        found["requestBody"] = {"required": route.body_required, "content": content}
    return found


def parameters(route: Taken, schemas: Schemas) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": schemas.given(kind)}
        for name, kind in route.in_path.items()
    ]
    if route.query:
        model = schemas.fields(route.query)
        found += [
            {
                "name": name,
                "in": "query",
                "required": name in model.get("required", ()),
                "schema": without_null(schema),
            }
            for name, schema in model["properties"].items()
        ]
    if route.method == "POST":
        found.append(KEY)
    if route.body and "version" in route.body.model_fields and route.method == "PATCH":
        found.append(IF_MATCH)
    return found


def responses(route: Taken, schemas: Schemas) -> Json:
    found: Mapping[HTTPStatus, Json] = {
        status: answer(status, kind, schemas) for status, kind in route.answers.items()
    }
    for status in errors.statuses(route):
        refused = {"$ref": f"#/components/responses/{errors.code_of(status)}"}
        known = found.get(status)
        found = {**found, status: either(known, status) if known else refused}
    return {str(status.value): said for status, said in sorted(found.items())}


def answer(status: HTTPStatus, kind: Any, schemas: Schemas) -> Json:
    if status == HTTPStatus.NO_CONTENT:
        return {"description": status.phrase}
    return {
        "description": status.phrase,
        "content": {JSON: {"schema": schemas.answered(kind)}},
    }


def in_lines(known: Json) -> Json:
    """A list that also comes as lines of JSON, or from where the answer leads."""
    page = known["200"]
    lines = {NDJSON: {"schema": {"type": "string", "description": "a line for each of the list"}}}
    location = {"description": "works for a while", "schema": {"type": "string", "format": "uri"}}
    return {
        "200": page | {"content": page["content"] | lines},
        "303": {"description": HTTPStatus.SEE_OTHER.phrase, "headers": {"Location": location}},
    }


def either(known: Json, status: HTTPStatus) -> Json:
    """An answer that has the status of an error."""
    schema = known["content"][JSON]["schema"]
    choices = [schema, errors.schema(errors.code_of(status))]
    return {"description": status.phrase, "content": {JSON: {"schema": {"anyOf": choices}}}}

"""Whether an answer is one that docs/openapi.json tells of: its status, its body to the field."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

ANYTHING: Final = jsonschema_rs.Draft202012Validator({})
PLACE: Final = Path(__file__).parents[1] / "docs/openapi.json"


@cache
def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PLACE.read_text())
    return read


@cache
def operation(method: str, path: str) -> str | None:
    """The path of the document that a request's path is an instance of."""
    found = [
        known
        for known, methods in document()["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path)
    ]
    return min(found, key=lambda known: known.count("{"), default=None)


def placeholders(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


@cache
def validator(path: str, method: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    """Of an answer's body; None for an answer without one. KeyError for an undocumented status."""
    said = document()["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in said:
        said = document()["components"]["responses"][said["$ref"].rpartition("/")[2]]
    if "content" not in said:
        return None
    if "application/json" not in said["content"] or "text/html" in said["content"]:
        return ANYTHING  # a page, an image: nothing to look into
    schema = said["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator(
        schema | {"components": document()["components"]}, validate_formats=True
    )


def check(method: str, path: str, status: int, text: str) -> None:
    """Fail for an answer that the document does not tell of."""
    known = operation(method, path)
    if known is not None:
        check_operation(known, method, status, text)


def check_operation(known: str, method: str, status: int, text: str) -> None:
    """The same, of the document's own path."""
    try:
        expected = validator(known, method, status)
    except KeyError:
        raise AssertionError(f"{method} {known} answers {status}: undocumented") from None
    if expected is ANYTHING:
        return
    if expected is None:
        assert text == ""
        return
    complaints = [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in expected.iter_errors(json.loads(text))
    ]
    assert complaints == [], f"{method} {known} {status} is not as documented (`make openapi`?)"

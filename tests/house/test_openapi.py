"""docs/openapi.json is what the doors are, whole and valid."""

import json
import re
from collections import Counter
from copy import deepcopy
from typing import Any, Final

import jsonschema_rs
import pytest
import schemathesis

from docs.openapi import __main__ as generator
from docs.openapi import webhooks
from local.routes import RouteTable
from quotekit.webhooks import signatures
from tests.gateway import routes
from tests.house.conftest import ROOT

DOCUMENT: Final[dict[str, Any]] = json.loads(generator.PLACE.read_text())
OPERATIONS: Final = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_the_committed_document_is_what_the_doors_say_today() -> None:
    assert generator.PLACE.read_text() == generator.text(), "run `make openapi`"


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_an_invalid_document_would_be_noticed() -> None:
    broken = deepcopy(DOCUMENT)
    broken["paths"]["/v1/quotes"]["get"]["parameters"][0]["in"] = "somewhere"

    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_operation_has_a_name_of_its_own() -> None:
    counted = Counter(operation["operationId"] for _, _, operation in OPERATIONS)

    assert [name for name, times in counted.items() if times > 1] == []


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda it: str(it)[:50])
def test_api_gateway_leads_an_operation_to_the_door_that_has_it(
    method: str, path: str, operation: Any
) -> None:
    found = RouteTable(routes()).select(method, re.sub(r"\{\w+\}", "x", path))

    assert found is not None
    assert [found[0].function] == operation["tags"]


def test_every_http_function_is_in_the_document() -> None:
    tags = {tag for _, _, operation in OPERATIONS for tag in operation["tags"]}

    assert tags == {route.function for route in routes()}


def test_references_lead_to_something_and_no_component_is_left_over() -> None:
    text = json.dumps(DOCUMENT)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', text))

    assert used == DOCUMENT["components"]["schemas"].keys()


LINKS: Final = [
    pytest.param(operation, link, id=f"{operation['operationId']}-{name}")
    for _, _, operation in OPERATIONS
    for answer in operation["responses"].values()
    for name, link in answer.get("links", {}).items()
]


@pytest.mark.parametrize(("asked", "link"), LINKS)
def test_a_link_gives_a_known_operation_what_its_path_needs(asked: Any, link: Any) -> None:
    (target,) = (it for it in OPERATIONS if it[2]["operationId"] == link["operationId"])
    taken = {parameter["name"]: parameter for parameter in target[2]["parameters"]}
    given = {parameter["name"] for parameter in asked["parameters"]}

    needed = set(re.findall(r"\{(\w+)\}", target[1]))
    named = {str(value).rpartition("path.")[2] for value in link["parameters"].values()}
    assert needed <= link["parameters"].keys() <= taken.keys()
    assert {name for name in named if name[0] != "$"} <= given


def test_what_is_made_leads_to_all_that_can_be_asked_of_it() -> None:
    links = DOCUMENT["paths"]["/v1/quotes"]["post"]["responses"]["201"]["links"]
    about = {
        operation["operationId"]
        for _, path, operation in OPERATIONS
        if re.match(r"/v1/quotes/\{quote_id\}(/[a-z-]+)?$", path)
    }

    assert about <= links.keys()
    assert links["change_quote"]["parameters"] == {
        "quote_id": "$response.body#/id",
        "If-Match": "$response.header.ETag",
    }


def test_the_signature_headers_are_those_that_the_verifiers_read() -> None:
    source = (ROOT / "layers/shared/quotekit/webhooks/signatures.py").read_text()
    read = set(re.findall(r'delivery\.header\("([a-z0-9-]+)"\)', source))

    told = {name for names in webhooks.HEADERS.values() for name in names}

    assert webhooks.HEADERS.keys() == signatures.SCHEMES.keys()
    assert read <= told

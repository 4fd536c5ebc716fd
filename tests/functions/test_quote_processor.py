"""HTTP /v1/quotes through its door: real resolver, real PostgreSQL, row level security on."""

from decimal import Decimal
from typing import Any

import pytest

from functions.quote_processor.app import lambda_handler
from tests.functions.conftest import ACCOUNT, OTHER_USER, USER, Aws, Client, Issuer

LINE: dict[str, Any] = {"name": "Work", "unit": "h", "quantity": "2", "unit_cost": "80"}
QUOTE: dict[str, Any] = {
    "client": {"name": "Grace Hopper", "email": "grace@example.com"},
    "currency": "USD",
    "line_items": [LINE],
    "tax_rate": "10",
    "markup_rate": "25",
}


@pytest.fixture
def quotes(database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def stranger(quotes: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), quotes.route)


def test_a_quote_is_priced_and_stored_as_a_draft(quotes: Client) -> None:
    created = quotes("POST", "/v1/quotes", QUOTE)

    assert created.status == 201, created.text
    assert created.json["number"] is None
    assert created.json["status"] == "draft"
    assert created.json["line_items"][0]["unit_price"] == "100.00"
    assert created.json["subtotal"] == "200.00"
    assert created.json["markup_amount"] == "40.00"
    assert created.json["tax_amount"] == "20.00"
    assert created.json["total"] == "220.00"
    read = quotes("GET", f"/v1/quotes/{created.json['id']}")
    assert read.json == created.json
    assert read.headers["ETag"] == '"1"'

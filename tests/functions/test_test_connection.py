"""HTTP GET /v1/test-connection: answered without a token and without a database."""

import pytest

from functions.test_connection.app import lambda_handler
from tests.functions.conftest import Client, LambdaContext, load_event


@pytest.fixture
def door(environment: pytest.MonkeyPatch) -> Client:
    environment.delenv("DATABASE_URL", raising=False)
    return Client(lambda_handler, None, "GET /v1/test-connection")


def test_it_says_what_answered(door: Client) -> None:
    answer = door("GET", "/v1/test-connection")

    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert answer.json["function"] == LambdaContext.function_name
    assert answer.json["stage"] == "local"


def test_the_committed_event_is_answered(door: Client) -> None:
    assert lambda_handler(load_event("test_connection"), LambdaContext())["statusCode"] == 200

"""What a function says about itself, read from its lines of CloudWatch's embedded format."""

import json
from typing import Any

import pytest

from functions.quote_processor.app import lambda_handler
from quotekit import database as databases
from quotekit import performance, settings
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Aws, Client, Issuer
from tests.functions.test_quote_processor import QUOTE


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line of metrics among those written since the last look."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (line,) = lines
    values = {name: value[0] for name, value in line.items() if isinstance(value, list)}
    return {**line, **values}


def test_an_answer_is_measured_by_service_and_by_route(
    quotes: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(performance._sandbox, "cold", True)
    quotes("POST", "/v1/quotes", QUOTE)
    cold = metrics(capsys)
    quotes("POST", "/v1/quotes", QUOTE)
    warm = metrics(capsys)

    assert cold["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["route", "service"], ["service"]]
    assert cold["route"] == "ANY /v1/quotes/{proxy+}"
    assert (cold["ColdStart"], warm["ColdStart"]) == (1, 0)
    assert warm["Queries"] == 3  # the company's settings, the quote, its audit row
    assert 0 < warm["DatabaseTime"] < warm["Duration"]
    assert warm["MemoryUsed"] > 10
    assert warm["Errors"] == 0


def test_a_refusal_of_the_caller_is_no_error_of_ours(
    quotes: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    quotes("POST", "/v1/quotes", "{")

    assert metrics(capsys)["Errors"] == 0


def test_a_database_that_is_down_is_503_and_counts_as_an_error(
    quotes: Client, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    environment.setenv("DATABASE_CONNECT_ATTEMPTS", "1")
    settings.forget()
    databases.forget()

    answer = quotes("GET", "/v1/quotes")

    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"]
    assert "127.0.0.1" not in answer.text
    assert metrics(capsys)["Errors"] == 1


def test_what_nobody_foresaw_is_500_without_a_word_of_the_inside(
    quotes: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("quotekit.quotes.search.list_quotes", explode)

    answer = quotes("GET", "/v1/quotes")

    assert answer.status == 500
    assert answer.json == {
        "code": "INTERNAL_ERROR",
        "message": "Something went wrong on our side.",
        "details": [],
        "request_id": "JKJaXmPLvHcESHA=",
    }
    assert metrics(capsys)["Errors"] == 1


@pytest.mark.parametrize("token", [None, "nonsense", "a.b.c", "x" * 10_240])
def test_a_bad_token_is_401_with_the_standard_body_and_no_database(
    issuer: Issuer, environment: pytest.MonkeyPatch, token: str | None
) -> None:
    environment.delenv("DATABASE_URL", raising=False)
    databases.forget()
    door = Client(lambda_handler, token, "ANY /v1/quotes")

    answer = door("POST", "/v1/quotes", QUOTE, headers={"idempotency-key": "k"})

    assert answer.status == 401
    assert set(answer.json) == {"code", "message", "details", "request_id"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"

"""The small logger and metrics write what the house's write."""

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

os.environ |= {"POWERTOOLS_SERVICE_NAME": "test", "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit"}

from quotekit import performance, telemetry

CONTEXT = SimpleNamespace(
    function_name="quotekit-test",
    function_version="1",
    memory_limit_in_mb=128,
    invoked_function_arn="arn",
    aws_request_id="1",
)


def told(line: dict[str, Any]) -> dict[str, tuple[str, str, frozenset[frozenset[str]]]]:
    """Of each metric its namespace, unit and sets of dimensions."""
    return {
        metric["Name"]: (
            directive["Namespace"],
            metric["Unit"],
            frozenset(frozenset(one) for one in directive["Dimensions"]),
        )
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }


def test_the_metrics_are_those_of_the_other_functions(capsys):
    @performance.metrics.log_metrics
    def theirs(_: Any, __: Any) -> None:
        with performance.measured("POST /x"):
            pass

    metrics = telemetry.Metrics()

    @metrics.log_metrics
    def ours(_: Any, __: Any) -> dict[str, Any]:
        metrics.note(route="POST /x")
        return {}

    theirs({}, CONTEXT)
    ours({}, CONTEXT)

    his, mine = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    expected = told(his)
    assert {name: expected[name] for name in told(mine)} == told(mine)
    assert expected.keys() - told(mine).keys() == {"Queries", "DatabaseTime"}  # it has no database
    assert (mine["route"], mine["service"]) == (his["route"], his["service"])


def test_an_invocation_that_raises_is_measured_as_failed(capsys):
    metrics = telemetry.Metrics()

    def broken(_: Any, __: Any) -> dict[str, Any]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        metrics.log_metrics(broken)({}, CONTEXT)

    assert json.loads(capsys.readouterr().out)["Errors"] == 1


def test_nothing_of_one_invocation_is_left_in_the_next(capsys):
    metrics = telemetry.Metrics()

    def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
        if event:
            metrics.count("Refusals", ["source"])
            metrics.note(source="stripe")
        return {}

    wrapped = metrics.log_metrics(handler)
    wrapped({"first": True}, CONTEXT)
    wrapped({}, CONTEXT)

    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["Refusals"], first["ColdStart"]) == (1, 1)
    assert "Refusals" not in second
    assert "source" not in second
    assert second["ColdStart"] == 0


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 1), ("WARNING", 1), ("ERROR", 0)])
def test_the_log_level_is_kept(capsys, monkeypatch, level, lines):
    monkeypatch.setenv("LOG_LEVEL", level)

    telemetry.Logger().warning("look", number=1)

    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_line_names_its_request_and_its_error(capsys):
    logger = telemetry.Logger()
    error = ValueError("wrong")

    def handler(_: Any, __: Any) -> dict[str, Any]:
        logger.error("it broke", exc_info=error)
        return {}

    logger.inject_lambda_context(handler)({}, CONTEXT)

    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["message"], line["service"]) == ("ERROR", "it broke", "test")
    assert (line["function_request_id"], line["exception_name"]) == ("1", "ValueError")
    assert "wrong" in line["exception"]

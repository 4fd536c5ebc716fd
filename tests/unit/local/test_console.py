"""The functions' log as a developer reads it."""

import json

import pytest
from rich.console import Console

from local.console import readable


def shown(line):
    markup = readable("quote-processor", line)
    console = Console(width=500)
    with console.capture() as captured:
        console.print(markup)
    return captured.get().strip()[len("13:00:00 ") :]


def test_a_powertools_line_is_level_message_and_keys():
    line = json.dumps(
        {
            "level": "WARNING",
            "location": "lambda_handler:1",
            "message": "quote [sent]",
            "timestamp": "2026-11-22 13:00:00,000+0000",
            "service": "quote-processor",
            "cold_start": True,
            "quote_id": "42",
            "reason": "two words",
            "count": 3,
            "nothing": None,
        }
    )

    assert shown(line) == (
        'quote-processor        WARNING quote [sent] quote_id=42 reason="two words" count=3'
    )


def test_a_report_tells_duration_memory_and_cold_start():
    line = (
        "REPORT RequestId: 1\tDuration: 1.20 ms\tBilled Duration: 99 ms\tMemory Size: 128 MB"
        "\tMax Memory Used: 70 MB\tInit Duration: 97.00 ms\tStatus: timeout"
    )

    assert shown(line) == (
        "quote-processor        done in 1.20 ms, 70 MB, cold start 97.00 ms, timeout"
    )


@pytest.mark.parametrize("line", ["Traceback [most]", "[1, 2]x", '"text'])
def test_other_lines_are_shown_as_they_are(line):
    assert shown(line) == f"quote-processor        {line}"


@pytest.mark.parametrize(
    "line", ["START RequestId: 1 Version: 1", "END RequestId: 1", '{"_aws": {}, "Duration": 1}', ""]
)
def test_lines_for_machines_are_left_out(line):
    assert readable("quote-processor", line) is None

"""Cells and lines of CSV (RFC 4180: CRLF, quotes where needed) that no spreadsheet executes."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

# What makes a cell a formula in a spreadsheet, wide forms included; an apostrophe makes it text.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def cell(value: Any, *, is_amount: bool = False) -> str:  # noqa: ANN401 - whatever a column holds
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    text = str(value)
    return text if is_amount or not text.lstrip(" ").startswith(FORMULA) else f"'{text}"


def line(values: Iterable[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(values)
    return written.getvalue().encode()

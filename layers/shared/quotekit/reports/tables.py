"""A report's rows as CSV, which no spreadsheet executes."""

from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from quotekit.cells import cell, line

CSV: Final = "text/csv"
CSV_TYPE: Final = "text/csv; charset=utf-8"


def table(kind: type[Any], rows: Sequence[Any]) -> str:
    """A header with the names of the rows' fields, and a line for each."""
    names = [field.name for field in fields(kind)]
    lines = [line(names)]
    for row in rows:
        values = [getattr(row, name) for name in names]
        lines.append(line(cell(one, is_amount=isinstance(one, Decimal)) for one in values))
    return b"".join(lines).decode()

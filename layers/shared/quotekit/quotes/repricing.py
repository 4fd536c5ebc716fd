"""New prices for drafts, however many, in four statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from quotekit.database import Connection
from quotekit.quotes.model import Draft, QuoteLine
from quotekit.quotes.pricing import Totals
from quotekit.quotes.repository import INSERT_LINES, Found, line_row

RATES: Final = ("tax_rate", "tax_rounding", "markup_rate")
AMOUNTS: Final = (
    *("subtotal", "markup_amount", "discount_amount", "tax_amount", "tax_breakdown", "total"),
    "deposit_amount",
)


@dataclass(frozen=True, slots=True)
class Repriced:
    """A draft that was found, and what it says and costs now."""

    found: Found
    draft: Draft
    lines: Sequence[QuoteLine]
    totals: Totals


UPDATE_QUOTES: Final = """
update app.quotes set version = version + 1
where account_id = (select auth.account_id()) and id = any(%(ids)s)
"""
DELETE_LINES: Final = """
delete from app.quote_lines
where account_id = (select auth.account_id()) and version_id = any(%(version_ids)s)
"""
UPDATE_VERSIONS: Final = """
update app.quote_versions as said
set tax_rate = new.tax_rate, tax_rounding = new.tax_rounding, markup_rate = new.markup_rate,
    subtotal = new.subtotal, markup_amount = new.markup_amount,
    discount_amount = new.discount_amount, tax_amount = new.tax_amount,
    tax_breakdown = new.tax_breakdown, total = new.total, deposit_amount = new.deposit_amount
from jsonb_to_recordset(%(versions)s) as new (id uuid, tax_rate numeric, tax_rounding text,
    markup_rate numeric, subtotal numeric, markup_amount numeric, discount_amount numeric,
    tax_amount numeric, tax_breakdown jsonb, total numeric, deposit_amount numeric)
where said.account_id = (select auth.account_id()) and said.id = new.id
"""


def store(connection: Connection, repriced: Sequence[Repriced]) -> None:
    """Replace rates, amounts and lines of drafts whose rows are locked."""
    values = {
        "ids": [one.found.quote.id for one in repriced],
        "version_ids": [one.found.version_id for one in repriced],
        "versions": Jsonb([version_row(one) for one in repriced]),
        "version_id": None,
        "lines": Jsonb([row for one in repriced for row in line_rows(one)]),
    }
    for statement in (UPDATE_QUOTES, DELETE_LINES, UPDATE_VERSIONS, INSERT_LINES):
        connection.execute(statement, values)


def version_row(one: Repriced) -> dict[str, Any]:
    said = {name: getattr(one.draft, name) for name in RATES}
    said |= {name: getattr(one.totals, name) for name in AMOUNTS}
    row: dict[str, Any] = to_jsonable_python(said | {"id": one.found.version_id})
    return row


def line_rows(one: Repriced) -> list[dict[str, Any]]:
    version = {"version_id": str(one.found.version_id)}
    return [line_row(line) | version for line in one.lines]

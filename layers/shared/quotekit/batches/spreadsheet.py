"""Quotes as rows of a CSV."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from quotekit import database
from quotekit.batches.entries import Entry
from quotekit.batches.model import Work
from quotekit.cells import cell, line
from quotekit.quotes.assembly import money_of

COLUMNS: Final = (
    *("id", "number", "status", "revision", "is_template", "template_name"),
    *("client_name", "client_email", "client_phone", "client_address", "currency", "subtotal"),
    *("discount_amount", "tax_amount", "total", "deposit_amount", "markup_amount", "valid_until"),
    *("created_at", "sent_at", "viewed_at", "decided_at", "decision_note", "converted_at"),
)
AMOUNTS: Final = (
    *("subtotal", "discount_amount", "tax_amount", "total", "deposit_amount", "markup_amount"),
)
SELECT: Final[LiteralString] = """
select quote.id, quote.number, quote.status, quote.revision, quote.is_template,
    quote.template_name, said.client_name, said.client_email, said.client_phone,
    said.client_address, said.currency, said.subtotal, said.discount_amount, said.tax_amount,
    said.total, said.deposit_amount, said.markup_amount, said.valid_until, quote.created_at,
    quote.sent_at, quote.viewed_at, quote.decided_at, quote.decision_note, quote.converted_at
from app.quotes as quote
join app.quote_versions as said
    on said.account_id = quote.account_id and said.quote_id = quote.id
    and said.revision = quote.revision
where quote.account_id = (select auth.account_id()) and quote.id = any(%(ids)s)
"""


def rows(work: Work, ids: Sequence[UUID]) -> dict[UUID, Entry]:
    """A row for each of the account's quotes among these."""
    with (
        database.reading(work.actor) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        found = cursor.execute(SELECT, {"ids": ids})
        return {row["id"]: Entry(line(cells(row))) for row in found}


def header() -> bytes:
    return line(COLUMNS)


def cells(quote: Mapping[str, Any]) -> list[str]:
    money = money_of(quote["currency"])
    priced = dict(quote) | {name: str(money(quote[name])) for name in AMOUNTS}
    return [cell(priced[name], is_amount=name in AMOUNTS) for name in COLUMNS]

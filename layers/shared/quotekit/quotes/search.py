"""Lists of quotes: filters, words, four orders, keyset paging."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, LiteralString

from psycopg.rows import class_row

from quotekit import paging
from quotekit.database import Connection
from quotekit.paging import Page
from quotekit.quotes.assembly import money_of
from quotekit.quotes.model import Filters, Summary

type Order = Literal["-created_at", "created_at", "-total", "total"]

SUMMARIES: Final[LiteralString] = """
select quote.id, quote.number, quote.version, quote.status, quote.is_template, quote.template_name,
    quote.client_id, said.client_name, said.currency, said.total, said.valid_until,
    quote.created_at,
    quote.updated_at, quote.sent_at
from app.quotes as quote
join app.quote_versions as said
    on said.account_id = quote.account_id and said.quote_id = quote.id and said.revision =
    quote.revision
where quote.account_id = (select auth.account_id()) and quote.is_template = %(is_template)s
  and (%(status)s::text is null or quote.status = %(status)s)
  and (%(client_id)s::uuid is null or quote.client_id = %(client_id)s)
  and (%(words)s::text is null or quote.search @@ to_tsquery('simple', %(words)s))
  and (%(created_from)s::date is null or quote.created_at >= %(created_from)s)
  and (%(created_to)s::date is null or quote.created_at < %(created_to)s::date + 1)
  and (%(after_id)s::uuid is null or """
ORDERS: Final[dict[Order, LiteralString]] = {
    "-created_at": """(quote.created_at, quote.id) < (%(after)s::timestamptz, %(after_id)s))
order by quote.created_at desc, quote.id desc limit %(limit)s""",
    "created_at": """(quote.created_at, quote.id) > (%(after)s::timestamptz, %(after_id)s))
order by quote.created_at, quote.id limit %(limit)s""",
    "-total": """(said.total, quote.id) < (%(after)s::numeric, %(after_id)s))
order by said.total desc, quote.id desc limit %(limit)s""",
    "total": """(said.total, quote.id) > (%(after)s::numeric, %(after_id)s))
order by said.total, quote.id limit %(limit)s""",
}


def list_quotes(
    connection: Connection, filters: Filters, *, order: Order, limit: int, cursor: str | None
) -> Page[Summary]:
    """One page of the caller's quotes. Raises InvalidInputError for a foreign cursor."""
    by_total = order.endswith("total")
    parse: Callable[[str], Any] = Decimal if by_total else datetime.fromisoformat
    after, after_id = paging.decode(cursor, parse)
    values = {
        "status": filters.status,
        "client_id": filters.client_id,
        "words": paging.words(filters.query),
        "created_from": filters.created_from,
        "created_to": filters.created_to,
        "is_template": filters.is_template,
        "after": after,
        "after_id": after_id,
        "limit": limit + 1,
    }
    with connection.cursor(row_factory=class_row(Summary)) as rows:
        found = rows.execute(SUMMARIES + ORDERS[order], values).fetchall()
    shown = [replace(row, total=money_of(row.currency)(row.total)) for row in found]
    return paging.page(
        shown, limit, lambda row: (row.total if by_total else row.created_at, row.id)
    )

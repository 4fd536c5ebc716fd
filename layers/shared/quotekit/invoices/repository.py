"""The rows of invoices and of what was paid."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from quotekit import paging
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.identifiers import new_id
from quotekit.invoices.model import AtStripe, Invoice, InvoiceLine, NewInvoice, Payment, Summary
from quotekit.invoices.requests import Listing, PaymentCreate
from quotekit.paging import Page
from quotekit.quotes.assembly import Money, money_of, plain
from quotekit.quotes.model import TaxShare
from quotekit.refusals import translated

INSERT: Final = """
insert into app.invoices (id, quote_id, version_id, client_name, client_email, client_address,
    currency, tax_inclusive, lines, tax_breakdown, subtotal, discount_amount, tax_amount, total,
    due_date)
values (%(id)s, %(quote_id)s, %(version_id)s, %(client_name)s, %(client_email)s,
    %(client_address)s, %(currency)s, %(tax_inclusive)s, %(lines)s, %(tax_breakdown)s, %(subtotal)s,
    %(discount_amount)s, %(tax_amount)s, %(total)s, %(due_date)s)
"""


def insert(connection: Connection, new: NewInvoice) -> UUID:
    """Store an invoice; the database gives it its number. Raises ConflictError."""
    invoice_id = new_id()
    values = {
        **asdict(new),
        "id": invoice_id,
        "lines": Jsonb(list(new.lines)),
        "tax_breakdown": Jsonb(to_jsonable_python(new.tax_breakdown)),
    }
    try:
        connection.execute(INSERT, values)
    except psycopg.errors.UniqueViolation as error:
        raise ConflictError("The quote has an invoice already.") from error
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    return invoice_id


STATUS: Final[LiteralString] = """case when invoice.status = 'open' and invoice.due_date <
    (%(now)s at time zone coalesce((select time_zone from app.company_settings
        where account_id = (select auth.account_id())), 'UTC'))::date
    then 'overdue' else invoice.status end"""
SUMMARY: Final[LiteralString] = (
    """select invoice.id, invoice.number, invoice.quote_id, quote.number as quote_number,
    """
    + STATUS
    + """ as status, invoice.client_name, invoice.currency, invoice.total, invoice.amount_paid,
    invoice.amount_due, invoice.issued_on, invoice.due_date, invoice.version, invoice.created_at"""
)
FROM: Final[LiteralString] = """
from app.invoices as invoice
join app.quotes as quote
    on quote.account_id = invoice.account_id and quote.id = invoice.quote_id
where invoice.account_id = (select auth.account_id())"""
GET: Final[LiteralString] = (
    SUMMARY
    + """, invoice.client_email, invoice.client_address, invoice.tax_inclusive, invoice.lines,
    invoice.tax_breakdown, invoice.subtotal, invoice.discount_amount, invoice.tax_amount,
    invoice.deposit_paid, invoice.paid_at, invoice.voided_at,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'id', paid.id, 'kind', paid.kind, 'method', paid.method, 'amount', paid.amount::text,
        'refunded', paid.refunded::text, 'received_on', paid.received_on, 'note', paid.note,
        'created_at', paid.created_at) order by paid.created_at, paid.id), '[]')
     from app.payments as paid
     where paid.account_id = invoice.account_id and paid.invoice_id = invoice.id) as payments,
    (select to_jsonb(theirs) from (
        select status, id, stripe_account_id, recipient, url, reason, sent_at, payment_failed_at
        from app.stripe_invoices where invoice_id = invoice.id) as theirs) as stripe"""
    + FROM
    + " and invoice.id = %(id)s"
)
GET_FOR_UPDATE: Final[LiteralString] = GET + " for no key update of invoice"
BY_HAND: Final = "It was not asked for."


def get(connection: Connection, invoice_id: UUID, now: datetime, *, lock: bool = False) -> Invoice:
    """One invoice of the caller's. Raises NotFoundError, also for another account's."""
    with connection.cursor(row_factory=dict_row) as cursor:
        values = {"id": invoice_id, "now": now}
        row = cursor.execute(GET_FOR_UPDATE if lock else GET, values).fetchone()
    if row is None:
        raise NotFoundError("There is no such invoice.")
    return assemble(row)


AMOUNTS: Final = (
    *("subtotal", "discount_amount", "tax_amount", "total", "deposit_paid", "amount_paid"),
    "amount_due",
)
LINE_AMOUNTS: Final = ("unit_price", "discount_amount", "line_total", "tax_amount")


def assemble(row: Mapping[str, Any]) -> Invoice:
    money = money_of(row["currency"])
    said = {field.name: row[field.name] for field in fields(Invoice) if field.name in row}
    stripe = row["stripe"]
    return Invoice(
        **said
        | {name: money(row[name]) for name in AMOUNTS}
        | {
            "lines": [line_of(line, money) for line in row["lines"]],
            "tax_breakdown": [
                TaxShare(plain(share["rate"]), money(share["net"]), money(share["tax"]))
                for share in row["tax_breakdown"]
            ],
            "payments": [payment_of(paid, money) for paid in row["payments"]],
            "stripe": stripe and stripe_of(stripe),
            "stripe_reason": None if stripe else BY_HAND,
        }
    )


def line_of(line: Mapping[str, Any], money: Money) -> InvoiceLine:
    rate = line["tax_rate"]
    priced = {name: money(line[name]) for name in LINE_AMOUNTS}
    return InvoiceLine(
        **{**line, **priced}
        | {"quantity": plain(line["quantity"]), "tax_rate": rate and plain(rate)}
    )


def payment_of(paid: Mapping[str, Any], money: Money) -> Payment:
    return Payment(
        **{**paid}
        | {
            "id": UUID(paid["id"]),
            "amount": money(paid["amount"]),
            "refunded": money(paid["refunded"]),
            "received_on": date.fromisoformat(paid["received_on"]),
            "created_at": datetime.fromisoformat(paid["created_at"]),
        }
    )


def stripe_of(theirs: Mapping[str, Any]) -> AtStripe:
    times = {
        name: theirs[name] and datetime.fromisoformat(theirs[name])
        for name in ("sent_at", "payment_failed_at")
    }
    return AtStripe(**{**theirs, **times})


LIST: Final[LiteralString] = (
    SUMMARY
    + FROM
    + " and (%(status)s::text is null or %(status)s = "
    + STATUS
    + """)
  and (%(client_id)s::uuid is null or quote.client_id = %(client_id)s)
  and (%(quote_id)s::uuid is null or invoice.quote_id = %(quote_id)s)
  and (%(issued_from)s::date is null or invoice.issued_on >= %(issued_from)s)
  and (%(issued_to)s::date is null or invoice.issued_on <= %(issued_to)s)
  and (%(after_id)s::uuid is null
       or (invoice.created_at, invoice.id) < (%(after)s::timestamptz, %(after_id)s))
order by invoice.created_at desc, invoice.id desc
limit %(most)s
"""
)


def listed(connection: Connection, asked: Listing, now: datetime) -> Page[Summary]:
    """One page of the caller's invoices, the newest first."""
    after, after_id = paging.decode(asked.cursor, datetime.fromisoformat)
    values = {
        **asked.model_dump(),
        "after": after,
        "after_id": after_id,
        "most": asked.limit + 1,
        "now": now,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        found = [summary_of(row) for row in cursor.execute(LIST, values)]
    return paging.page(found, asked.limit, lambda row: (row.created_at, row.id))


def summary_of(row: Mapping[str, Any]) -> Summary:
    money = money_of(row["currency"])
    priced = {name: money(row[name]) for name in ("total", "amount_paid", "amount_due")}
    return Summary(**{**row, **priced})


PAY: Final = """
insert into app.payments (id, quote_id, invoice_id, method, amount, currency, received_on, note)
values (%(id)s, %(quote_id)s, %(invoice_id)s, %(method)s, %(amount)s, %(currency)s,
    %(received_on)s, %(note)s)
"""


def pay(
    connection: Connection, invoice: Invoice, body: PaymentCreate, amount: Decimal, day: date
) -> UUID:
    """Record what came in by hand. Raises ConflictError for more than is due."""
    payment_id = new_id()
    values = {
        "id": payment_id,
        "quote_id": invoice.quote_id,
        "invoice_id": invoice.id,
        "method": body.method,
        "amount": amount,
        "currency": invoice.currency,
        "received_on": day,
        "note": body.note,
    }
    try:
        connection.execute(PAY, values)
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    return payment_id


VOID: Final = """
update app.invoices set status = 'void', voided_at = %(now)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s
"""


def void(connection: Connection, invoice_id: UUID, now: datetime) -> None:
    """Raises ConflictError for one that has payments."""
    try:
        connection.execute(VOID, {"id": invoice_id, "now": now})
    except psycopg.DatabaseError as error:
        raise translated(error) from error


ASK_STRIPE: Final = """
insert into app.stripe_invoices (invoice_id, stripe_account_id, recipient)
values (%(invoice_id)s, %(stripe_account_id)s, %(recipient)s)
"""
HURRY: Final = """
update app.stripe_invoices set due_at = now()
where account_id = (select auth.account_id()) and invoice_id = %(invoice_id)s and not final
"""


def ask_stripe(
    connection: Connection, invoice_id: UUID, stripe_account_id: str, recipient: str
) -> None:
    """Promise the invoice to Stripe; a worker brings it there after the commit."""
    values = {
        "invoice_id": invoice_id,
        "stripe_account_id": stripe_account_id,
        "recipient": recipient,
    }
    connection.execute(ASK_STRIPE, values)


def hurry(connection: Connection, invoice_id: UUID) -> None:
    """Have a worker look at what is at Stripe now."""
    connection.execute(HURRY, {"invoice_id": invoice_id})

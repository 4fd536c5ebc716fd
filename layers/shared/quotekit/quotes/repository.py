"""Quotes in PostgreSQL. A quote is written and read in one statement, however many lines it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from quotekit.database import Connection
from quotekit.errors import NotFoundError, invalid
from quotekit.identifiers import new_id
from quotekit.quotes.assembly import assemble
from quotekit.quotes.model import Draft, Quote, QuoteLine
from quotekit.quotes.pricing import Totals

VERSION_COLUMNS: Final[LiteralString] = """client_name, client_email, client_phone, client_address,
    currency, language, tax_rate, tax_inclusive, tax_rounding, markup_rate, discount_type,
    discount_value, deposit_type, deposit_value, notes, terms, valid_until, subtotal, markup_amount,
    discount_amount, tax_amount, tax_breakdown, total, deposit_amount"""
VERSION_VALUES: Final[LiteralString] = """%(client_name)s, %(client_email)s, %(client_phone)s,
    %(client_address)s, %(currency)s, %(language)s, %(tax_rate)s, %(tax_inclusive)s,
    %(tax_rounding)s,
    %(markup_rate)s, %(discount_type)s, %(discount_value)s, %(deposit_type)s, %(deposit_value)s,
    %(notes)s, %(terms)s, %(valid_until)s, %(subtotal)s, %(markup_amount)s, %(discount_amount)s,
    %(tax_amount)s, %(tax_breakdown)s, %(total)s, %(deposit_amount)s"""
INSERT_LINES: Final[LiteralString] = """
insert into app.quote_lines (version_id, position, item_id, name, description, unit, quantity,
    unit_cost, tax_rate, discount_type, discount_value, optional, selected, unit_price, gross,
    discount_amount, line_total, net, tax_amount, group_name, choice, quantity_min, quantity_max)
select coalesce(line.version_id, %(version_id)s), line.position, line.item_id, line.name,
    line.description, line.unit, line.quantity, line.unit_cost, line.tax_rate,
    line.discount_type, line.discount_value, line.optional, line.selected, line.unit_price,
    line.gross, line.discount_amount, line.line_total, line.net, line.tax_amount, line."group",
    line.choice, line.quantity_min, line.quantity_max
from jsonb_to_recordset(%(lines)s) as line (version_id uuid, position smallint, item_id uuid,
    name text, description text, unit text, quantity numeric, unit_cost numeric, tax_rate numeric,
    discount_type text, discount_value numeric, optional boolean, selected boolean,
    unit_price numeric, gross numeric, discount_amount numeric, line_total numeric, net numeric,
    tax_amount numeric, "group" text, choice text, quantity_min numeric, quantity_max numeric)
"""
INSERT: Final[LiteralString] = (
    """
with quote as (
    insert into app.quotes (id, client_id, is_template, template_name, title, revises)
    values (%(id)s, %(client_id)s, %(is_template)s, %(template_name)s, %(title)s, %(revises)s)
    returning created_at
), version as (
    insert into app.quote_versions (id, quote_id, revision, """
    + VERSION_COLUMNS
    + """)
    values (%(version_id)s, %(id)s, %(revision)s, """
    + VERSION_VALUES
    + """)
), lines as ("""
    + INSERT_LINES
    + """)
select created_at from quote
"""
)


def insert(
    connection: Connection,
    draft: Draft,
    lines: Sequence[QuoteLine],
    totals: Totals,
    revised: Quote | None = None,
) -> tuple[UUID, datetime]:
    """Store a draft, of a quote that it is to replace or of none; its id and time.

    Raises InvalidInputError for a client or item that is not there.
    """
    quote_id = new_id()
    values = {
        "id": quote_id,
        "version_id": new_id(),
        "client_id": draft.client_id,
        "is_template": draft.is_template,
        "template_name": draft.template_name,
        "revises": revised and revised.id,
        "revision": revised.revision + 1 if revised else 1,
        **_content(draft, lines, totals),
    }
    try:
        (created_at,) = connection.execute(INSERT, values).fetchone() or ()
    except ForeignKeyViolation as error:
        raise _unknown_reference(error) from error
    return quote_id, created_at


def _unknown_reference(error: ForeignKeyViolation) -> Exception:
    field = (
        "client_id" if "client_id" in (error.diag.constraint_name or "") else "line_items.item_id"
    )
    return invalid(field, "does not exist")


UPDATE_QUOTE: Final = """
update app.quotes
set client_id = %(client_id)s, is_template = %(is_template)s, template_name = %(template_name)s,
    title = %(title)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s
"""
DELETE_LINES: Final = """
delete from app.quote_lines
where account_id = (select auth.account_id()) and version_id = %(version_id)s
"""
UPDATE_VERSION: Final[LiteralString] = (
    "update app.quote_versions set ("
    + VERSION_COLUMNS
    + ") = row("
    + VERSION_VALUES
    + ") where account_id = (select auth.account_id()) and id = %(version_id)s"
)


def update(
    connection: Connection,
    found: "Found",
    draft: Draft,
    lines: Sequence[QuoteLine],
    totals: Totals,
) -> None:
    """Replace what a draft says; its row must be locked."""
    values = {
        "id": found.quote.id,
        "version_id": found.version_id,
        "client_id": draft.client_id,
        "is_template": draft.is_template,
        "template_name": draft.template_name,
        **_content(draft, lines, totals),
    }
    try:
        with connection.pipeline():
            for statement in (UPDATE_QUOTE, DELETE_LINES, UPDATE_VERSION, INSERT_LINES):
                connection.execute(statement, values)
    except ForeignKeyViolation as error:
        raise _unknown_reference(error) from error


def _content(draft: Draft, lines: Sequence[QuoteLine], totals: Totals) -> dict[str, Any]:
    return {
        "client_name": draft.client.name,
        "client_email": draft.client.email,
        "client_phone": draft.client.phone,
        "client_address": draft.client.address,
        "currency": draft.currency,
        "language": draft.language,
        "tax_rate": draft.tax_rate,
        "tax_inclusive": draft.tax_inclusive,
        "tax_rounding": draft.tax_rounding,
        "markup_rate": draft.markup_rate,
        "discount_type": draft.discount and draft.discount.type,
        "discount_value": draft.discount and draft.discount.value,
        "deposit_type": draft.deposit and draft.deposit.type,
        "deposit_value": draft.deposit and draft.deposit.value,
        "notes": draft.notes,
        "terms": draft.terms,
        "valid_until": draft.valid_until,
        "subtotal": totals.subtotal,
        "markup_amount": totals.markup_amount,
        "discount_amount": totals.discount_amount,
        "tax_amount": totals.tax_amount,
        "tax_breakdown": Jsonb(to_jsonable_python(totals.tax_breakdown)),
        "total": totals.total,
        "deposit_amount": totals.deposit_amount,
        "title": _title(draft),
        "lines": Jsonb([line_row(line) for line in lines]),
    }


def _title(draft: Draft) -> str:
    words = [draft.client.name, draft.client.email or "", *(line.name for line in draft.line_items)]
    return " ".join(filter(None, words))[:1000]


def line_row(line: QuoteLine) -> dict[str, Any]:
    row: dict[str, Any] = to_jsonable_python(line)
    discount = row.pop("discount") or {"type": None, "value": None}
    gross = str(line.line_total + line.discount_amount)
    return row | {
        "gross": gross,
        "discount_type": discount["type"],
        "discount_value": discount["value"],
    }


SELECT: Final[LiteralString] = """
select quote.id, quote.account_id, quote.number, quote.version, quote.revision, quote.status,
    quote.revises, quote.is_template, quote.template_name, quote.client_id, quote.created_at,
    quote.updated_at, quote.sent_at, quote.viewed_at, quote.decided_at, quote.decision_note,
    quote.converted_at, quote.expires_at, said.id as version_id, said.client_name,
    said.client_email, said.client_phone, said.client_address, said.currency, said.language,
    said.tax_rate, said.tax_inclusive,
    said.tax_rounding, said.markup_rate, said.discount_type, said.discount_value, said.deposit_type,
    said.deposit_value, said.notes, said.terms, said.valid_until, said.subtotal, said.markup_amount,
    said.discount_amount, said.tax_amount, said.tax_breakdown, said.total, said.deposit_amount,
    (select jsonb_agg(jsonb_build_object(
        'position', line.position, 'item_id', line.item_id, 'name', line.name,
        'description', line.description, 'unit', line.unit, 'quantity', line.quantity::text,
        'unit_cost', line.unit_cost::text, 'tax_rate', line.tax_rate::text,
        'discount_type', line.discount_type, 'discount_value', line.discount_value::text,
        'optional', line.optional, 'selected', line.selected, 'unit_price', line.unit_price::text,
        'discount_amount', line.discount_amount::text, 'line_total', line.line_total::text,
        'net', line.net::text, 'tax_amount', line.tax_amount::text,
        'group', line.group_name, 'choice', line.choice,
        'quantity_min', line.quantity_min::text, 'quantity_max', line.quantity_max::text)
        order by line.position)
     from app.quote_lines as line
     where line.account_id = quote.account_id and line.version_id = said.id) as lines,
    (select jsonb_build_object('status', mail.status, 'recipient', mail.recipient,
        'attempts', mail.attempts, 'attachment', mail.attachment, 'reason', mail.reason,
        'sent_at', mail.sent_at)
     from app.mails as mail
     where mail.account_id = quote.account_id and mail.quote_id = quote.id
       and not exists (select from app.quote_reminders as reminder
           where reminder.account_id = mail.account_id and reminder.mail_id = mail.id)
     order by mail.created_at desc limit 1) as delivery
from app.quotes as quote
join app.quote_versions as said
    on said.account_id = quote.account_id and said.quote_id = quote.id and said.revision =
    quote.revision
"""
GET: Final[LiteralString] = (
    SELECT + "where quote.account_id = (select auth.account_id()) and quote.id = %(id)s"
)
GET_FOR_UPDATE: Final[LiteralString] = GET + " for update of quote"
GET_ALL: Final[LiteralString] = (
    SELECT + "where quote.account_id = (select auth.account_id()) and quote.id = any(%(ids)s)"
)
# For the house's own workers, which act for no account and are told which.
GET_VERSION: Final[LiteralString] = (
    SELECT + "where quote.account_id = %(account_id)s and said.id = %(version_id)s"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A quote with what its owner is not shown."""

    quote: Quote
    account_id: UUID
    version_id: UUID


def get(connection: Connection, quote_id: UUID, *, lock: bool = False) -> Found:
    """One quote of the caller's. Raises NotFoundError, also for another account's."""
    return _one(connection, GET_FOR_UPDATE if lock else GET, {"id": quote_id})


def get_all(connection: Connection, quote_ids: Sequence[UUID]) -> dict[UUID, Found]:
    """Those of the quotes that are the caller's, by id."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(GET_ALL, {"ids": quote_ids}).fetchall()
    return {row["id"]: Found(assemble(row), row["account_id"], row["version_id"]) for row in rows}


def get_version(connection: Connection, account_id: UUID, version_id: UUID) -> Found:
    """The quote a version belongs to, for the service. Raises NotFoundError."""
    values = {"account_id": account_id, "version_id": version_id}
    return _one(connection, GET_VERSION, values)


def _one(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> Found:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise NotFoundError("There is no such quote.")
    return Found(assemble(row), row["account_id"], row["version_id"])


DELETE: Final = """
delete from app.quotes
where account_id = (select auth.account_id()) and id = %(id)s and status = 'draft'
"""


def delete(connection: Connection, quote_id: UUID) -> None:
    """Delete a draft whose row is locked."""
    connection.execute(DELETE, {"id": quote_id})

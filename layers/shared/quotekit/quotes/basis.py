"""What a quote is drafted from: the account's settings, and the client it names."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from psycopg.rows import class_row, dict_row

from quotekit.database import Connection
from quotekit.errors import invalid
from quotekit.quotes.model import Draft, Quote, Recipient


@dataclass(frozen=True, slots=True)
class Company:
    """How an account prints and counts; these are the defaults where it said nothing."""

    company_name: str = ""
    address: str = ""
    email: str | None = None
    phone: str | None = None
    logo_key: str | None = None
    brand_colour: str = "#1f4e79"
    currency: str = "USD"
    language: str = "en"
    time_zone: str = "UTC"
    default_tax_rate: Decimal = Decimal(0)
    default_markup_rate: Decimal = Decimal(0)
    tax_rounding: Literal["document", "line"] = "document"
    valid_days: int = 30
    quote_terms: str = ""
    track_opens: bool = False


COMPANY: Final = """
select company_name, address, email, phone, logo_key, brand_colour, currency, language, time_zone,
    default_tax_rate, default_markup_rate, tax_rounding, valid_days, quote_terms,
    track_opens
from app.company_settings
where account_id = coalesce(%(account_id)s, (select auth.account_id()))
"""


def company(connection: Connection, account_id: UUID | None = None) -> Company:
    """The account's settings, or the defaults; the service says whose."""
    with connection.cursor(row_factory=class_row(Company)) as cursor:
        return cursor.execute(COMPANY, {"account_id": account_id}).fetchone() or Company()


CLIENT: Final = """
select name, email, phone, address from app.clients
where account_id = (select auth.account_id()) and id = %(id)s
"""


def recipient(connection: Connection, client_id: UUID) -> Recipient:
    """The client as a quote names him. Raises InvalidInputError when the account has no such
    one."""
    with connection.cursor(row_factory=class_row(Recipient)) as cursor:
        found = cursor.execute(CLIENT, {"id": client_id}).fetchone()
    if found is None:
        raise invalid("client_id", "does not exist")
    return found


def require_same_client(quote: Quote, draft: Draft) -> None:
    """A revision takes no quota, so it stays a quote for the one client, and no template."""
    if draft.is_template:
        raise invalid("is_template", "a revision is no template; duplicate it")
    if draft.client_id != quote.client_id:
        raise invalid("client_id", "is that of the quote it revises")
    if (draft.client.name, draft.client.email) != (quote.client.name, quote.client.email):
        raise invalid("client", "name and email are those of the quote it revises")


WATERMARK: Final = """
select watermark from app.plans
where key = app.plan_key(coalesce(%(account_id)s, (select auth.account_id())))
"""


def watermark(connection: Connection, account_id: UUID | None = None) -> bool:
    """Whether the account's plan prints its mark on a PDF."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(WATERMARK, {"account_id": account_id}).fetchone()
    return row is None or bool(row["watermark"])


TOUCH_ITEMS: Final = """
update app.items set last_used_at = now()
where account_id = (select auth.account_id()) and id = any(%(ids)s)
"""


def touch_items(connection: Connection, ids: list[UUID]) -> None:
    """Note that items were used in a quote."""
    if ids:
        connection.execute(TOUCH_ITEMS, {"ids": ids})

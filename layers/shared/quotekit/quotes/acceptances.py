"""What a client agreed to on his page: added once to a quote, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.identifiers import new_id
from quotekit.quotes.assembly import money_of
from quotekit.quotes.model import Quote, QuoteLine
from quotekit.quotes.repository import Found
from quotekit.quotes.sealing import seal

MONEY: Final = ("subtotal", "discount_amount", "tax_amount", "total", "deposit_amount")
LONGEST_AGENT: Final = 500


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who said yes, and from where. `signature` is an SVG path on a field of 600 by 200."""

    name: str
    signature: str | None
    source_ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class ChosenQuantity:
    """How much of a line the client took."""

    position: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The evidence, and the amounts with the optional lines that were taken.

    `selected` names these by position, those of each group's choice among them; `quantities` the
    lines taken of which the client could choose how much."""

    id: UUID
    name: str
    signature: str | None
    source_ip: IPv4Address | IPv6Address
    user_agent: str
    version_sha256: str
    selected: Sequence[int]
    quantities: Sequence[ChosenQuantity]
    currency: str
    subtotal: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    total: Decimal
    deposit_amount: Decimal
    accepted_at: datetime


INSERT: Final = """
insert into app.quote_acceptances (id, quote_id, version_id, name, signature, source_ip, user_agent,
    version_sha256, selected, currency, subtotal, discount_amount, tax_amount, tax_breakdown, total,
    deposit_amount, amounts, quantities)
values (%(id)s, %(quote_id)s, %(version_id)s, %(name)s, %(signature)s, %(source_ip)s,
    %(user_agent)s, %(version_sha256)s, %(selected)s, %(currency)s, %(subtotal)s,
    %(discount_amount)s, %(tax_amount)s, %(tax_breakdown)s, %(total)s, %(deposit_amount)s,
    %(amounts)s, %(quantities)s)
"""


def insert(connection: Connection, found: Found, chosen: Quote, signatory: Signatory) -> UUID:
    """Keep that a locked quote was accepted as `chosen`; the client's own transaction does it."""
    acceptance_id = new_id()
    values: dict[str, Any] = {name: getattr(chosen, name) for name in MONEY}
    values |= {
        "id": acceptance_id,
        "quote_id": found.quote.id,
        "version_id": found.version_id,
        "name": signatory.name,
        "signature": signatory.signature,
        "source_ip": ip_address(signatory.source_ip),
        "user_agent": signatory.user_agent[:LONGEST_AGENT],
        "version_sha256": seal(found.quote),
        "selected": [
            line.position for line in chosen.line_items if line.optional and line.selected
        ],
        "currency": chosen.currency,
        "tax_breakdown": Jsonb(to_jsonable_python(chosen.tax_breakdown)),
        "amounts": Jsonb([amounts(line) for line in chosen.line_items if counts(line)]),
        "quantities": Jsonb(to_jsonable_python(quantities(chosen))),
    }
    connection.execute(INSERT, values)
    return acceptance_id


def counts(line: QuoteLine) -> bool:
    return line.selected or not line.optional


def quantities(chosen: Quote) -> list[ChosenQuantity]:
    return [
        ChosenQuantity(line.position, line.quantity)
        for line in chosen.line_items
        if line.quantity_min is not None and counts(line)
    ]


def amounts(line: QuoteLine) -> dict[str, Any]:
    """What a line comes to, for the reports by item."""
    return {"position": line.position, "net": str(line.net), "tax_amount": str(line.tax_amount)}


OF_QUOTES: Final = """
select quote_id, id, name, signature, source_ip, user_agent, version_sha256, selected, quantities,
    currency, subtotal, discount_amount, tax_amount, total, deposit_amount, accepted_at
from app.quote_acceptances
where account_id = coalesce(%(account_id)s, (select auth.account_id()))
  and quote_id = any(%(quote_ids)s)
"""


def of_quotes(
    connection: Connection, quote_ids: Sequence[UUID], account_id: UUID | None = None
) -> dict[UUID, Acceptance]:
    """Those of the quotes that their clients accepted; the service says whose they are."""
    values = {"quote_ids": list(quote_ids), "account_id": account_id}
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row.pop("quote_id"): assembled(row) for row in cursor.execute(OF_QUOTES, values)}


def assembled(row: dict[str, Any]) -> Acceptance:
    money = money_of(row["currency"])
    chosen = [
        ChosenQuantity(one["position"], Decimal(one["quantity"])) for one in row["quantities"]
    ]
    told = {name: money(row[name]) for name in MONEY}
    return Acceptance(**row | told | {"quantities": chosen})


def of_quote(
    connection: Connection, quote_id: UUID, account_id: UUID | None = None
) -> Acceptance | None:
    """The client's own acceptance, if there is one."""
    return of_quotes(connection, [quote_id], account_id).get(quote_id)


def get(connection: Connection, quote_id: UUID) -> Acceptance:
    """How the client of a quote of the caller's accepted it. Raises NotFoundError also where the
    owner recorded the answer himself."""
    found = of_quote(connection, quote_id)
    if found is None:
        raise NotFoundError("The client did not accept this quote on its page.")
    return found

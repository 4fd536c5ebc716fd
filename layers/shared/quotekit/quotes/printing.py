"""A quote as a PDF: composed from its version, printed once, kept under the hash of what was
printed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row
from pydantic_core import to_jsonable_python

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.quotes import document
from quotekit.quotes.acceptances import Acceptance, ChosenQuantity
from quotekit.quotes.basis import Company
from quotekit.quotes.certificates import Certificate, Quantity
from quotekit.quotes.choices import as_accepted
from quotekit.quotes.document import Pdf, QuoteDocument
from quotekit.quotes.groups import grouped
from quotekit.quotes.model import Quote, QuoteLine
from quotekit.quotes.pricing import TaxRow
from quotekit.quotes.repository import Found

DESIGN: Final = "1"  # to be raised when the same quote has to look different from now on
REASON: Final = 500
CHOSEN: Final = frozenset({"chosen", "quantities"})  # of a certificate, where there was a choice
# What is printed as it stands; unit_cost, markup_rate and markup_amount are not among it.
PRINTED: Final = (
    *("number", "valid_until", "currency", "language", "subtotal", "discount_amount", "tax_amount"),
    *("tax_inclusive", "total", "deposit_amount", "notes", "terms"),
)
PRINTED_OF_A_LINE: Final = (
    *("name", "description", "unit", "quantity", "unit_price", "line_total", "discount_amount"),
    *("optional", "selected", "group", "choice"),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is to be printed, for whom, and its identity."""

    found: Found
    document: QuoteDocument
    input_hash: bytes

    @property
    def key(self) -> str:
        """The object's name in the documents bucket."""
        quote, digest = self.found.quote, self.input_hash.hex()
        return f"accounts/{self.found.account_id}/quotes/{quote.id}/{digest}.pdf"


def filename(number: str | None) -> str:
    """What a person saves it as; never more than letters, digits and dashes."""
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in number or "draft")
    return f"{safe.strip('-') or 'quote'}.pdf"


@dataclass(frozen=True, slots=True)
class Printed:
    """A PDF in the documents bucket."""

    id: UUID
    key: str
    sha256: str
    bytes: int
    pages: int


@dataclass(frozen=True, slots=True)
class Download:
    """Where a PDF can be fetched for a while, and what it is."""

    url: str
    expires_at: datetime
    sha256: str
    bytes: int
    pages: int


def compose(
    found: Found,
    company: Company,
    *,
    logo: bytes | None,
    watermark: bool,
    accepted: Acceptance | None = None,
) -> Sheet:
    """The document of a quote, as its client accepted it where he did: nothing of cost or markup
    can enter it."""
    quote = as_accepted(found.quote, accepted)
    written = quote.sent_at or quote.updated_at
    paper = QuoteDocument(
        **{name: getattr(quote, name) for name in PRINTED},
        company=letterhead(company, logo),
        client=addressee(quote),
        issued_on=written.astimezone(ZoneInfo(company.time_zone)).date(),
        lines=tuple(printed_line(line, quote.tax_rate) for line in quote.line_items),
        tax_breakdown=tuple(TaxRow(row.rate, row.net, row.tax) for row in quote.tax_breakdown),
        draft=quote.number is None,
        watermark=watermark,
        certificate=certificate(accepted, quote) if accepted else None,
    )
    return Sheet(found, paper, digest(paper))


def certificate(accepted: Acceptance, quote: Quote) -> Certificate:
    alternatives = [
        (name, one) for name, group in grouped(quote.line_items).items() for one in group
    ]
    return Certificate(
        id=str(accepted.id),
        name=accepted.name,
        signature=accepted.signature,
        accepted_at=accepted.accepted_at,
        source_ip=str(accepted.source_ip),
        user_agent=accepted.user_agent,
        version_sha256=accepted.version_sha256,
        total=accepted.total,
        chosen=[
            f"{group}: {choice.name}"
            for group, choice in alternatives
            if choice.lines[0].position in accepted.selected
        ],
        quantities=[quantity(one, quote) for one in accepted.quantities],
    )


def quantity(one: ChosenQuantity, quote: Quote) -> Quantity:
    line = quote.line_items[one.position - 1]
    return Quantity(line.name, one.quantity, line.unit)


def letterhead(company: Company, logo: bytes | None) -> document.Company:
    return document.Company(
        name=company.company_name,
        address=company.address,
        email=company.email or "",
        phone=company.phone or "",
        logo=logo,
        colour=company.brand_colour,
    )


def addressee(quote: Quote) -> document.Client:
    return document.Client(
        name=quote.client.name,
        address=quote.client.address or "",
        email=quote.client.email or "",
        phone=quote.client.phone or "",
    )


def printed_line(line: QuoteLine, rate: Decimal) -> document.DocumentLine:
    return document.DocumentLine(
        **{name: getattr(line, name) for name in PRINTED_OF_A_LINE},
        tax_rate=rate if line.tax_rate is None else line.tax_rate,
    )


def without_logo(paper: QuoteDocument) -> QuoteDocument:
    return replace(paper, company=replace(paper.company, logo=None))


def digest(paper: QuoteDocument) -> bytes:
    logo = hashlib.sha256(paper.company.logo or b"").hexdigest()
    said = asdict(paper) | {"design": DESIGN, "logo": logo}
    said["company"]["logo"] = None
    for line in said["lines"]:  # what was printed before there were groups keeps its name
        if line["group"] is None:
            del line["group"], line["choice"]
    if paper.certificate is None:
        del said["certificate"]
    else:
        said["certificate"] = {
            name: told for name, told in said["certificate"].items() if told or name not in CHOSEN
        }
    text = json.dumps(to_jsonable_python(said), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


READY: Final = """
select id, key, sha256, bytes, pages from app.documents
where account_id = %(account_id)s and version_id = %(version_id)s and input_hash = %(input_hash)s
  and status = 'ready'
"""


def printed(connection: Connection, sheet: Sheet) -> Printed | None:
    """The PDF of exactly this sheet, when it was printed before."""
    with connection.cursor(row_factory=class_row(Printed)) as cursor:
        return cursor.execute(READY, identity(sheet)).fetchone()


READY_OF_ALL: Final = """
select id, key, sha256, bytes, pages from app.documents
where account_id = (select auth.account_id()) and status = 'ready' and key = any(%(keys)s)
  and version_id = any(%(version_ids)s)
"""


def printed_all(connection: Connection, sheets: Sequence[Sheet]) -> dict[str, Printed]:
    """The PDFs of those of the caller's sheets that were printed before, by key."""
    values = {
        "keys": [sheet.key for sheet in sheets],
        "version_ids": [sheet.found.version_id for sheet in sheets],
    }
    with connection.cursor(row_factory=class_row(Printed)) as cursor:
        return {one.key: one for one in cursor.execute(READY_OF_ALL, values)}


def identity(sheet: Sheet) -> dict[str, object]:
    return {
        "account_id": sheet.found.account_id,
        "quote_id": sheet.found.quote.id,
        "version_id": sheet.found.version_id,
        "input_hash": sheet.input_hash,
        "key": sheet.key,
    }


KEEP: Final = """
insert into app.documents (id, account_id, quote_id, version_id, input_hash, key, status, sha256,
    bytes, pages)
values (%(id)s, %(account_id)s, %(quote_id)s, %(version_id)s, %(input_hash)s, %(key)s, 'ready',
    %(sha256)s,
    %(bytes)s, %(pages)s)
on conflict (version_id, input_hash) do update
set status = 'ready', reason = null, key = excluded.key, sha256 = excluded.sha256, bytes =
    excluded.bytes,
    pages = excluded.pages
returning id, key, sha256, bytes, pages
"""


def keep(connection: Connection, sheet: Sheet, pdf: Pdf) -> Printed:
    """Note a PDF that lies in the bucket, for the service."""
    measured = {"sha256": pdf.sha256, "bytes": len(pdf.content), "pages": pdf.pages}
    with connection.cursor(row_factory=class_row(Printed)) as cursor:
        (kept,) = cursor.execute(KEEP, {"id": new_id(), **identity(sheet), **measured})
    return kept


FAIL: Final = """
insert into app.documents (id, account_id, quote_id, version_id, input_hash, key, status, reason)
values (%(id)s, %(account_id)s, %(quote_id)s, %(version_id)s, %(input_hash)s, %(key)s, 'failed',
    %(reason)s)
on conflict (version_id, input_hash) do update set status = 'failed', reason = excluded.reason
where documents.status <> 'ready'
"""


def note_failure(connection: Connection, sheet: Sheet, reason: str) -> None:
    """Note that a sheet could not be printed, and why, for the service."""
    connection.execute(FAIL, {"id": new_id(), **identity(sheet), "reason": reason[:REASON]})


LATEST: Final = """
select id, key, sha256, bytes, pages from app.documents
where account_id = %(account_id)s and version_id = %(version_id)s and status = 'ready'
  and created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
order by created_at desc limit 1
"""


def latest(
    connection: Connection, account_id: UUID, version_id: UUID, since: datetime | None = None
) -> Printed | None:
    """The newest PDF of a version, for who is told which; made after a time, if one is given."""
    values = {"account_id": account_id, "version_id": version_id, "since": since}
    with connection.cursor(row_factory=class_row(Printed)) as cursor:
        return cursor.execute(LATEST, values).fetchone()

"""A quote as the client sees it, printed to a tagged PDF; cost and markup have no place in it."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from quotekit.quotes import positions
from quotekit.quotes.certificates import Certificate, certified, drawings
from quotekit.quotes.colours import chosen, readable
from quotekit.quotes.glyphs import FONTS, printable
from quotekit.quotes.languages import Language, language, paper
from quotekit.quotes.logos import LogoError, read_logo
from quotekit.quotes.pricing import TaxRow

TEMPLATE: Final = Path(__file__).with_name("print") / "quote.typ"
HEADER_TEXT: Final = 50  # characters, so that it stays on one line
FOOTER_TEXT: Final = 110
DRAWN: Final = b"/Subtype/Image"
PAGES: Final = re.compile(rb"%PDF-1\.7\n%[^\n]*\n+1 0 obj\n<</Type/Pages/Count (\d+)")


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    address: str = ""
    email: str = ""
    phone: str = ""
    logo: bytes | None = None
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    address: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class DocumentLine:
    name: str
    quantity: Decimal
    unit_price: Decimal
    line_total: Decimal
    description: str = ""
    unit: str = ""
    discount_amount: Decimal = Decimal(0)
    tax_rate: Decimal = Decimal(0)
    optional: bool = False
    selected: bool = False
    group: str | None = None
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class QuoteDocument:
    """Without a number it is a draft and says so; `paper` follows the language's region if None."""

    company: Company
    client: Client
    number: str | None
    issued_on: date
    valid_until: date | None
    currency: str
    language: str
    lines: tuple[DocumentLine, ...]
    subtotal: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    total: Decimal
    tax_breakdown: tuple[TaxRow, ...] = ()
    tax_inclusive: bool = False
    deposit_amount: Decimal = Decimal(0)
    notes: str = ""
    terms: str = ""
    draft: bool = False
    watermark: bool = False
    paper: Literal["a4", "us-letter"] | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Pdf:
    content: bytes
    pages: int
    sha256: str


def render(document: QuoteDocument) -> Pdf:
    """The same document gives the same bytes; raises LogoError."""
    from typst import TypstError  # noqa: PLC0415 - heavy, and only printing needs it

    sheet = json.dumps(sheet_of(document), ensure_ascii=False)
    try:
        content = _compile(sheet, document)
    except TypstError as error:
        if document.company.logo and "image" in error.message:
            raise LogoError from error
        # a mark no font can set on its letter; letters alone are always drawn
        content = _compile(_without_marks(sheet), document)
    if document.company.logo and DRAWN not in content:
        raise LogoError  # typst leaves out some broken images without a word
    return Pdf(content, _pages(content), hashlib.sha256(content).hexdigest())


def _compile(sheet: str, document: QuoteDocument) -> bytes:
    files = {"main.typ": TEMPLATE.read_bytes(), "data.json": sheet.encode()}
    if document.company.logo:
        files["logo.svg"] = read_logo(document.company.logo).as_svg()
    files |= drawings(document.certificate)
    content: bytes = _compiler().compile(
        input=files,
        format="pdf",
        pdf_standards=["ua-1"],
        timestamp=datetime.combine(document.issued_on, time(), UTC),
    )
    return content


@cache
def _compiler() -> Any:  # noqa: ANN401 - typst's own types know no input of several files
    import typst  # noqa: PLC0415 - see render

    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS]
    )
    return typst.Compiler(font_paths=fonts, ignore_system_fonts=True)


def _pages(content: bytes) -> int:
    """Read the page tree: typst writes it as the first object, before anything a user typed."""
    match = PAGES.match(content)
    if match is None:
        raise RuntimeError("typst has changed how it begins a PDF")
    return int(match[1])


def _without_marks(text: str) -> str:
    decomposed = unicodedata.normalize("NFC", text)
    return "".join(one for one in decomposed if unicodedata.category(one) not in {"Mn", "Me"})


# --- what the template is told: every word, figure and date a finished string


def sheet_of(document: QuoteDocument) -> dict[str, Any]:
    spoken = language(document.language)
    draft = document.draft or document.number is None
    name = document.number or spoken.words.draft
    company = document.company
    sheet: dict[str, Any] = _printable(
        {
            "title": f"{spoken.words.quote} {name} - {company.name}",
            "lang": spoken.locale.language,
            "region": spoken.locale.territory,
            "paper": document.paper or paper(document.language),
            "stripe": chosen(company.colour),
            "brand": readable(chosen(company.colour)),
            "draft": draft,
            "logo": _logo(company, spoken),
            "company": _contact(company),
            "client": _contact(document.client),
            "words": _words(spoken),
            "facts": _facts(document, spoken, name),
            **positions.sections(document, spoken),
            "show-tax": len({line.tax_rate for line in document.lines}) > 1,
            "totals": _totals(document, spoken),
            "sections": _sections(document, spoken),
            "running": {
                "left": _short(company.name, HEADER_TEXT),
                "right": _short(f"{spoken.words.quote} {name}", HEADER_TEXT),
            },
            "footer": _short(
                " · ".join(filter(None, (company.name, company.email, company.phone))), FOOTER_TEXT
            ),
            "made-with": spoken.words.made_with if document.watermark else None,
            "certificate": certified(document.certificate, document.currency, spoken),
        }
    )
    return sheet


def _printable(value: Any) -> Any:  # noqa: ANN401 - anything JSON can hold
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return value


def _words(spoken: Language) -> dict[str, str]:
    words = spoken.words
    return {
        "draft": words.draft,
        "quote": words.quote,
        "prepared-by": words.prepared_by,
        "prepared-for": words.prepared_for,
        "description": words.description,
        "quantity": words.quantity,
        "unit-price": words.unit_price,
        "tax": spoken.tax_word,
        "amount": words.amount,
        "optional-items": words.optional_items,
        "page": words.page,
    }


def _contact(who: Company | Client) -> dict[str, str]:
    return {
        "name": who.name,
        "address": who.address.strip(),
        "email": who.email,
        "phone": who.phone,
    }


def _logo(company: Company, spoken: Language) -> dict[str, str] | None:
    if not company.logo:
        return None
    return {"alt": spoken.words.logo_of.format(company=company.name)}


def _facts(document: QuoteDocument, spoken: Language, name: str) -> list[list[str]]:
    facts = [[spoken.words.number, name], [spoken.words.date, spoken.date(document.issued_on)]]
    if document.valid_until is not None:
        facts.append([spoken.words.valid_until, spoken.date(document.valid_until)])
    return facts


def _totals(document: QuoteDocument, spoken: Language) -> list[dict[str, str]]:
    words = spoken.words

    def row(name: str, amount: Decimal, kind: str = "part") -> dict[str, str]:
        return {"name": name, "amount": spoken.money(amount, document.currency), "kind": kind}

    rows = []
    if document.discount_amount or (document.tax_amount and not document.tax_inclusive):
        rows.append(row(words.subtotal, document.subtotal))
    if document.discount_amount:
        rows.append(row(words.discount, -document.discount_amount))
    tax_line = words.tax_included if document.tax_inclusive else words.tax_on
    taxes = [
        row(
            tax_line.format(
                tax=spoken.tax_word,
                rate=spoken.percent(part.rate),
                net=spoken.money(part.net, document.currency),
            ),
            part.tax,
            "remark" if document.tax_inclusive else "part",
        )
        for part in document.tax_breakdown
        if part.rate or len(document.tax_breakdown) > 1
    ]
    total = row(words.total, document.total, "total")
    rows += [total, *taxes] if document.tax_inclusive else [*taxes, total]
    if document.deposit_amount:
        rows.append(row(words.deposit, document.deposit_amount))
    return rows


def _sections(document: QuoteDocument, spoken: Language) -> list[list[str]]:
    texts = [(spoken.words.notes, document.notes), (spoken.words.terms, document.terms)]
    return [[title, text.strip()] for title, text in texts if text.strip()]


def _short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"

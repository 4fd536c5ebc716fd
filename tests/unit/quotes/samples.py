"""Quotes to print: priced by the calculator, so that what is on paper can be checked against it."""

import struct
import zlib
from datetime import date
from decimal import Decimal
from typing import Any

from quotekit.quotes.document import Client, Company, DocumentLine, QuoteDocument
from quotekit.quotes.pricing import Discount, Line, Terms, calculate

D = Decimal

WORK = [
    ("Lawn renovation", "Scarify, aerate, top-dress and overseed, 320 m² behind the house", "m²"),
    ("Hedge trimming", "Hornbeam, both sides and top, clippings taken away", "m"),
    ("Natural stone path", "Granite setts on a bed of gravel, 1.20 m wide", "m²"),
    ("Irrigation", "Two zones with rain sensor, laid below the frost line", "set"),
    ("Green waste disposal", "", "t"),
]
TERMS = (
    "Prices are valid until the date above. Payment within 14 days of the invoice, net. "
    "Plants carry a one-year growth guarantee when watered as advised."
)


def logo(width=360, height=120):
    """A PNG with a leaf-green band, made here so that no binary file is needed."""
    rows = b"".join(
        b"\0"
        + b"".join(
            bytes((31, 122, 77)) if (x - 60) ** 2 + (y - 60) ** 2 < 2500 or x > 130 else b"\xff" * 3
            for x in range(width)
        )
        for y in range(height)
    )

    def chunk(kind, body):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def priced(count, terms, **fields):
    """Lines of work and their totals; every fifth line is optional, every tenth of them chosen."""
    lines = [
        Line(
            quantity=D("12.5") + index,
            unit_cost=D("17.35") + index * D("3.1"),
            tax_rate=D(7) if index % 4 == 3 else None,
            discount=Discount("percent", D(5)) if index % 5 == 1 else None,
            optional=index % 5 == 4,
            selected=index % 10 == 4,
        )
        for index in range(count)
    ]
    totals = calculate(lines, terms)
    rows = []
    for index, (line, offer) in enumerate(zip(lines, totals.lines, strict=True)):
        name, description, unit = WORK[index % len(WORK)]
        rows.append(
            DocumentLine(
                name=name,
                description=description,
                unit=unit,
                quantity=line.quantity,
                unit_price=offer.unit_price,
                line_total=offer.line_total,
                discount_amount=offer.discount_amount,
                tax_rate=offer.tax_rate,
                optional=line.optional,
                selected=line.selected,
            )
        )
    return totals, document(totals, rows, terms, **fields)


def document(totals, rows, terms, **fields):
    values: dict[str, Any] = {
        "company": Company(
            name="Greenfield Garden Studio",
            address="14 Orchard Lane\nPortland, OR 97205",
            email="hello@greenfield.example",
            phone="+1 503 555 0147",
            logo=logo(),
            colour="#1f7a4d",
        ),
        "client": Client(
            name="Amelia Whitfield",
            address="882 Riverside Drive\nPortland, OR 97219",
            email="amelia.whitfield@mail.example",
            phone="+1 503 555 0199",
        ),
        "number": "Q-2026-0042",
        "issued_on": date(2026, 3, 2),
        "valid_until": date(2026, 4, 1),
        "currency": terms.currency,
        "language": "en",
        "lines": tuple(rows),
        "subtotal": totals.subtotal,
        "discount_amount": totals.discount_amount,
        "tax_amount": totals.tax_amount,
        "tax_breakdown": totals.tax_breakdown,
        "tax_inclusive": terms.tax_inclusive,
        "total": totals.total,
        "deposit_amount": totals.deposit_amount,
        "notes": "We can begin in the second week of April and need about four working days.",
        "terms": TERMS,
    }
    return QuoteDocument(**values | fields)


def terms(currency="EUR", **more):
    values: dict[str, Any] = {
        "markup_rate": D(18),
        "tax_rate": D(19),
        "discount": Discount("percent", D(3)),
        "deposit": Discount("percent", D(30)),
    }
    return Terms(currency, **values | more)

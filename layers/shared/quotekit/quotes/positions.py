"""The lines of a quote as the template takes them: what counts, what may be taken, alternatives."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from quotekit.quotes.groups import grouped
from quotekit.quotes.languages import Language

if TYPE_CHECKING:
    from quotekit.quotes.document import DocumentLine, QuoteDocument

LONG_TEXT: Final = 500  # characters; a line with more of them may break over pages


def sections(document: "QuoteDocument", spoken: Language) -> dict[str, list[dict[str, Any]]]:
    """Lines that count in any case, optional ones, and the choices of groups."""
    lines = document.lines
    return {
        "rows": [row(line, document, spoken) for line in lines if not line.optional],
        "options": [row(line, document, spoken) for line in lines if is_option(line)],
        "choices": choices(document, spoken),
    }


def row(line: "DocumentLine", document: "QuoteDocument", spoken: Language) -> dict[str, Any]:
    words = spoken.words
    discount = None
    if line.discount_amount:
        taken = spoken.money(-line.discount_amount, document.currency)
        discount = f"{words.discount} {taken}"
    state = words.selected if line.selected else words.not_selected
    return {
        "name": line.name,
        "description": line.description.strip(),
        "long": len(line.name) + len(line.description) > LONG_TEXT,
        "quantity": spoken.number(line.quantity),
        "unit": line.unit,
        "unit-price": spoken.money(line.unit_price, document.currency),
        "tax": spoken.percent(line.tax_rate),
        "discount": discount,
        "amount": spoken.money(line.line_total, document.currency),
        "state": state if is_option(line) else None,
        "counts": line.selected or not line.optional,
        "chosen": line.selected,
    }


def is_option(line: "DocumentLine") -> bool:
    return line.optional and line.group is None


def choices(document: "QuoteDocument", spoken: Language) -> list[dict[str, Any]]:
    """The alternatives of each group, each with its lines; the alternative says if it counts."""
    words = spoken.words
    return [
        {
            "title": f"{group}: {choice.name}",
            "group": group,
            "name": choice.name,
            "price": spoken.money(price(choice.lines), document.currency),
            "state": words.selected if choice.selected else words.not_selected,
            "chosen": choice.selected,
            "rows": [row(line, document, spoken) for line in choice.lines],
        }
        for group, choices in grouped(document.lines).items()
        for choice in choices
    ]


def price(lines: Sequence["DocumentLine"]) -> Decimal:
    """What a choice comes to before what the whole quote adds or takes off."""
    return sum((line.line_total for line in lines), Decimal(0))

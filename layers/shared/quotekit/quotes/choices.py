"""A sent quote with other optional lines taken: priced by the one calculator, nothing stored."""

from collections.abc import Collection
from dataclasses import replace

from quotekit.errors import invalid
from quotekit.quotes import service
from quotekit.quotes.model import Quote


def options(quote: Quote) -> frozenset[int]:
    """The positions of the lines a client may take or leave."""
    return frozenset(
        line.position for line in quote.line_items if line.optional and line.group is None
    )


def proposed(quote: Quote) -> frozenset[int]:
    """Those its owner took already."""
    return frozenset(
        line.position
        for line in quote.line_items
        if line.optional and line.group is None and line.selected
    )


def choose(quote: Quote, selected: Collection[int]) -> Quote:
    """The quote with these optional lines and no others. Raises InvalidInputError for a position
    that is no optional line."""
    wanted = frozenset(selected)
    if not wanted <= options(quote):
        raise invalid("option", "is not an optional line of this quote")
    if wanted == proposed(quote):
        return quote
    draft = service.draft_of(quote)
    lines = tuple(
        replace(
            line, selected=line.selected if line.group else line.optional and position in wanted
        )
        for position, line in enumerate(draft.line_items, start=1)
    )
    priced, totals = service.price(replace(draft, line_items=lines))
    return replace(
        quote,
        line_items=priced,
        subtotal=totals.subtotal,
        markup_amount=totals.markup_amount,
        discount_amount=totals.discount_amount,
        tax_amount=totals.tax_amount,
        tax_breakdown=service.shares(totals),
        total=totals.total,
        deposit_amount=totals.deposit_amount,
    )

"""A sent quote with other optional lines taken: priced by the one calculator, nothing stored."""

from collections.abc import Collection
from dataclasses import replace

from quotekit.errors import invalid
from quotekit.quotes import service
from quotekit.quotes.acceptances import Acceptance
from quotekit.quotes.groups import grouped
from quotekit.quotes.model import DraftLine, Quote


def options(quote: Quote) -> frozenset[int]:
    """The positions of the lines a client may take or leave, each by itself."""
    return frozenset(
        line.position for line in quote.line_items if line.optional and line.group is None
    )


def alternatives(quote: Quote) -> list[dict[int, frozenset[int]]]:
    """The choices of each group: the position of the first line, and those of all its lines."""
    return [
        {one.lines[0].position: frozenset(line.position for line in one.lines) for one in group}
        for group in grouped(quote.line_items).values()
    ]


def picked(quote: Quote, ticked: Collection[int], chosen: Collection[int]) -> frozenset[int]:
    """The lines a client named: options that were ticked, and choices by their first line.

    Raises InvalidInputError for what is no option, and unless it is one choice of each group."""
    if not frozenset(ticked) <= options(quote):
        raise invalid("option", "is not an optional line of this quote")
    groups = alternatives(quote)
    if len(chosen) != len(groups) or any(len(group.keys() & set(chosen)) != 1 for group in groups):
        raise invalid("choice", "names the first line of one choice of each group")
    lines = [group[first] for group in groups for first in group.keys() & set(chosen)]
    return frozenset(ticked).union(*lines)


def as_accepted(quote: Quote, accepted: Acceptance | None) -> Quote:
    """The quote as its client took it, where he accepted on his page."""
    return choose(quote, accepted.selected) if accepted else quote


def choose(quote: Quote, selected: Collection[int]) -> Quote:
    """The quote with these optional lines and no others; a group of which none is named stays as
    it was proposed, for that was all there was to accept before a client could choose.

    Raises InvalidInputError for a position that is no optional line, and for two choices of a
    group or a part of one."""
    wanted = frozenset(selected)
    if not wanted <= {line.position for line in quote.line_items if line.optional}:
        raise invalid("option", "is not an optional line of this quote")
    named = {line.group for line in quote.line_items if line.position in wanted}
    draft = service.draft_of(quote)

    def taken(position: int, line: DraftLine) -> DraftLine:
        if not line.optional or (line.group is not None and line.group not in named):
            return line
        return replace(line, selected=position in wanted)

    lines = tuple(taken(*pair) for pair in enumerate(draft.line_items, start=1))
    if lines == draft.line_items:
        return quote
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

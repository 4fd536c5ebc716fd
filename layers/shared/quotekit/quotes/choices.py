"""A sent quote with other optional lines and quantities taken: priced by the one calculator,
nothing stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

from quotekit.errors import InvalidInputError, invalid
from quotekit.quotes import service
from quotekit.quotes.acceptances import Acceptance
from quotekit.quotes.groups import grouped
from quotekit.quotes.model import DraftLine, Quote, QuoteLine
from quotekit.quotes.quantities import range_of

NONE: Final[Mapping[int, Decimal]] = MappingProxyType({})


class UnfitQuantityError(InvalidInputError):
    """A quantity is none that may be chosen."""

    def __init__(self, lines: Sequence[QuoteLine]) -> None:
        self.lines = lines
        super().__init__()


def adjustable(quote: Quote) -> dict[int, QuoteLine]:
    """The lines of which a client may choose how much, by position."""
    return {line.position: line for line in quote.line_items if range_of(line)}


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


def measured(quote: Quote, typed: Mapping[int, str]) -> dict[int, Decimal]:
    """The quantities a client typed, one for each line of which he may choose how much.

    Raises InvalidInputError for another line, UnfitQuantityError for what its range does not
    allow."""
    lines = adjustable(quote)
    if not typed.keys() <= lines.keys():
        raise invalid("quantity", "is not to be chosen of this line")
    found = {position: number(typed.get(position, "")) for position in lines}
    unfit = [
        line
        for line in lines.values()
        if (allowed := range_of(line)) and found[line.position] not in allowed
    ]
    if unfit:
        raise UnfitQuantityError(unfit)
    return found


def number(typed: str) -> Decimal:
    """What was typed as a number; nothing at all counts as zero, which no range allows."""
    try:
        told = Decimal(typed or 0)
    except InvalidOperation:
        return Decimal(0)
    return told if told.is_finite() else Decimal(0)


def as_accepted(quote: Quote, accepted: Acceptance | None) -> Quote:
    """The quote as its client took it, where he accepted on his page."""
    if accepted is None:
        return quote
    quantities = {one.position: one.quantity for one in accepted.quantities}
    return choose(quote, accepted.selected, quantities)


def choose(
    quote: Quote, selected: Collection[int], quantities: Mapping[int, Decimal] = NONE
) -> Quote:
    """The quote with these optional lines and no others, and with these quantities; a group of
    which none is named stays as it was proposed, for that was all there was to accept before a
    client could choose.

    Raises InvalidInputError for a position that is no optional line, and for two choices of a
    group or a part of one."""
    wanted = frozenset(selected)
    if not wanted <= {line.position for line in quote.line_items if line.optional}:
        raise invalid("option", "is not an optional line of this quote")
    named = {line.group for line in quote.line_items if line.position in wanted}
    draft = service.draft_of(quote)

    def taken(position: int, line: DraftLine) -> DraftLine:
        line = replace(line, quantity=quantities.get(position, line.quantity))
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

"""What two quotes of a chain say differently: fields, lines and totals."""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final

from quotekit.quotes.model import Quote, QuoteLine

FIELDS: Final = (
    *("client", "currency", "language", "tax_rate", "tax_inclusive", "tax_rounding", "markup_rate"),
    *("discount", "deposit", "notes", "terms", "valid_until"),
)
TOTALS: Final = (
    *("subtotal", "markup_amount", "discount_amount", "tax_amount", "total", "deposit_amount"),
)
type Pair = tuple[QuoteLine, QuoteLine]


@dataclass(frozen=True, slots=True)
class Change:
    """A field that has another value."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line of both quotes. `fields` names what differs; none when it only stands elsewhere.

    `difference` is that of `line_total`; null where the currencies differ."""

    fields: Sequence[str]
    before: QuoteLine
    after: QuoteLine
    difference: Decimal | None


@dataclass(frozen=True, slots=True)
class TotalChange:
    """An amount of both quotes; `difference` is null where the currencies differ."""

    field: str
    before: Decimal
    after: Decimal
    difference: Decimal | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be done to the quote of revision `before` to say what that of `after` says.

    A line is the same line when it is of the same item, else of the same name; of several, in
    their order. Lines that are nowhere in here follow each other as they did."""

    before: int
    after: int
    fields: Sequence[Change]
    lines_added: Sequence[QuoteLine]
    lines_removed: Sequence[QuoteLine]
    lines_changed: Sequence[LineChange]
    totals: Sequence[TotalChange]


def compare(before: Quote, after: Quote) -> Difference:
    same_currency = before.currency == after.currency
    pairs = matched(before.line_items, after.line_items)
    met_before = {old.position for old, _ in pairs}
    met_after = {new.position for _, new in pairs}
    return Difference(
        before=before.revision,
        after=after.revision,
        fields=[
            Change(name, getattr(before, name), getattr(after, name))
            for name in FIELDS
            if getattr(before, name) != getattr(after, name)
        ],
        lines_added=[one for one in after.line_items if one.position not in met_after],
        lines_removed=[one for one in before.line_items if one.position not in met_before],
        lines_changed=[line_change(pair, same_currency=same_currency) for pair in changed(pairs)],
        totals=[
            total_change(name, before, after, same_currency=same_currency)
            for name in TOTALS
            if not same_currency or getattr(before, name) != getattr(after, name)
        ],
    )


def matched(before: Sequence[QuoteLine], after: Sequence[QuoteLine]) -> list[Pair]:
    """Which line became which, by the new order."""
    pairs: list[Pair] = []
    keys: tuple[Callable[[QuoteLine], Hashable], ...] = (said, typed, item, name)
    for key in keys:
        met_before = {old.position for old, _ in pairs}
        met_after = {new.position for _, new in pairs}
        waiting: dict[Hashable, list[QuoteLine]] = {}
        for old in before:
            if old.position not in met_before and key(old) is not None:
                waiting.setdefault(key(old), []).append(old)
        pairs.extend(
            (waiting[key(new)].pop(0), new)
            for new in after
            if new.position not in met_after and waiting.get(key(new))
        )
    return sorted(pairs, key=lambda pair: pair[1].position)


def said(line: QuoteLine) -> Hashable:
    """All that a line says, wherever it stands."""
    return replace(line, position=0)


def typed(line: QuoteLine) -> Hashable:
    """The same without its share of the whole, of which rounding may give it a cent more."""
    return replace(line, position=0, net=Decimal(0), tax_amount=Decimal(0))


def item(line: QuoteLine) -> Hashable:
    return line.item_id


def name(line: QuoteLine) -> Hashable:
    return line.name.casefold()


def changed(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs that say something else, and as few of the rest as stand in another order."""
    same = [pair for pair in pairs if said(pair[0]) == said(pair[1])]
    in_order = ascending([old.position for old, _ in same])
    stayed = {same[index][1].position for index in in_order}
    return [pair for pair in pairs if pair[1].position not in stayed]


def ascending(positions: Sequence[int]) -> list[int]:
    """Places of a longest ascending run of different numbers, gaps allowed."""
    ends: list[int] = []
    last: list[int] = []  # the place of the smallest end of a run of each length
    previous: list[int | None] = []
    for place, position in enumerate(positions):
        length = bisect_left(ends, position)
        previous.append(last[length - 1] if length else None)
        ends[length:], last[length:] = [position, *ends[length + 1 :]], [place, *last[length + 1 :]]
    run: list[int] = []
    at = last[-1] if last else None
    while at is not None:
        run.append(at)
        at = previous[at]
    return run[::-1]


def line_change(pair: Pair, *, same_currency: bool) -> LineChange:
    old, new = pair
    names = [one.name for one in fields(QuoteLine) if one.name != "position"]
    return LineChange(
        fields=[name for name in names if getattr(old, name) != getattr(new, name)],
        before=old,
        after=new,
        difference=new.line_total - old.line_total if same_currency else None,
    )


def total_change(name: str, before: Quote, after: Quote, *, same_currency: bool) -> TotalChange:
    old, new = getattr(before, name), getattr(after, name)
    return TotalChange(name, old, new, new - old if same_currency else None)

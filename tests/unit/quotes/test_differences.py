"""What two quotes say differently, held to its promise: done to the one, it gives the other."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from quotekit.quotes import service
from quotekit.quotes.differences import FIELDS, TOTALS, Change, Difference, TotalChange, compare
from quotekit.quotes.model import Draft, DraftLine, Quote, Recipient
from quotekit.quotes.service import present

ITEMS = [None, UUID(int=1), UUID(int=2)]
NOW = datetime(2026, 11, 22, tzinfo=UTC)

lines = st.builds(
    DraftLine,
    name=st.sampled_from(["Work", "work", "Travel", "Stone"]),
    item_id=st.sampled_from(ITEMS),
    quantity=st.sampled_from([Decimal(1), Decimal("2.5")]),
    unit_cost=st.sampled_from([Decimal(10), Decimal("0.99")]),
    optional=st.booleans(),
)
drafts = st.builds(
    Draft,
    client_id=st.none(),
    client=st.sampled_from([Recipient("Grace"), Recipient("Grace", phone="1")]),
    currency=st.sampled_from(["USD", "JPY"]),
    language=st.sampled_from(["en", "de"]),
    line_items=st.lists(lines, min_size=1, max_size=7).map(tuple),
    tax_rate=st.sampled_from([Decimal(0), Decimal(19)]),
    tax_inclusive=st.booleans(),
    tax_rounding=st.just("document"),
    markup_rate=st.just(Decimal(0)),
    notes=st.sampled_from(["", "Anew"]),
    valid_until=st.sampled_from([None, date(2035, 1, 1)]),
)


def quote(draft: Draft, revision: int = 1) -> Quote:
    priced, totals = service.price(draft)
    return replace(present(UUID(int=9), NOW, draft, priced, totals), revision=revision)


def applied(before: Quote, told: Difference) -> dict[str, Any]:
    """The difference done to a quote by somebody who has nothing else."""
    said: dict[str, Any] = {name: getattr(before, name) for name in (*FIELDS, *TOTALS)}
    changes: list[Change | TotalChange] = [*told.fields, *told.totals]
    for change in changes:
        assert said[change.field] == change.before
        said[change.field] = change.after
    placed = {line.position: line for line in told.lines_added}
    placed |= {moved.after.position: moved.after for moved in told.lines_changed}
    gone = {line.position for line in told.lines_removed}
    gone |= {moved.before.position for moved in told.lines_changed}
    rest = iter([line for line in before.line_items if line.position not in gone])
    count = len(before.line_items) - len(told.lines_removed) + len(told.lines_added)
    said["line_items"] = tuple(
        placed.get(place) or replace(next(rest), position=place) for place in range(1, count + 1)
    )
    assert next(rest, None) is None
    return said


@given(drafts, drafts)
def test_the_difference_done_to_the_one_gives_the_other(one: Draft, other: Draft) -> None:
    before, after = quote(one), quote(other, 2)

    told = compare(before, after)

    expected = {name: getattr(after, name) for name in (*FIELDS, *TOTALS, "line_items")}
    assert applied(before, told) == expected


@given(drafts)
def test_a_quote_does_not_differ_from_itself(draft: Draft) -> None:
    told = compare(quote(draft), quote(draft))

    assert told == Difference(1, 1, [], [], [], [], [])


@given(drafts, drafts)
def test_the_way_back_is_the_opposite(one: Draft, other: Draft) -> None:
    there, back = compare(quote(one), quote(other)), compare(quote(other), quote(one))

    assert len(there.lines_added) == len(back.lines_removed)
    assert [change.difference for change in there.totals] == [
        None if change.difference is None else -change.difference for change in back.totals
    ]


@given(drafts, st.data())
def test_of_lines_in_another_order_none_is_added_or_removed(draft: Draft, data: Any) -> None:
    shuffled = replace(draft, line_items=tuple(data.draw(st.permutations(draft.line_items))))

    told = compare(quote(draft), quote(shuffled))

    assert (told.lines_added, told.lines_removed) == ([], [])
    # the document's rounding may give a cent of the tax to another line
    assert all(set(change.fields) <= {"net", "tax_amount"} for change in told.lines_changed)
    assert told.totals == []


def of_lines(*said: DraftLine, currency: str = "USD") -> Quote:
    draft = Draft(
        client_id=None,
        client=Recipient(),
        currency=currency,
        language="en",
        line_items=said,
        tax_rate=Decimal(0),
        tax_inclusive=False,
        tax_rounding="document",
        markup_rate=Decimal(0),
    )
    return quote(draft)


def line(name: str, item_id: UUID | None = None) -> DraftLine:
    return DraftLine(name, Decimal(1), Decimal(10), item_id)


def test_a_line_put_in_front_moves_no_other() -> None:
    work, travel = line("Work"), line("Travel")

    told = compare(of_lines(work, work), of_lines(travel, work, work))

    assert [line.name for line in told.lines_added] == ["Travel"]
    assert (told.lines_removed, told.lines_changed) == ([], [])


def test_an_item_is_the_same_line_under_another_name_and_a_name_under_another_item() -> None:
    before = of_lines(line("Work", ITEMS[1]), line("Stone"))
    after = of_lines(line("stone", ITEMS[2]), line("Labour", ITEMS[1]))

    told = compare(before, after)

    pairs = {(change.before.name, change.after.name) for change in told.lines_changed}
    assert pairs == {("Work", "Labour"), ("Stone", "stone")}


def test_a_cent_of_the_tax_makes_no_other_line_of_it() -> None:
    """Of 0.56 tax on three lines the first two have 0.19."""
    small, large = (replace(line(name), tax_rate=Decimal(19)) for name in ("work", "Work"))
    small, large = (replace(one, unit_cost=Decimal("0.99")) for one in (small, large))

    told = compare(of_lines(small, large, large), of_lines(large, large, small))

    assert {change.before.name == change.after.name for change in told.lines_changed} == {True}
    assert {name for change in told.lines_changed for name in change.fields} == {"tax_amount"}


def test_amounts_of_two_currencies_have_no_difference() -> None:
    told = compare(of_lines(line("Work")), of_lines(line("Work"), currency="JPY"))

    assert {change.field for change in told.totals} == set(TOTALS)
    assert {change.difference for change in told.totals} == {None}


def test_all_that_can_be_said_of_a_quote_is_compared() -> None:
    elsewhere = {"client_id", "line_items", "is_template", "template_name"}

    assert set(FIELDS) == {field.name for field in fields(Draft)} - elsewhere

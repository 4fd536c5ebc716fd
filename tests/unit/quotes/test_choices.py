"""What a client takes of a quote: any of it that is allowed costs on his page what the calculator
says, and nothing else can be taken."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from quotekit.errors import InvalidInputError
from quotekit.portal import page
from quotekit.portal.model import Offer
from quotekit.quotes import choices, pricing, quantities, service
from quotekit.quotes.basis import Company
from quotekit.quotes.languages import language
from quotekit.quotes.model import Draft, DraftLine, Quote, Recipient
from quotekit.quotes.pricing import Discount
from quotekit.quotes.sealing import seal

D = Decimal
NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
MOWER: Final = {"group": "Mower", "optional": True}


def line(name: str, quantity: str, cost: str, **more: Any) -> DraftLine:
    return DraftLine(name, D(quantity), D(cost), **more)


def upto(least: str, most: str) -> dict[str, Decimal]:
    return {"quantity_min": D(least), "quantity_max": D(most)}


LINES: Final = (
    line("Clean-up", "2", "80.005", **upto("1", "8")),
    line("Mulch", "2.5", "16", optional=True, tax_rate=D(5), **upto("0.5", "12")),
    line("Edging", "1", "40", optional=True, selected=True),
    line("Good", "1", "240", choice="Good", selected=True, **MOWER),
    line("Best", "1", "960", choice="Best", **MOWER),
    line("Wire", "120.25", "0.83", choice="Best", **MOWER, **upto("50", "200.5")),
)


def quote(lines: tuple[DraftLine, ...] = LINES, **more: Any) -> Quote:
    said: dict[str, Any] = {"currency": "USD", "language": "en", "tax_rate": D(10)}
    draft = Draft(
        **said
        | {"client_id": None, "client": Recipient("Grace Hopper", "grace@example.com")}
        | {"line_items": lines, "tax_inclusive": False, "tax_rounding": "document"}
        | {"markup_rate": D(25), "terms": "Half on acceptance.", "valid_until": date(2026, 12, 24)}
        | more
    )
    stored = service.present(UUID(int=7), NOW, draft, *service.price(draft))
    return replace(stored, number="Q-2026-0007", status="sent", expires_at=NOW.replace(year=2027))


def test_what_was_sent_before_there_were_ranges_keeps_its_hash() -> None:
    """The hash was taken by the code of before."""
    before = quote(
        (line("Spring clean-up", "2", "80", unit="h"), line("Mulch", "3", "16", optional=True))
    )

    assert seal(before) == "bbaa0e7b27d4d0534bf7ee908f701511d3ed8782aa74e2bdcf043f8605e2df8b"


def test_a_range_is_part_of_what_is_sealed() -> None:
    without, ranged = line("Mulch", "3", "16"), line("Mulch", "3", "16", **upto("1", "9"))
    wider = line("Mulch", "3", "16", **upto("1", "10"))

    assert len({seal(quote((one,))) for one in (without, ranged, wider)}) == 3


def test_what_a_choice_is_called_is_part_of_what_is_sealed() -> None:
    names = [("Mower", "Good"), ("Mower", "Fair"), ("Robot", "Good")]
    quotes = [
        quote(
            (
                line("Mow", "1", "9", optional=True, selected=True, group=group, choice=choice),
                line("Mow", "1", "90", optional=True, group=group, choice="Best"),
            )
        )
        for group, choice in names
    ]

    assert len({seal(one) for one in quotes}) == 3


@pytest.mark.parametrize(
    ("least", "quantity", "most", "taken", "refused"),
    [
        ("1", "2", "8", ["1", "2", "8", "8.0"], ["0", "0.5", "1.5", "9", "8.0001", "-1"]),
        ("0.5", "2", "8", ["0.5", "0.6", "7.9"], ["0.4", "0.55", "8.1"]),
        ("1", "2.25", "8", ["1.01", "2.25"], ["2.255"]),
        ("0.0001", "1", "2", ["0.0001", "1.9999"], ["0", "2.0001", "0.00005"]),
        ("10", "100", "1000", ["11"], ["11.5", "9"]),
    ],
)
def test_a_range_goes_in_the_finest_steps_its_owner_wrote(
    least: str, quantity: str, most: str, taken: list[str], refused: list[str]
) -> None:
    allowed = quantities.range_of(line("Mulch", quantity, "1", **upto(least, most)))

    assert allowed
    assert [one for one in taken + refused if D(one) in allowed] == taken


@st.composite
def wishes(draw: st.DrawFn) -> tuple[set[int], int, dict[int, Decimal]]:
    ticked = draw(st.sets(st.sampled_from([2, 3])))
    chosen = draw(st.sampled_from([4, 5]))
    measured = {
        1: draw(st.integers(1, 8).map(D)),
        2: draw(st.integers(5, 120).map(lambda tenths: D(tenths) / 10)),
        6: draw(st.integers(5000, 20050).map(lambda parts: D(parts) / 100)),
    }
    return ticked, chosen, measured


@given(
    wish=wishes(),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    rounding=st.sampled_from(["document", "line"]),
    inclusive=st.booleans(),
    percent=st.sampled_from([None, "7", "33.3333"]),
)
def test_whatever_a_client_may_take_costs_on_the_page_what_the_calculator_says(
    wish: tuple[set[int], int, dict[int, Decimal]],
    currency: str,
    rounding: Any,
    inclusive: bool,
    percent: str | None,
) -> None:
    ticked, chosen, measured = wish
    discount = Discount("percent", D(percent)) if percent else None
    terms = {"currency": currency, "tax_rounding": rounding, "tax_inclusive": inclusive}
    sent = quote(discount=discount, **terms)
    event(f"choice {chosen}, options {sorted(ticked)}")

    typed = {position: str(quantity) for position, quantity in measured.items()}
    selected = choices.picked(sent, ticked, [chosen])
    taken = choices.choose(sent, selected, choices.measured(sent, typed))
    again = choices.choose(sent, selected, measured_if_counted(taken))

    counting = {1, *ticked, *({4} if chosen == 4 else {5, 6})}
    expected = pricing.calculate(
        [
            pricing.Line(
                measured.get(position, one.quantity), one.unit_cost, one.tax_rate, one.discount
            )
            for position, one in enumerate(LINES, start=1)
            if position in counting
        ],
        pricing.Terms(markup_rate=D(25), tax_rate=D(10), discount=discount, **terms),
    )
    assert (taken.total, taken.tax_amount) == (expected.total, expected.tax_amount)
    assert (again.total, again.tax_breakdown) == (taken.total, taken.tax_breakdown)
    shown = page.render(offered(taken), "token", page.Told())
    assert f'name="total" value="{expected.total}"' in shown
    total = re.search(r'<div class="total"><dt>Total</dt><dd>([^<]+)', shown)
    assert total
    assert total[1] == language("en").money(expected.total, currency)


def measured_if_counted(taken: Quote) -> dict[int, Decimal]:
    """What an acceptance keeps: how much of the lines that were taken."""
    counted = (one for one in taken.line_items if one.selected or not one.optional)
    return {one.position: one.quantity for one in counted if quantities.range_of(one)}


def offered(taken: Quote) -> Offer:
    return Offer(
        quote=taken,
        account_id=UUID(int=1),
        version_id=UUID(int=2),
        company=Company("Green & Sons"),
        watermark=False,
        accepted=None,
        state="open",
        deposit=None,
    )


@given(st.text(max_size=40) | st.decimals().map(str) | st.floats().map(str))
def test_whatever_is_typed_is_a_quantity_of_the_range_or_refused(typed: str) -> None:
    sent = quote()
    others = {2: "2.5", 6: "120.25"}

    unfit: list[int] = []
    try:
        taken: Decimal | None = choices.measured(sent, {1: typed, **others})[1]
    except choices.UnfitQuantityError as error:
        taken, unfit = None, [one.position for one in error.lines]

    event("refused" if unfit else "taken")
    assert unfit == [1] if taken is None else taken in {D(whole) for whole in range(1, 9)}


def test_all_quantities_that_do_not_fit_are_told_at_once() -> None:
    with pytest.raises(choices.UnfitQuantityError) as refused:
        choices.measured(quote(), {1: "9", 2: "", 6: "60"})

    assert [one.position for one in refused.value.lines] == [1, 2]


def test_a_line_that_has_no_range_has_no_quantity_to_choose() -> None:
    with pytest.raises(InvalidInputError) as refused:
        choices.measured(quote(), {1: "1", 2: "1", 6: "60", 3: "1"})

    assert [told["field"] for told in refused.value.details] == ["quantity"]

"""Money: hand-computed examples, then every rule against a second calculator written from §8."""

import decimal
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from quotekit.quotes.pricing import (
    MINOR_UNITS,
    Discount,
    Line,
    PricingError,
    TaxRow,
    Terms,
    UnknownCurrencyError,
    calculate,
    minor_units,
)
from tests.unit.quotes import oracle

D = Decimal


def percent(value):
    return Discount("percent", D(value))


def amount(value):
    return Discount("amount", D(value))


def line(quantity, unit_cost, **more):
    return Line(D(quantity), D(unit_cost), **more)


def terms(currency="EUR", **more):
    return Terms(currency, **more)


# --- by hand


def test_a_quote_with_everything_in_it():
    # (1) 3 x 12.50 + 15 % = 14.375 -> 14.38; gross 43.14; 5 % off 2.157 -> 2.16; 40.98
    # (2) 2.5 h x 45 + 15 % = 51.75; gross 129.375 -> 129.38; 9.38 off; 120.00
    # (3) optional, not chosen: 200 + 15 % = 230.00, counts for nothing
    lines = [
        line(3, "12.50", discount=percent(5)),
        line("2.5", 45, discount=amount("9.38"), tax_rate=D(7)),
        line(1, 200, optional=True),
    ]

    totals = calculate(
        lines, terms(markup_rate=D(15), tax_rate=D(19), discount=percent(10), deposit=percent(30))
    )

    # subtotal 160.98; 10 % = 16.098 -> 16.10, shared 4.0986 / 12.0014 -> 4.10 / 12.00
    # nets 36.88 at 19 % = 7.0072 -> 7.01; 108.00 at 7 % = 7.56; total 144.88 + 14.57 = 159.45
    # deposit 47.835 -> 47.84; cost 37.50 + 112.50 -> markup (43.14 - 37.50) + (129.38 - 112.50)
    assert [one.unit_price for one in totals.lines] == [D("14.38"), D("51.75"), D("230.00")]
    assert [one.line_total for one in totals.lines] == [D("40.98"), D("120.00"), D("230.00")]
    assert [one.discount_share for one in totals.lines] == [D("4.10"), D("12.00"), 0]
    assert [one.net for one in totals.lines] == [D("36.88"), D("108.00"), 0]
    assert [one.tax_amount for one in totals.lines] == [D("7.01"), D("7.56"), 0]
    assert [one.counts for one in totals.lines] == [True, True, False]
    assert totals.subtotal == D("160.98")
    assert totals.discount_amount == D("16.10")
    assert totals.tax_breakdown == (
        TaxRow(D(7), D("108.00"), D("7.56")),
        TaxRow(D(19), D("36.88"), D("7.01")),
    )
    assert totals.tax_amount == D("14.57")
    assert totals.total == D("159.45")
    assert totals.deposit_amount == D("47.84")
    assert totals.markup_amount == D("22.52")


@pytest.mark.parametrize(
    ("currency", "unit_cost", "expected"),
    [
        ("EUR", "0.005", "0.01"),  # a tie goes up, never to the even neighbour
        ("EUR", "0.025", "0.03"),
        ("EUR", "0.0049", "0.00"),
        ("JPY", "2.5", "3"),
        ("JPY", "2.4999", "2"),
        ("KWD", "1.2345", "1.235"),
        ("KWD", "1.2344", "1.234"),
        ("CLF", "1.2345", "1.2345"),
    ],
)
def test_prices_are_rounded_half_up_to_the_currency(currency, unit_cost, expected):
    (priced,) = calculate([line(1, unit_cost)], terms(currency)).lines

    assert str(priced.unit_price) == expected


@pytest.mark.parametrize(
    ("rounding", "inclusive", "taxes", "tax", "total"),
    [
        # three lines of 0.35 at 10 %: together 0.105 -> 0.11, alone 0.035 -> 0.04 each
        ("document", False, ["0.04", "0.04", "0.03"], "0.11", "1.16"),
        ("line", False, ["0.04", "0.04", "0.04"], "0.12", "1.17"),
        # contained: 1.05 x 10 / 110 = 0.0954… -> 0.10, alone 0.0318… -> 0.03 each
        ("document", True, ["0.04", "0.03", "0.03"], "0.10", "1.05"),
        ("line", True, ["0.03", "0.03", "0.03"], "0.09", "1.05"),
    ],
)
def test_tax_is_rounded_once_a_rate_or_once_a_line(rounding, inclusive, taxes, tax, total):
    totals = calculate(
        [line(1, "0.35")] * 3,
        terms(tax_rate=D(10), tax_rounding=rounding, tax_inclusive=inclusive),
    )

    assert [str(one.tax_amount) for one in totals.lines] == taxes
    assert str(totals.tax_amount) == tax
    assert str(totals.total) == total


def test_of_equal_remainders_the_earlier_line_takes_the_cent():
    totals = calculate([line(1, 1)] * 3, terms(discount=amount("0.02")))

    assert [str(one.discount_share) for one in totals.lines] == ["0.01", "0.01", "0.00"]


def test_the_largest_remainder_takes_the_cent_before_an_earlier_line():
    # 0.10 over 1.00, 1.00, 1.60: exact claims 0.0277…, 0.0277…, 0.0444…
    totals = calculate([line(1, 1), line(1, 1), line(1, "1.60")], terms(discount=amount("0.10")))

    assert [str(one.discount_share) for one in totals.lines] == ["0.03", "0.03", "0.04"]


def test_a_discount_is_never_more_than_what_it_is_taken_from():
    totals = calculate(
        [line(1, 10, discount=amount(99))], terms(discount=amount(5), deposit=amount(7))
    )

    assert totals.discount_amount == totals.deposit_amount == totals.total == 0


def test_lines_that_cost_nothing_share_nothing():
    totals = calculate(
        [line(0, 10), line(5, 0)], terms(tax_rate=D(19), discount=percent(50), deposit=percent(50))
    )

    assert [one.discount_share for one in totals.lines] == [0, 0]
    assert totals.tax_breakdown == (TaxRow(D(19), D(0), D(0)),)
    assert totals.total == 0


def test_a_quote_without_lines_costs_nothing_in_its_currency():
    assert str(calculate([], terms("KWD")).total) == "0.000"


def test_an_optional_line_counts_once_it_is_selected():
    offer = [line(1, 10), line(1, 5, optional=True), line(1, 3, optional=True, selected=True)]

    totals = calculate(offer, terms())

    assert [one.counts for one in totals.lines] == [True, False, True]
    assert totals.total == 13


def test_rates_that_are_equal_share_a_row_however_they_are_written():
    totals = calculate([line(1, 1, tax_rate=D("19.00")), line(1, 1)], terms(tax_rate=D(19)))

    assert len(totals.tax_breakdown) == 1


def test_the_markup_is_below_zero_where_rounding_the_unit_price_costs_the_owner():
    totals = calculate([line(1000, "0.0049")], terms())

    assert totals.total == 0
    assert totals.markup_amount == D("-4.90")


def test_the_largest_inputs_are_added_up_to_the_last_cent():
    largest = D("999999999999.9999")

    totals = calculate([line(largest, largest)] * 500, terms(markup_rate=D(1000), tax_rate=D(100)))

    unit_price = oracle.nearest(Fraction(largest) * 11, Fraction(1, 100))
    gross = oracle.nearest(unit_price * Fraction(largest), Fraction(1, 100))
    assert Fraction(totals.total) == 1000 * gross


def test_the_callers_decimal_context_changes_nothing():
    everything = ([line(7, "33.33")], terms(tax_rate=D("8.25"), discount=percent("12.5")))
    expected = calculate(*everything)

    with decimal.localcontext(prec=2, rounding=decimal.ROUND_DOWN):
        assert calculate(*everything) == expected


# --- refused


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"quantity": D(-1)}, "lines.0.quantity"),
        ({"quantity": D("-0")}, "lines.0.quantity"),
        ({"quantity": D("NaN")}, "lines.0.quantity"),
        ({"quantity": D("0.00001")}, "lines.0.quantity"),
        ({"quantity": D(10) ** 12}, "lines.0.quantity"),
        ({"unit_cost": D("Infinity")}, "lines.0.unit_cost"),
        ({"unit_cost": D("1E+999999")}, "lines.0.unit_cost"),
        ({"tax_rate": D("100.0001")}, "lines.0.tax_rate"),
        ({"discount": percent(101)}, "lines.0.discount.value"),
        ({"discount": amount("0.001")}, "lines.0.discount.value"),
    ],
)
def test_a_line_out_of_range_is_refused_by_name(bad, field):
    values = {"quantity": D(1), "unit_cost": D(1)} | bad

    with pytest.raises(PricingError) as caught:
        calculate([Line(**values)], terms())

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"markup_rate": D(1001)}, "markup_rate"),
        ({"tax_rate": D(-1)}, "tax_rate"),
        ({"discount": percent(101)}, "discount.value"),
        ({"deposit": amount("0.5"), "currency": "JPY"}, "deposit.value"),
        ({"currency": "eur"}, "currency"),
    ],
)
def test_terms_out_of_range_are_refused_by_name(bad, field):
    with pytest.raises(PricingError) as caught:
        calculate([line(1, 1)], Terms(**{"currency": "EUR"} | bad))

    assert caught.value.field == field


@pytest.mark.parametrize(("code", "digits"), [("JPY", 0), ("HUF", 2), ("IQD", 3), ("CLF", 4)])
def test_minor_units_are_those_of_iso_4217(code, digits):
    # CLDR, which babel formats by, gives HUF and IQD no decimals at all in cash
    assert minor_units(code) == digits


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "XAU", "DEM", "BTC"])
def test_a_code_without_minor_units_in_iso_4217_is_unknown(code):
    with pytest.raises(UnknownCurrencyError):
        minor_units(code)


def test_the_currency_table_is_whole():
    assert len(MINOR_UNITS) == 165
    assert all(len(code) == 3 and code.isupper() for code in MINOR_UNITS)


# --- against the oracle


def numbers(largest, places=4):
    """Numbers people type, ties and zeros more often than chance would bring them."""
    scale = 10**places
    anything = st.integers(0, largest * scale)
    small = st.integers(0, 20 * scale)
    halves = st.integers(0, largest * 2).map(lambda n: n * scale // 2)
    return st.one_of(anything, small, halves).map(lambda n: D(n).scaleb(-places))


def reductions(places):
    return st.one_of(
        st.none(),
        st.builds(Discount, st.just("percent"), st.sampled_from(["0", "50", "100"]).map(D)),
        st.builds(Discount, st.just("percent"), numbers(100)),
        st.builds(Discount, st.just("amount"), numbers(5000, places)),
    )


RATES = st.one_of(st.sampled_from(["0", "7", "19", "8.25", "7.7", "100"]).map(D), numbers(100))


@st.composite
def quotes(draw):
    currency = draw(st.sampled_from(sorted(oracle.DECIMALS)))
    part = reductions(oracle.DECIMALS[currency])
    lines = st.builds(
        Line,
        quantity=numbers(1000),
        unit_cost=numbers(10_000),
        tax_rate=st.none() | RATES,
        discount=part,
        optional=st.booleans(),
        selected=st.booleans(),
    )
    offer = draw(st.lists(lines, max_size=8))
    repeated = offer * draw(st.integers(1, 3))  # equal lines bring equal remainders
    return repeated, Terms(
        currency=currency,
        markup_rate=draw(st.one_of(st.just(D(0)), numbers(1000))),
        tax_rate=draw(RATES),
        tax_inclusive=draw(st.booleans()),
        tax_rounding=draw(st.sampled_from(["document", "line"])),
        discount=draw(part),
        deposit=draw(part),
    )


def part_of(discount):
    return (discount.type, Fraction(discount.value)) if discount else None


def told_to_the_oracle(lines, terms):
    return {
        "currency": terms.currency,
        "markup_rate": Fraction(terms.markup_rate),
        "tax_rate": Fraction(terms.tax_rate),
        "tax_inclusive": terms.tax_inclusive,
        "tax_rounding": terms.tax_rounding,
        "discount": part_of(terms.discount),
        "deposit": part_of(terms.deposit),
        "lines": [
            {
                "quantity": Fraction(one.quantity),
                "unit_cost": Fraction(one.unit_cost),
                "tax_rate": None if one.tax_rate is None else Fraction(one.tax_rate),
                "discount": part_of(one.discount),
                "optional": one.optional,
                "selected": one.selected,
            }
            for one in lines
        ],
    }


@settings(max_examples=400, deadline=None)
@given(quotes())
def test_every_figure_is_the_oracles(quote):
    lines, offer_terms = quote
    event(f"{offer_terms.tax_rounding}, inclusive {offer_terms.tax_inclusive}")

    totals = asdict(calculate(lines, offer_terms))

    expected = oracle.price(told_to_the_oracle(lines, offer_terms))
    rows = [tuple(row.values()) for row in totals.pop("tax_breakdown")]
    assert rows == expected.pop("tax_breakdown")
    assert totals.pop("lines") == tuple(expected.pop("lines"))
    assert totals == expected


@settings(max_examples=200, deadline=None)
@given(quotes())
def test_what_is_shown_always_adds_up(quote):
    lines, offer_terms = quote

    totals = calculate(lines, offer_terms)

    counted = [one for one in totals.lines if one.counts]
    assert sum(one.line_total for one in counted) == totals.subtotal
    assert sum(one.net for one in totals.lines) == totals.subtotal - totals.discount_amount
    assert sum(one.tax_amount for one in totals.lines) == totals.tax_amount
    assert sum(row.tax for row in totals.tax_breakdown) == totals.tax_amount
    assert sum(row.net for row in totals.tax_breakdown) == sum(one.net for one in totals.lines)
    added = 0 if offer_terms.tax_inclusive else totals.tax_amount
    assert totals.subtotal - totals.discount_amount + added == totals.total
    assert 0 <= totals.deposit_amount <= totals.total
    assert all(0 <= one.discount_share <= one.line_total for one in totals.lines)
    assert all(0 <= one.tax_amount <= one.net for one in totals.lines)


@settings(max_examples=100, deadline=None)
@given(quotes())
def test_every_amount_carries_exactly_the_decimals_of_its_currency(quote):
    lines, offer_terms = quote

    totals = calculate(lines, offer_terms)

    digits = -minor_units(offer_terms.currency)
    shown = [totals.subtotal, totals.total, totals.tax_amount, totals.deposit_amount]
    shown += [totals.markup_amount, totals.discount_amount]
    for one in totals.lines:
        shown += [one.unit_price, one.gross, one.line_total, one.discount_amount]
        shown += [one.discount_share, one.net, one.tax_amount]
    assert {figure.as_tuple().exponent for figure in shown} == {digits}

"""Prices by rules: they add up, they follow what was found, and no order of the rules matters."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.assessments.model import Charge, Conditions, Rule
from quotekit.assessments.pricing import FACTORS, chosen, explain

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONDITIONS: Final = Conditions(
    area_sqft=Decimal(5000),
    lawn_condition="poor",
    soil_condition="clay",
    weed_percent=Decimal(30),
    complexity=6,
    slope_percent=Decimal(12),
    obstacle_count=30,
    access="limited",
)


def rule(number: int, factor: Any, kind: Any, amount: Any, **said: Any) -> Rule:
    values = {"value": None, "range_from": None, "range_to": None, "is_default": False} | said
    money: dict[str, Any] = {"currency": "USD" if kind in {"per_sqft", "flat_fee"} else None}
    return Rule(
        **money | values,
        id=UUID(int=number),
        factor=factor,
        kind=kind,
        amount=Decimal(amount),
        label=f"Rule {number}",
        version=1,
        created_at=NOON,
        updated_at=NOON,
    )


AREA: Final = rule(1, "area", "per_sqft", "0.5")
AMOUNTS: Final = {
    "multiplier": st.decimals("0.0001", "100", places=4),
    "percentage": st.decimals("-99.9999", "1000", places=4),
    "per_sqft": st.decimals("0", "1000", places=4),
    "flat_fee": st.decimals("0", "100000", places=4),
}
# Whatever is found, so that every rule is at work.
RULES: Final = st.lists(
    st.sampled_from(FACTORS[1:]).flatmap(
        lambda factor: st.sampled_from(sorted(AMOUNTS)).flatmap(
            lambda kind: AMOUNTS[kind].map(lambda amount: (factor, kind, amount))
        )
    ),
    unique_by=lambda said: said[0],
).map(lambda said: [AREA, *(rule(n, *one) for n, one in enumerate(said, start=2))])
AREAS: Final = st.decimals("0.01", "100000000", places=2)


def total(charges: Sequence[Charge]) -> Decimal:
    return sum((charge.price for charge in charges), Decimal(0))


def prices(conditions: Conditions, rules: Sequence[Rule], currency: str = "USD") -> Decimal:
    explained = explain(conditions, rules, currency)
    assert explained.missing == ()
    return total(explained.charges)


@given(rules=RULES, area=AREAS, currency=st.sampled_from(["USD", "JPY", "KWD"]))
def test_every_explanation_adds_up_exactly(rules: list[Rule], area: Decimal, currency: str) -> None:
    own = [one if one.currency is None else replace(one, currency=currency) for one in rules]

    explained = explain(replace(CONDITIONS, area_sqft=area), own, currency)

    steps = [step for charge in explained.charges for step in charge.steps]
    assert sorted(step.rule_id for step in steps) == sorted(one.id for one in own)
    for charge in explained.charges:
        assert charge.steps[0].before == 0
        assert charge.steps[-1].after == charge.price
        assert sum(step.difference for step in charge.steps) == charge.price
        for earlier, later in pairwise(charge.steps):
            assert earlier.after == later.before
    decimals = {"USD": 2, "JPY": 0, "KWD": 3}[currency]
    assert {-int(step.after.as_tuple().exponent) for step in steps} == {decimals}


@given(rules=RULES, area=AREAS)
def test_each_step_is_its_rules_arithmetic_half_up_to_the_cent(
    rules: list[Rule], area: Decimal
) -> None:
    explained = explain(replace(CONDITIONS, area_sqft=area), rules, "USD")

    for charge in explained.charges:
        for step in charge.steps:
            exact = {
                "multiplier": step.before * step.amount,
                "percentage": step.before + step.before * step.amount / 100,
                "per_sqft": step.before + area * step.amount,
                "flat_fee": step.amount,
            }[step.kind]
            assert step.after == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


@given(rules=RULES, area=AREAS, data=st.data())
def test_a_larger_amount_never_makes_the_price_smaller(
    rules: list[Rule], area: Decimal, data: st.DataObject
) -> None:
    conditions = replace(CONDITIONS, area_sqft=area)
    place = data.draw(st.integers(0, len(rules) - 1))
    more = data.draw(st.decimals("0", "50", places=4))

    raised = list(rules)
    raised[place] = replace(rules[place], amount=rules[place].amount + more)

    assert prices(conditions, raised) >= prices(conditions, rules)


@given(rules=RULES, areas=st.tuples(AREAS, AREAS))
def test_a_larger_area_never_costs_less(rules: list[Rule], areas: tuple[Decimal, Decimal]) -> None:
    small, large = sorted(areas)

    assert prices(replace(CONDITIONS, area_sqft=small), rules) <= prices(
        replace(CONDITIONS, area_sqft=large), rules
    )


@given(rules=RULES, data=st.data())
def test_the_order_in_which_rules_come_changes_nothing(
    rules: list[Rule], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rules))

    assert explain(CONDITIONS, shuffled, "USD") == explain(CONDITIONS, rules, "USD")


def test_factors_work_in_their_written_order() -> None:
    rules = [rule(n, factor, "per_sqft", 1) for n, factor in enumerate(reversed(FACTORS), start=1)]

    (work,) = explain(CONDITIONS, rules, "USD").charges

    assert [step.factor for step in work.steps] == list(FACTORS)


@pytest.mark.parametrize(
    ("found", "expected"),
    [("9.99", None), ("10", 2), ("24.99", 2), ("25", 3), ("100", 3)],
)
def test_a_range_includes_its_beginning_and_not_its_end(found: str, expected: int | None) -> None:
    rules = [
        rule(2, "weed_percent", "multiplier", 2, range_from=Decimal(10), range_to=Decimal(25)),
        rule(3, "weed_percent", "multiplier", 3, range_from=Decimal(25)),
    ]

    took = chosen("weed_percent", replace(CONDITIONS, weed_percent=Decimal(found)), rules)

    assert (took and took.id.int) == expected


def test_obstacles_are_counted_per_thousand_square_feet_without_rounding() -> None:
    rules = [rule(2, "obstacle_density", "multiplier", 2, range_from=Decimal(10))]

    def took(count: int, area: str) -> bool:
        found = replace(CONDITIONS, obstacle_count=count, area_sqft=Decimal(area))
        return chosen("obstacle_density", found, rules) is not None

    assert took(50, "5000")
    assert not took(50, "5000.01")


def test_a_finding_without_a_rule_changes_nothing_and_one_that_is_not_there_is_missing() -> None:
    poor = rule(2, "lawn_condition", "multiplier", 2, value="poor")

    assert prices(replace(CONDITIONS, lawn_condition="healthy"), [AREA, poor]) == 2500
    unknown = explain(replace(CONDITIONS, lawn_condition=None), [AREA, poor], "USD")
    assert [one.input for one in unknown.missing] == ["lawn_condition"]
    assert unknown.charges == ()


def test_without_a_rule_for_the_area_there_is_no_price() -> None:
    small = replace(AREA, range_to=Decimal(1000))

    missing = explain(CONDITIONS, [small], "USD").missing

    assert [one.input for one in missing] == ["rules.area"]


def test_money_of_another_currency_is_never_taken() -> None:
    euros = replace(AREA, currency="EUR")

    assert [one.input for one in explain(CONDITIONS, [euros], "USD").missing] == ["rules.area"]
    fee = rule(2, "access", "flat_fee", 100, value="limited", currency="EUR")
    assert [one.input for one in explain(CONDITIONS, [AREA, fee], "USD").missing] == [
        "rules.access"
    ]

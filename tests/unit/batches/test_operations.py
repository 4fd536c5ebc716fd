"""What operations ask for, and the arithmetic of new prices."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quotekit.batches.items import ById, Row, answered
from quotekit.batches.model import Outcome
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.operations.import_clients import same_client
from quotekit.batches.operations.update_item_prices import Parameters, price

ID = "01900000-0000-7000-8000-000000000001"


def test_every_operation_of_the_issue_is_registered() -> None:
    assert set(OPERATIONS) == {
        "bulk_create_items",
        "delete_clients",
        "delete_quotes",
        "export_account",
        "export_quotes",
        "import_clients",
        "quote_assessments",
        "recalculate_quotes",
        "send_quotes",
        "update_item_prices",
        "update_quote_status",
    }


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_works_in_one_way_and_needs_the_plans_feature(name: str) -> None:
    operation = OPERATIONS[name]

    ways = [operation.apply, operation.apply_one, operation.produce]
    assert sum(way is not None for way in ways) == 1
    assert (operation.finish is not None) == (operation.produce is not None)
    assert operation.feature == (None if name == "export_account" else "bulk_operations")
    assert operation.managers == (name == "export_account")


WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a status there is not": ("update_quote_status", {"status": "won"}, "status", "Input should"),
    "no status": ("update_quote_status", {}, "status", "Field required"),
    "sending by status": ("update_quote_status", {"status": "sent"}, "status", "send_quotes"),
    "a status only the house gives": (
        "update_quote_status",
        {"status": "viewed"},
        "status",
        "Input should",
    ),
    "a note too long": (
        "update_quote_status",
        {"status": "accepted", "note": "x" * 2001},
        "note",
        "at most 2000",
    ),
    "a channel there is not": ("send_quotes", {"channel": "fax"}, "channel", "Input should"),
    "a format there is not": ("export_quotes", {"format": "xml"}, "format", "Input should"),
    "no format": ("export_quotes", {}, "format", "Field required"),
    "what to do with the known": (
        "import_clients",
        {"on_existing": "merge"},
        "on_existing",
        "Input should",
    ),
    "costs from elsewhere": ("recalculate_quotes", {"costs": "mine"}, "costs", "Input should"),
    "neither percent nor amount": ("update_item_prices", {}, "", "give percent or amount"),
    "percent and amount": (
        "update_item_prices",
        {"percent": 1, "amount": 1},
        "",
        "give percent or amount",
    ),
    "less than nothing": (
        "update_item_prices",
        {"percent": -101},
        "percent",
        "greater than or equal to -100",
    ),
    "a step of nothing": (
        "update_item_prices",
        {"percent": 1, "round_to": 0},
        "round_to",
        "greater than 0",
    ),
    "a fifth decimal": ("update_item_prices", {"amount": "0.00001"}, "amount", "4 decimal"),
    "no number": ("update_item_prices", {"percent": "NaN"}, "percent", "finite number"),
    "what is not a parameter": ("delete_quotes", {"force": True}, "force", "Extra inputs"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parameters_name_their_field(case: str) -> None:
    name, given_parameters, field, message = WRONG[case]

    with pytest.raises(ValidationError) as refused:
        OPERATIONS[name].parameters.model_validate(given_parameters)

    (error,) = refused.value.errors()
    assert ".".join(str(part) for part in error["loc"]) == field
    assert message in error["msg"]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("delete_quotes", "not an id"),
        ("delete_quotes", {"id": ID, "name": "x"}),
        ("import_clients", {"name": ""}),
        ("import_clients", {"name": "Ada", "email": "nobody"}),
        ("bulk_create_items", {"name": "Mulch", "unit": "bag"}),
        ("bulk_create_items", {"name": "Mulch", "unit": "bag", "unit_cost": "-1"}),
        (
            "bulk_create_items",
            {"name": "M", "unit": "bag", "unit_cost": 1, "category": "Soil", "category_id": ID},
        ),
    ],
)
def test_a_wrong_item_is_refused(name: str, item: Any) -> None:
    with pytest.raises(ValidationError):
        OPERATIONS[name].item.model_validate(item)


def test_an_id_stands_for_its_object() -> None:
    assert ById.model_validate(ID) == ById.model_validate({"id": ID})


def test_a_blank_cell_says_nothing() -> None:
    class Cells(Row):
        one: str = "left out"
        two: int | None = None

    assert Cells.model_validate({"one": " ", "two": ""}) == Cells()


def test_what_repeats_an_item_has_no_part_in_the_effect() -> None:
    items = [ById.model_validate(ID), ById.model_validate(ID)]

    first, second = answered(items, {items[0].id: Outcome("changed")})

    assert (first.code, second.code) == ("changed", "conflict")


def test_clients_are_the_same_by_their_address_or_by_everything() -> None:
    def key(**said: str) -> str:
        return same_client(OPERATIONS["import_clients"].item.model_validate(said))  # type: ignore[arg-type]

    assert key(name="Ada", email="Ada@example.com") == key(name="A.", email="ada@EXAMPLE.com")
    assert key(name="Ada", phone="1") != key(name="Ada", address="1")


AMOUNTS = st.decimals(0, 10**12 - 1, places=4)
STEPS = st.sampled_from(["1", "0.01", "0.05", "0.03", "0.0001", "25"]).map(Decimal)


@given(AMOUNTS, st.decimals(-100, 10_000, places=4), STEPS)
def test_a_percentage_is_exact_to_the_last_coin(
    cost: Decimal, percent: Decimal, step: Decimal
) -> None:
    wanted = Parameters(percent=percent, round_to=step)

    with localcontext(prec=100):
        exact = cost * (100 + percent) / 100
        steps = (exact / step).quantize(Decimal(1), ROUND_HALF_UP)
        assert price(cost, wanted, step) == steps * step


@given(AMOUNTS, st.decimals(-(10**12) + 1, 10**12 - 1, places=4), STEPS)
def test_an_amount_never_leads_below_nothing(cost: Decimal, amount: Decimal, step: Decimal) -> None:
    new = price(cost, Parameters(amount=amount), step)

    assert new >= 0
    assert new % step == 0
    assert abs(new - max(cost + amount, Decimal(0))) <= step / 2

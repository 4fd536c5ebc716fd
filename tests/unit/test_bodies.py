"""What strangers may send: unknown fields and values out of range are refused, never bent."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from quotekit import bodies


class Sample(bodies.Body):
    name: bodies.Name
    rate: bodies.Percent = bodies.given()
    note: str | None = None


def test_space_around_text_is_not_kept() -> None:
    assert Sample(name="  Ada \n").name == "Ada"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Ada", "more": 1},
        {"name": "   "},
        {"name": None},
        {"name": 7},
        {},
        {"name": "Ada", "rate": None},
        {"name": "Ada", "rate": "NaN"},
        {"name": "Ada", "rate": "Infinity"},
    ],
)
def test_a_body_that_is_not_as_declared_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate(body)


def test_a_field_may_be_left_out_without_being_null() -> None:
    assert Sample(name="Ada").model_fields_set == {"name"}


def test_a_body_cannot_be_changed_later() -> None:
    body = Sample(name="Ada")

    with pytest.raises(ValidationError):
        body.name = "Eve"


GOOD = [
    (bodies.Percent, "0", Decimal(0)),
    (bodies.Percent, 8.25, Decimal("8.25")),
    (bodies.Percent, "100.0000", Decimal(100)),
    (bodies.Markup, "1000", Decimal(1000)),
    (bodies.Amount, "999999999999.9999", Decimal("999999999999.9999")),
    (bodies.Amount, 10, Decimal(10)),
    (bodies.Amount, "1e3", Decimal(1000)),
    (bodies.Amount, "-0", Decimal(0)),
    (bodies.Currency, "EUR", "EUR"),
    (bodies.Email, "grace.hopper+quotes@sub.example.co", "grace.hopper+quotes@sub.example.co"),
    (bodies.Email, "ü@example.com", "ü@example.com"),
    (bodies.Language, "pt-BR", "pt-BR"),
    (bodies.Language, "de", "de"),
    (bodies.Colour, "#AbCdEf", "#abcdef"),
    (bodies.Colour, "#000000", "#000000"),
]
BAD = [
    *[(bodies.Percent, value) for value in ("-0.0001", "100.0001", "0.00001", "x", "", None)],
    *[(bodies.Markup, value) for value in ("-1", "1000.0001", "1e9")],
    *[(bodies.Amount, value) for value in ("-0.01", "1000000000000", "0.00001", "1e400", "sNaN")],
    *[(bodies.Currency, value) for value in ("usd", "US", "USDX", "EUR\n", "ÄÖÜ")],
    *[
        (bodies.Email, value)
        for value in ("a", "a@b", "a@b.c", "a b@c.de", "a@b.de\n", "a@-b.de", "a@b.de,c@d.ef")
    ],
    *[(bodies.Email, value) for value in ("<a@b.de>", '"a"@b.de', "a@@b.de", "a" * 65 + "@b.de")],
    *[(bodies.Language, value) for value in ("it", "en_US", "en-us", "EN", "de-DE-1996")],
    *[(bodies.Colour, value) for value in ("red", "#fff", "#12345g", "123456", "#1234567")],
    *[(bodies.Day, value) for value in ("1999-12-31", "2026-02-30", "tomorrow", "10000-01-01")],
    *[(bodies.Name, "x" * 201), (bodies.Phone, "5" * 51), (bodies.Address, "x" * 1001)],
]


@pytest.mark.parametrize(("kind", "value", "read"), GOOD)
def test_a_good_value_is_read(kind: Any, value: object, read: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == read


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_a_bad_value_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)

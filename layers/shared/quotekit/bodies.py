"""What strangers may send: bases and value types of the doors' request models."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

EMAIL: Final = (
    r"^[^@\s<>\",;:]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.[A-Za-z]{2,63}$"
)


class Body(BaseModel):
    """A request body: what is not declared is refused; space around text is not kept."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # a request pays for its own model only
    )


def given(default: Any = None) -> Any:  # noqa: ANN401 - a field's default may be anything
    """A field that may be left out but not be null."""
    return Field(default=default)


def _year_2000_to_9999(value: date) -> date:
    if not 2000 <= value.year <= 9999:  # noqa: PLR2004 - says itself
        raise ValueError("must lie between the years 2000 and 9999")
    return value


Percent = Annotated[Decimal, Field(ge=0, le=100, max_digits=7, decimal_places=4)]
Markup = Annotated[Decimal, Field(ge=0, le=1000, max_digits=8, decimal_places=4)]
# 12 digits before the point and 4 after it: what a column holds and the calculator takes.
Amount = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=4, lt=Decimal(10) ** 12)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Email = Annotated[str, StringConstraints(pattern=EMAIL, max_length=254)]
Language = Annotated[str, StringConstraints(pattern=r"^(en|de|fr|es|pt)(-[A-Z]{2})?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Phone = Annotated[str, StringConstraints(max_length=50)]
Address = Annotated[str, StringConstraints(max_length=1000)]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$", to_lower=True)]
Day = Annotated[date, AfterValidator(_year_2000_to_9999)]

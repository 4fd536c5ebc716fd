"""What may be said of a company's settings from outside."""

import re
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from quotekit.bodies import (
    Address,
    Body,
    Colour,
    Currency,
    Email,
    Language,
    Markup,
    Percent,
    Phone,
    given,
)
from quotekit.quotes.pricing import MINOR_UNITS

NUMBER_PATTERN: Final = re.compile(
    r"[^{}]*(\{year\}[^{}]*\{0+\}|\{0+\}[^{}]*\{year\})[^{}]*", re.ASCII
)


def _known_currency(code: str) -> str:
    if code not in MINOR_UNITS:
        raise ValueError("is not a currency of ISO 4217")
    return code


def _known_zone(key: str) -> str:
    try:
        ZoneInfo(key)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a directory
        raise ValueError("is not a time zone of the IANA database") from error
    return key


def _yearly_number(pattern: str) -> str:
    """The counter starts again each year, so without its year a number would come twice."""
    if not NUMBER_PATTERN.fullmatch(pattern) or not pattern.isprintable():
        raise ValueError("needs {year} once and one counter like {0000}, as in Q-{year}-{0000}")
    return pattern


class CompanyChange(Body):
    """A change of the settings; version 0 is that of settings never saved."""

    company_name: Annotated[str, StringConstraints(max_length=200)] = given()
    address: Address = given()
    email: Email | None = None
    phone: Phone | None = None
    brand_colour: Colour = given()
    currency: Annotated[Currency, AfterValidator(_known_currency)] = given()
    language: Language = given()
    time_zone: Annotated[
        str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)
    ] = given()
    default_tax_rate: Percent = given()
    default_markup_rate: Markup = given()
    tax_rounding: Literal["document", "line"] = given()
    valid_days: Annotated[int, Field(ge=1, le=3650)] = given()
    number_pattern: Annotated[
        str, StringConstraints(max_length=40), AfterValidator(_yearly_number)
    ] = given()
    quote_terms: Annotated[str, StringConstraints(max_length=20_000)] = given()
    version: int | None = Field(default=None, ge=0)

    def said(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"version"})


class LogoOffer(Body):
    """The kind of image that will be uploaded."""

    content_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]


class LogoUpload(Body):
    """Where a logo was uploaded to."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=500)]

"""What may be said of an account, its people and its company's settings from outside."""

import re
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from quotekit import paging
from quotekit.bodies import (
    Address,
    Body,
    Colour,
    Currency,
    Email,
    Language,
    Markup,
    Name,
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


def _each_once(days: list[int]) -> list[int]:
    if len(set(days)) < len(days):
        raise ValueError("names a day twice")
    return sorted(days)


class CompanyChange(Body):
    """A change of the settings; version 0 is that of settings never saved.

    `reminder_days` are days after sending on which a client is reminded; none is off.
    `track_opens` puts a picture into mails to clients and counts how often it is asked for."""

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
    reminder_days: Annotated[
        list[Annotated[int, Field(ge=1, le=90)]], Field(max_length=5), AfterValidator(_each_once)
    ] = given()
    track_opens: bool = given()
    version: int | None = Field(default=None, ge=0)

    def said(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"version"})


class LogoOffer(Body):
    """The kind of image that will be uploaded."""

    content_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]


class LogoUpload(Body):
    """Where a logo was uploaded to."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=500)]


type Role = Literal["owner", "admin", "member", "viewer"]
type Granted = Literal["admin", "member", "viewer"]  # an owner is made by handing the account over


class Listing(Body):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


class AccountChange(Body):
    name: Name
    version: int | None = Field(default=None, ge=1)


class RoleChange(Body):
    role: Granted
    version: int | None = Field(default=None, ge=1)


class Transfer(Body):
    """Who owns the account from now on: a member of it."""

    user_id: UUID


class InvitationCreate(Body):
    email: Email
    role: Granted = "member"


class InvitationAccept(Body):
    """`token` is what stands behind the # of the invitation's link."""

    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]

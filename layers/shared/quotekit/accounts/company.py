"""A company's settings: how its quotes look, count and are numbered."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from quotekit import audit, auth
from quotekit.accounts.requests import CompanyChange
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, StaleVersionError, invalid
from quotekit.quotes.basis import Company


@dataclass(frozen=True, slots=True)
class Settings(Company):
    """What an account said, or the defaults; `version` is 0 as long as nothing was saved."""

    number_pattern: str = "Q-{year}-{0000}"
    reminder_days: Sequence[int] = (2, 5)
    version: int = 0
    updated_at: datetime | None = None
    logo_url: str | None = None


COLUMNS: Final[LiteralString] = """company_name, address, email, phone, logo_key, brand_colour,
    currency, language, time_zone, trim_scale(default_tax_rate) as default_tax_rate,
    trim_scale(default_markup_rate) as default_markup_rate, tax_rounding, valid_days,
    number_pattern, quote_terms, reminder_days, track_opens, version, updated_at"""
GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.company_settings where account_id = (select auth.account_id())"
)


def get(connection: Connection) -> Settings:
    return _one(connection, GET, {}) or Settings()


def _one(
    connection: Connection, statement: LiteralString, values: dict[str, Any]
) -> Settings | None:
    with connection.cursor(row_factory=class_row(Settings)) as cursor:
        return cursor.execute(statement, values).fetchone()


SAVE: Final[LiteralString] = (
    """
insert into app.company_settings as settings (account_id, company_name, address, email, phone,
    brand_colour, currency, language, time_zone, default_tax_rate, default_markup_rate,
    tax_rounding, valid_days, number_pattern, quote_terms, reminder_days, track_opens)
values ((select auth.account_id()), %(company_name)s, %(address)s, %(email)s, %(phone)s,
    %(brand_colour)s, %(currency)s, %(language)s, %(time_zone)s, %(default_tax_rate)s,
    %(default_markup_rate)s, %(tax_rounding)s, %(valid_days)s, %(number_pattern)s, %(quote_terms)s,
    %(reminder_days)s, %(track_opens)s)
on conflict (account_id) do update set (company_name, address, email, phone, brand_colour, currency,
    language, time_zone, default_tax_rate, default_markup_rate, tax_rounding, valid_days,
    number_pattern, quote_terms, reminder_days, track_opens, version) = row(
    excluded.company_name, excluded.address,
    excluded.email, excluded.phone, excluded.brand_colour, excluded.currency, excluded.language,
    excluded.time_zone, excluded.default_tax_rate, excluded.default_markup_rate,
    excluded.tax_rounding, excluded.valid_days, excluded.number_pattern, excluded.quote_terms,
    excluded.reminder_days, excluded.track_opens,
    settings.version + 1)
where settings.version = %(version)s
returning """
    + COLUMNS
)


def change(
    connection: Connection, account_id: UUID, body: CompanyChange, *, version: int
) -> Settings:
    """Change the settings; of version 0, save the first.

    Raises ForbiddenError or StaleVersionError."""
    auth.require_manager(connection)
    found, said = get(connection), body.said()
    if found.version != version:
        raise StaleVersionError
    wanted = replace(found, **said)
    if wanted.time_zone != found.time_zone:
        check_zone(connection, wanted.time_zone)
    if wanted.number_pattern != found.number_pattern:
        check_numbers(connection, wanted.number_pattern)
    days = {"reminder_days": list(wanted.reminder_days)}
    saved = _one(connection, SAVE, asdict(wanted) | days)
    if saved is None:
        raise StaleVersionError
    audit.record(connection, "company_settings.changed", account_id, {"fields": sorted(said)})
    return saved


ZONE: Final = "select now() at time zone %(time_zone)s"


def check_zone(connection: Connection, time_zone: str) -> None:
    """Raise InvalidInputError for a zone the database, which dates the numbers, does not know."""
    try:
        connection.execute(ZONE, {"time_zone": time_zone})
    except psycopg.DataError as error:
        raise invalid("time_zone", "is not a time zone the database knows") from error


# A day ago it was this year everywhere, or the one before.
TAKEN: Final = """
select quote.number
from app.quotes as quote,
    lateral (select substring(quote.number from %(year_form)s)::integer as year,
                    substring(quote.number from %(counter_form)s)::integer as counter) as part
where quote.account_id = (select auth.account_id())
  and part.year >= extract(year from now() - interval '1 day')
  and part.counter > coalesce((select last from app.quote_counters as given
      where given.account_id = quote.account_id and given.year = part.year), 0)
  and quote.number = app.format_quote_number(%(pattern)s, part.year, part.counter)
limit 1
"""


def check_numbers(connection: Connection, pattern: str) -> None:
    """Raise ConflictError when the pattern would come to a number that a quote already has.

    Numbers of one pattern differ by year and counter; those of two patterns may meet."""
    values = {
        "pattern": pattern,
        "year_form": _form(pattern, year="([0-9]{4})", counter="[0-9]{1,9}"),
        "counter_form": _form(pattern, year="[0-9]{4}", counter="([0-9]{1,9})"),
    }
    taken = connection.execute(TAKEN, values).fetchone()
    if taken is not None:
        raise ConflictError(f"This number_pattern would give {taken[0]} again.")


def _form(pattern: str, *, year: str, counter: str) -> str:
    """The regular expression of a pattern's numbers; only one part of it is in parentheses."""
    parts = re.split(r"(\{year\}|\{0+\})", pattern)
    known = {"{year}": year}
    return "".join(
        ["^", *(known.get(p, counter) if p.startswith("{") else re.escape(p) for p in parts), "$"]
    )


SET_LOGO: Final[LiteralString] = (
    """
insert into app.company_settings as settings (account_id, logo_key)
values ((select auth.account_id()), %(key)s)
on conflict (account_id) do update set logo_key = excluded.logo_key, version = settings.version + 1
returning """
    + COLUMNS
)


def set_logo(connection: Connection, account_id: UUID, key: str) -> Settings:
    """Print this image from now on. Raises ForbiddenError."""
    auth.require_manager(connection)
    saved = _one(connection, SET_LOGO, {"key": key})
    audit.record(connection, "company_settings.logo_set", account_id, {"key": key})
    return saved or Settings()


REMOVE_LOGO: Final = """
update app.company_settings set logo_key = null, version = version + 1
where account_id = (select auth.account_id()) and logo_key is not null
returning account_id
"""


def remove_logo(connection: Connection) -> None:
    """Print no image any more. Raises ForbiddenError, and NotFoundError when there is none."""
    auth.require_manager(connection)
    row = connection.execute(REMOVE_LOGO).fetchone()
    if row is None:
        raise NotFoundError("There is no logo.")
    audit.record(connection, "company_settings.logo_removed", row[0])

"""How a client's language writes money, numbers, percentages and dates, and its words."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from functools import cache
from types import MappingProxyType
from typing import Final

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import NumberPattern, get_currency_symbol, parse_pattern

from quotekit.quotes.pricing import EXACT, minor_units
from quotekit.quotes.words import WORDS, Words

TAG: Final = re.compile(r"([a-zA-Z]{2})(?:[-_]([a-zA-Z]{2}))?")
DEFAULT_TERRITORY: Final = MappingProxyType(
    {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "pt": "BR"}
)
# CLDR's territories that print on letter paper; a plain "en" says nothing about paper
LETTER_TERRITORIES: Final = frozenset(
    ("BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE")
)
TAX_WORDS: Final = MappingProxyType({"en_GB": "VAT", "en_IE": "VAT", "pt_PT": "IVA"})


class UnknownLanguageError(ValueError):
    """No words for this language tag."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language with the formats of a region."""

    locale: Locale
    words: Words

    @property
    def tag(self) -> str:
        """BCP 47, as in pt-BR."""
        return f"{self.locale.language}-{self.locale.territory}"

    @property
    def tax_word(self) -> str:
        return TAX_WORDS.get(str(self.locale), self.words.tax)

    def money(self, amount: Decimal, currency: str) -> str:
        return self._apply(_money_pattern(self.locale, currency), amount, currency=currency)

    def number(self, value: Decimal) -> str:
        """Up to four decimals, none of them trailing zeros."""
        return self._apply(_pattern(self.locale.decimal_formats[None].pattern, 0, 4), value)

    def percent(self, rate: Decimal) -> str:
        """A rate of 19 is 19 %."""
        return self._apply(
            _pattern(self.locale.percent_formats[None].pattern, 0, 4), rate.scaleb(-2)
        )

    def date(self, day: date) -> str:
        return str(format_date(day, "long", self.locale))

    def moment(self, at: datetime) -> str:
        """A point in time to the second, in UTC and saying so."""
        return str(format_datetime(at, "long", UTC, self.locale))

    def _apply(self, pattern: NumberPattern, value: Decimal, currency: str | None = None) -> str:
        with localcontext(EXACT):  # printing rounds nothing: a figure with more decimals is refused
            return str(pattern.apply(value, self.locale, currency=currency, currency_digits=False))


@cache
def _pattern(pattern: str, least: int, most: int) -> NumberPattern:
    parsed = parse_pattern(pattern)
    parsed.frac_prec = (least, most)
    return parsed


@cache
def _money_pattern(locale: Locale, currency: str) -> NumberPattern:
    """Decimals by ISO 4217, where CLDR's differ, and a space between letters and digits."""
    digits = minor_units(currency)
    symbol = get_currency_symbol(currency, locale)
    pattern = locale.currency_formats["standard"].pattern
    if symbol[-1].isalpha():
        pattern = re.sub(r"¤(?=[#0])", "¤\xa0", pattern)
    if symbol[0].isalpha():
        pattern = re.sub(r"(?<=[#0])¤", "\xa0¤", pattern)
    return _pattern(pattern, digits, digits)


@cache
def language(tag: str) -> Language:
    """The language of a tag such as de or pt-PT; a region for which CLDR has no formats of the
    language goes by the language alone (RFC 4647, lookup). Raises UnknownLanguageError."""
    match = TAG.fullmatch(tag)
    if match is None or match[1].lower() not in WORDS:
        raise UnknownLanguageError(tag)
    code = match[1].lower()
    try:
        return Language(Locale(code, (match[2] or DEFAULT_TERRITORY[code]).upper()), WORDS[code])
    except UnknownLocaleError:
        return language(code)


def paper(tag: str) -> str:
    """The paper a region prints on: us-letter where the tag names such a region, else a4."""
    match = TAG.fullmatch(tag)
    territory = match[2].upper() if match and match[2] else ""
    return "us-letter" if territory in LETTER_TERRITORIES else "a4"

"""How each language writes the same figures."""

import re
import string
from dataclasses import fields
from datetime import date
from decimal import Decimal, Inexact

import pytest

from quotekit.quotes.languages import UnknownLanguageError, language, paper
from quotekit.quotes.words import WORDS, Words

D = Decimal
THIN, FIXED = "\u202f", "\xa0"


@pytest.mark.parametrize(
    ("tag", "money", "quantity", "percent", "day"),
    [
        ("en", "€1,234.50", "2.5", "8.25%", "March 1, 2026"),
        ("en-GB", "€1,234.50", "2.5", "8.25%", "1 March 2026"),
        ("de", f"1.234,50{FIXED}€", "2,5", f"8,25{FIXED}%", "1. März 2026"),
        ("de-AT", f"€{FIXED}1.234,50", "2,5", f"8,25{FIXED}%", "1. März 2026"),
        ("fr", f"1{THIN}234,50{FIXED}€", "2,5", f"8,25{FIXED}%", "1 mars 2026"),
        ("es", f"1.234,50{FIXED}€", "2,5", f"8,25{FIXED}%", "1 de marzo de 2026"),
        ("pt", f"€{FIXED}1.234,50", "2,5", "8,25%", "1 de março de 2026"),
        ("pt-PT", f"1{FIXED}234,50{FIXED}€", "2,5", "8,25%", "1 de março de 2026"),
    ],
)
def test_a_language_writes_figures_and_dates_as_its_region_does(tag, money, quantity, percent, day):
    spoken = language(tag)

    assert spoken.money(D("1234.5"), "EUR") == money
    assert spoken.number(D("2.5000")) == quantity
    assert spoken.percent(D("8.2500")) == percent
    assert spoken.date(date(2026, 3, 1)) == day


@pytest.mark.parametrize(
    ("currency", "expected"),
    [
        ("JPY", "¥1,234"),
        ("HUF", f"HUF{FIXED}1,234.00"),  # CLDR would print 1,234 and lose the cents
        ("IQD", f"IQD{FIXED}1,234.000"),
        ("KWD", f"KWD{FIXED}1,234.000"),
        ("CLF", f"CLF{FIXED}1,234.0000"),
    ],
)
def test_money_has_the_decimals_of_iso_4217(currency, expected):
    assert language("en").money(D(1234), currency) == expected


def test_the_largest_total_is_written_whole():
    money = language("en").money(D("5499999999999999999999999999.99"), "USD")

    assert money == "$5,499,999,999,999,999,999,999,999,999.99"


def test_an_amount_finer_than_its_currency_is_never_rounded_on_paper():
    with pytest.raises(Inexact):
        language("en").money(D("0.005"), "EUR")


@pytest.mark.parametrize(
    ("value", "expected"), [("3.0000", "3"), ("0.0625", "0.0625"), ("1234.5", "1,234.5")]
)
def test_a_quantity_has_no_idle_zeros(value, expected):
    assert language("en").number(D(value)) == expected


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("en", "en-US"),
        ("pt", "pt-BR"),
        ("de_at", "de-AT"),
        ("EN-gb", "en-GB"),
        ("fr-CW", "fr-FR"),
        ("en-ZZ", "en-US"),
    ],
)
def test_a_tag_names_a_language_and_its_region(tag, full):
    assert language(tag).tag == full


@pytest.mark.parametrize("tag", ["", "zh", "xx", "xx-DE", "deutsch", "de-DE-1996", "../en"])
def test_a_language_without_words_is_refused(tag):
    with pytest.raises(UnknownLanguageError):
        language(tag)


def test_tax_is_called_what_the_region_calls_it():
    assert [language(tag).tax_word for tag in ("en", "en-GB", "de", "pt", "pt-PT")] == [
        "Tax",
        "VAT",
        "MwSt.",
        "Imposto",
        "IVA",
    ]


@pytest.mark.parametrize(("tag", "sheet"), [("en", "a4"), ("en-US", "us-letter"), ("de", "a4")])
def test_paper_follows_the_region_a_tag_names(tag, sheet):
    assert paper(tag) == sheet


@pytest.mark.parametrize("code", WORDS)
def test_every_word_is_there_and_asks_for_the_same_values_as_in_english(code):
    def asked(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for field in fields(Words):
        word = getattr(WORDS[code], field.name)
        assert word.strip() == word != ""
        assert asked(word) == asked(getattr(WORDS["en"], field.name))
    assert re.fullmatch("[a-z]{2}", code)

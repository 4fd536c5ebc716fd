"""The mail that brings a quote."""

from datetime import date
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from quotekit.quotes.languages import language
from quotekit.quotes.letters import Sending, write
from quotekit.quotes.words import WORDS


def sending(**fields):
    values: dict[str, Any] = {
        "company": "Greenfield Garden Studio",
        "client": "Amelia Whitfield",
        "number": "Q-2026-0042",
        "total": Decimal("2292.39"),
        "currency": "EUR",
        "language": "en",
        "link": "https://quotes.example/q/3f9a?view=full&lang=en",
        "valid_until": date(2026, 4, 1),
    }
    return Sending(**values | fields)


@pytest.mark.parametrize("tag", WORDS)
def test_text_and_html_say_who_what_how_much_until_when_and_where(tag):
    spoken = language(tag)

    letter = write(sending(language=tag, message="See you on Monday."))

    said = [
        "Greenfield Garden Studio",
        "Amelia Whitfield",
        "Q-2026-0042",
        spoken.money(Decimal("2292.39"), "EUR"),
        spoken.date(date(2026, 4, 1)),
        "See you on Monday.",
    ]
    assert all(part in letter.text for part in said)
    assert all(part in letter.html for part in said)
    assert "https://quotes.example/q/3f9a?view=full&lang=en" in letter.text
    assert 'href="https://quotes.example/q/3f9a?view=full&amp;lang=en"' in letter.html
    assert f'<html lang="{spoken.tag}">' in letter.html
    assert letter.subject == spoken.words.subject.format(
        number="Q-2026-0042", company="Greenfield Garden Studio"
    )


def test_the_english_letter_reads_like_this():
    letter = write(sending(message="Thank you!", attached=True))

    assert letter.text == (
        "Hello Amelia Whitfield,\n\n"
        "Greenfield Garden Studio has prepared quote Q-2026-0042 for you.\n\n"
        "Thank you!\n\n"
        "Number: Q-2026-0042\nTotal: €2,292.39\nValid until: April 1, 2026\n\n"
        "View the quote:\nhttps://quotes.example/q/3f9a?view=full&lang=en\n\n"
        "The quote is attached as a PDF.\n\n"
        "Kind regards\nGreenfield Garden Studio\n"
    )


def test_what_is_not_known_is_not_mentioned():
    letter = write(sending(client="", valid_until=None))

    assert letter.text.startswith("Hello,\n")
    assert "until" not in letter.text + letter.html
    assert "attached" not in letter.text + letter.html


@pytest.mark.parametrize(
    "company",
    [
        "Evil\r\nBcc: everyone@example.org",
        "Evil\nContent-Type: text/html\n\n<b>",
        "Evil\u2028Bcc: x\x85Bcc: y\x0bBcc: z\x00",
        "E" * 5000,
    ],
)
def test_a_subject_stays_one_header_whatever_the_company_is_called(company):
    subject = write(sending(company=company)).subject

    message = EmailMessage(policy=SMTP)
    message["Subject"] = subject
    assert subject.splitlines() == [subject]
    assert subject.isprintable()
    assert len(subject) <= 200
    assert message.keys() == ["Subject"]


def test_nothing_a_user_typed_becomes_markup():
    hostile = '<script>alert("1")</script>&\'{number}{0}%s'

    letter = write(sending(company=hostile, client=hostile, number=hostile, message=hostile))

    assert "<script" not in letter.html
    assert letter.html.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;") == 8
    assert hostile in letter.text


def test_a_link_cannot_leave_its_attribute():
    letter = write(sending(link='https://x.example/"onclick="evil()'))

    assert '"onclick' not in letter.html


def test_the_owners_lines_stay_lines():
    letter = write(sending(message="One\nTwo\n"))

    assert "One<br>\nTwo</p>" in letter.html
    assert "One\nTwo\n\n" in letter.text

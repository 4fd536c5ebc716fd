"""The mail that brings a quote to the client: subject, text and HTML say the same."""

import html
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from quotekit.quotes.languages import language

SUBJECT_LENGTH: Final = 200
PAGE: Final = """<!doctype html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#f4f6f8;color:#1d2329;\
font:16px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">
<div style="max-width:560px;margin:0 auto;padding:32px;background:#ffffff;border-radius:8px">
<p>{greeting}</p>
<p>{here_is}</p>
{message}<table role="presentation" style="margin:24px 0;border-collapse:collapse">
{facts}
</table>
<p style="margin:24px 0"><a href="{link}" style="display:inline-block;padding:12px 20px;\
background:#1f5c4d;color:#ffffff;text-decoration:none;border-radius:6px">{view}</a></p>
{attached}<p>{regards}<br>{company}</p>
</div>
</body>
</html>
"""
FACT: Final = (
    '<tr><td style="padding:4px 24px 4px 0;color:#5b6470">{name}</td>'
    '<td style="padding:4px 0"><strong>{value}</strong></td></tr>'
)


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Sending:
    """What the letter says; there is no room in it for a cost or a markup."""

    company: str
    client: str
    number: str
    total: Decimal
    currency: str
    language: str
    link: str
    valid_until: date | None = None
    message: str = ""
    attached: bool = False


def write(sending: Sending) -> Letter:
    """The letter in the client's language."""
    return Letter(_subject(sending), _text(sending), _html(sending))


def _subject(sending: Sending) -> str:
    """One line whatever the names hold: a line end in it would begin another header."""
    words = language(sending.language).words
    subject = words.subject.format(number=sending.number, company=sending.company)
    visible = "".join(one if one.isprintable() else " " for one in subject)
    return " ".join(visible.split())[:SUBJECT_LENGTH]


def _text(sending: Sending) -> str:
    words = language(sending.language).words
    paragraphs = [
        _greeting(sending),
        _here_is(sending),
        sending.message.strip(),
        "\n".join(f"{name}: {value}" for name, value in _facts(sending)),
        f"{words.view}:\n{sending.link}",
        words.attached if sending.attached else "",
        f"{words.regards}\n{sending.company}",
    ]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _html(sending: Sending) -> str:
    spoken = language(sending.language)
    message = html.escape(sending.message.strip()).replace("\n", "<br>\n")
    facts = [
        FACT.format(name=html.escape(name), value=html.escape(value))
        for name, value in _facts(sending)
    ]
    return PAGE.format(
        lang=spoken.tag,
        subject=html.escape(_subject(sending)),
        greeting=html.escape(_greeting(sending)),
        here_is=html.escape(_here_is(sending)),
        message=f"<p>{message}</p>\n" if message else "",
        facts="\n".join(facts),
        link=html.escape(sending.link),
        view=html.escape(spoken.words.view),
        attached=f"<p>{html.escape(spoken.words.attached)}</p>\n" if sending.attached else "",
        regards=html.escape(spoken.words.regards),
        company=html.escape(sending.company),
    )


def _greeting(sending: Sending) -> str:
    words = language(sending.language).words
    name = " ".join(sending.client.split())
    return words.greeting.format(client=name) if name else words.greeting_without_name


def _here_is(sending: Sending) -> str:
    words = language(sending.language).words
    return words.here_is.format(company=sending.company, number=sending.number)


def _facts(sending: Sending) -> list[tuple[str, str]]:
    spoken = language(sending.language)
    facts = [
        (spoken.words.number, sending.number),
        (spoken.words.total, spoken.money(sending.total, sending.currency)),
    ]
    if sending.valid_until is not None:
        facts.append((spoken.words.valid_until, spoken.date(sending.valid_until)))
    return facts

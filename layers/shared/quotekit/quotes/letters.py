"""The mails that bring a quote to the client: subject, text and HTML say the same."""

import html
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from quotekit.quotes import placeholders
from quotekit.quotes.languages import language

type Kind = Literal["quote", "reminder"]

SUBJECT_LENGTH: Final = 200
PAGE: Final = """<!doctype html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#f4f6f8;color:#1d2329;\
font:16px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">
<div style="max-width:560px;margin:0 auto;padding:32px;background:#ffffff;border-radius:8px">
{opening}{message}<table role="presentation" style="margin:24px 0;border-collapse:collapse">
{facts}
</table>
{button}{attached}{closing}</div>
</body>
</html>
"""
BUTTON: Final = """<p style="margin:24px 0"><a href="{link}" style="display:inline-block;\
padding:12px 20px;background:#1f5c4d;color:#ffffff;text-decoration:none;border-radius:6px">\
{view}</a></p>
"""
PICTURE: Final = '<img src="{address}" width="1" height="1" alt="">\n'
FACT: Final = (
    '<tr><td style="padding:4px 24px 4px 0;color:#5b6470">{name}</td>'
    '<td style="padding:4px 0"><strong>{value}</strong></td></tr>'
)


@dataclass(frozen=True, slots=True)
class Wording:
    """An account's own words in place of ours, with {placeholders}."""

    subject: str
    body: str


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
    kind: Kind = "quote"
    wording: Wording | None = None
    replaces: str | None = None
    picture: str | None = None  # the address of one that tells when the mail is opened


def write(sending: Sending) -> Letter:
    """The letter in the client's language."""
    return Letter(_subject(sending), _text(sending), _html(sending))


def _subject(sending: Sending) -> str:
    words = language(sending.language).words
    ours = words.reminder_subject if sending.kind == "reminder" else words.subject
    if sending.wording is None:
        return one_line(ours.format(number=sending.number, company=sending.company))
    return one_line(placeholders.fill(sending.wording.subject, _values(sending)))


def one_line(subject: str) -> str:
    """One line whatever the names hold: a line end in it would begin another header."""
    visible = "".join(one if one.isprintable() else " " for one in subject)
    return " ".join(visible.split())[:SUBJECT_LENGTH]


def _text(sending: Sending) -> str:
    words, wording = language(sending.language).words, sending.wording
    paragraphs = [
        *([_greeting(sending), _here_is(sending)] if wording is None else []),
        placeholders.fill(wording.body, _values(sending)).strip() if wording else "",
        sending.message.strip(),
        "\n".join(f"{name}: {value}" for name, value in _facts(sending)),
        f"{words.view}:\n{sending.link}",
        words.attached if sending.attached else "",
        f"{words.regards}\n{sending.company}" if wording is None else "",
    ]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _html(sending: Sending) -> str:
    spoken = language(sending.language)
    facts = [
        FACT.format(name=html.escape(name), value=html.escape(value))
        for name, value in _facts(sending)
    ]
    return PAGE.format(
        lang=spoken.tag,
        subject=html.escape(_subject(sending)),
        opening=_opening(sending),
        message=_paragraph(html.escape(sending.message.strip())),
        facts="\n".join(facts),
        button=BUTTON.format(link=html.escape(sending.link), view=html.escape(spoken.words.view)),
        attached=_paragraph(html.escape(spoken.words.attached)) if sending.attached else "",
        closing=_closing(sending),
    )


def _opening(sending: Sending) -> str:
    """The first paragraphs as HTML: ours, or the account's own."""
    if sending.wording is None:
        ours = (_greeting(sending), _here_is(sending))
        return "".join(_paragraph(html.escape(part)) for part in ours)
    own = placeholders.fill(sending.wording.body.strip(), _values(sending), html.escape)
    return "".join(_paragraph(part.strip()) for part in own.split("\n\n"))


def _closing(sending: Sending) -> str:
    """Our regards, as an account's own words have their own; and the picture of a tracked mail."""
    regards = language(sending.language).words.regards
    ours = f"<p>{html.escape(regards)}<br>{html.escape(sending.company)}</p>\n"
    seen = PICTURE.format(address=html.escape(sending.picture)) if sending.picture else ""
    return seen if sending.wording else ours + seen


def _paragraph(escaped: str) -> str:
    lines = escaped.replace("\n", "<br>\n")
    return f"<p>{lines}</p>\n" if lines else ""


def _values(sending: Sending) -> dict[str, str]:
    """What the placeholders stand for; a quote without a last day has none."""
    spoken = language(sending.language)
    until = sending.valid_until
    return {
        "client_name": " ".join(sending.client.split()),
        "quote_number": sending.number,
        "total": spoken.money(sending.total, sending.currency),
        "link": sending.link,
        "valid_until": spoken.date(until) if until else "",
        "company_name": sending.company,
    }


def _greeting(sending: Sending) -> str:
    words = language(sending.language).words
    name = " ".join(sending.client.split())
    return words.greeting.format(client=name) if name else words.greeting_without_name


def _here_is(sending: Sending) -> str:
    words = language(sending.language).words
    sentence = words.reminder if sending.kind == "reminder" else words.here_is
    return sentence.format(company=sending.company, number=sending.number)


def _facts(sending: Sending) -> list[tuple[str, str]]:
    spoken = language(sending.language)
    facts = [
        (spoken.words.number, sending.number),
        (spoken.words.total, spoken.money(sending.total, sending.currency)),
    ]
    if sending.replaces is not None:
        facts.append((spoken.words.replaces, sending.replaces))
    if sending.valid_until is not None:
        facts.append((spoken.words.valid_until, spoken.date(sending.valid_until)))
    return facts

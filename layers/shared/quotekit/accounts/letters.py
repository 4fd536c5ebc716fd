"""The mails about an account: subject, text and HTML say the same."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from quotekit.quotes.languages import language

LONGEST_SUBJECT: Final = 200
LONGEST_NAME: Final = 100
PAGE: Final = """<!doctype html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#f4f6f8;color:#1d2329;\
font:16px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">
<p>{said}</p>
<p><a href="{link}">{accept}</a></p>
<p>{until}</p>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Letter:
    sender: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Words:
    subject: str
    said: str
    accept: str
    until: str


# What it says in each language a company may have; a part of a language has its language's.
WORDS: Final[Mapping[str, Words]] = {
    "en": Words(
        "{name} invites you to join",
        "{name} invites you to work on quotes together.",
        "Accept the invitation",
        "The link works until {date}. If you do not know the sender, ignore this mail.",
    ),
    "de": Words(
        "{name} lädt Sie ein",
        "{name} lädt Sie ein, gemeinsam an Angeboten zu arbeiten.",
        "Einladung annehmen",
        "Der Link gilt bis {date}. Wenn Sie den Absender nicht kennen, ignorieren Sie diese Mail.",
    ),
    "fr": Words(
        "{name} vous invite",
        "{name} vous invite à travailler ensemble sur des devis.",
        "Accepter l'invitation",
        "Le lien est valable jusqu'au {date}. Si vous ne connaissez pas l'expéditeur, ignorez ce "
        "message.",
    ),
    "es": Words(
        "{name} le invita a unirse",
        "{name} le invita a trabajar juntos en presupuestos.",
        "Aceptar la invitación",
        "El enlace es válido hasta el {date}. Si no conoce al remitente, ignore este mensaje.",
    ),
    "pt": Words(
        "{name} convida você",
        "{name} convida você para trabalhar em orçamentos.",
        "Aceitar o convite",
        "O link é válido até {date}. Se não conhece o remetente, ignore esta mensagem.",
    ),
}


def invitation(name: str, link: str, expires_at: datetime, tongue: str) -> Letter:
    """The mail that asks somebody to join the account of that name, in its language."""
    spoken = language(tongue)
    words = WORDS[spoken.tag.partition("-")[0]]
    sender = one_line(name)[:LONGEST_NAME] or "QuoteKit"
    subject = words.subject.format(name=sender)[:LONGEST_SUBJECT]
    said = words.said.format(name=sender)
    until = words.until.format(date=spoken.date(expires_at.date()))
    text = f"{said}\n\n{words.accept}:\n{link}\n\n{until}\n"
    page = PAGE.format(
        lang=spoken.tag,
        subject=html.escape(subject),
        said=html.escape(said),
        link=html.escape(link),
        accept=html.escape(words.accept),
        until=html.escape(until),
    )
    return Letter(sender, subject, text, page)


def one_line(name: str) -> str:
    """A line end in a name would begin another header."""
    return " ".join("".join(one if one.isprintable() else " " for one in name).split())

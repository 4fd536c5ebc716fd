"""Mails about a client's answer: to his contractor in the account's language, and to himself."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from quotekit.mails.model import NewMail
from quotekit.portal.model import Offer
from quotekit.portal.notice_words import WORDS, NoticeWords
from quotekit.quotes import letters, printing
from quotekit.quotes.languages import Language, language


@dataclass(frozen=True, slots=True)
class Notice:
    """What one mail says, and to whom; `quoted` is what the client typed."""

    spoken: Language
    recipient: str
    reply_to: str | None
    subject: str
    greeting: str
    said: str
    quoted: str = ""
    link: str | None = None
    attached: bool = False


def accepted(offer: Offer, link: str) -> list[NewMail]:
    """To both, with the certified PDF."""
    words = notice_words(offer.company.language)
    to_owner = owners(offer, words.accepted_subject, words.accepted, attached=True)
    return [*to_owner, *confirmed(offer, link)]


def declined(offer: Offer) -> list[NewMail]:
    words = notice_words(offer.company.language)
    note = offer.quote.decision_note or ""
    return owners(offer, words.declined_subject, words.declined, quoted=note)


def asked(offer: Offer, question: str) -> list[NewMail]:
    words = notice_words(offer.company.language)
    return owners(offer, words.asked_subject, words.asked, quoted=question)


def owners(
    offer: Offer, subject: str, said: str, *, quoted: str = "", attached: bool = False
) -> list[NewMail]:
    """A mail to the contractor, if he told an address; answering it writes to the client."""
    if not offer.company.email:
        return []
    spoken = language(offer.company.language)
    about = told(offer, spoken)
    notice = Notice(
        spoken=spoken,
        recipient=offer.company.email,
        reply_to=offer.quote.client.email,
        subject=subject.format(**about),
        greeting=spoken.words.greeting_without_name,
        said=said.format(**about),
        quoted=quoted,
        attached=attached,
    )
    return [mail(offer, notice)]


def confirmed(offer: Offer, link: str) -> list[NewMail]:
    """A mail to the client who accepted, if his address is known."""
    if not offer.quote.client.email:
        return []
    spoken, words = language(offer.quote.language), notice_words(offer.quote.language)
    about = told(offer, spoken)
    notice = Notice(
        spoken=spoken,
        recipient=offer.quote.client.email,
        reply_to=offer.company.email,
        subject=words.confirmed_subject.format(**about),
        greeting=spoken.words.greeting.format(client=about["client"]),
        said=words.confirmed.format(**about),
        link=link,
        attached=True,
    )
    return [mail(offer, notice)]


def told(offer: Offer, spoken: Language) -> dict[str, str]:
    """What the sentences may name."""
    quote = offer.quote
    name = " ".join(quote.client.name.split())
    return {
        "company": offer.company.company_name,
        "client": name or notice_words(spoken.tag).the_client,
        "number": quote.number or "",
        "total": spoken.money(quote.total, quote.currency),
    }


def notice_words(tag: str) -> NoticeWords:
    return WORDS[language(tag).locale.language]


def mail(offer: Offer, notice: Notice) -> NewMail:
    subject = letters.one_line(notice.subject)
    return NewMail(
        quote_id=offer.quote.id,
        version_id=offer.version_id if notice.attached else None,
        recipient=notice.recipient,
        reply_to=notice.reply_to,
        sender_name=offer.company.company_name,
        subject=subject,
        text_body=text(notice, offer.company.company_name),
        html_body=page(notice, subject, offer.company.company_name),
        attachment_name=printing.filename(offer.quote.number),
    )


def text(notice: Notice, company: str) -> str:
    words = notice.spoken.words
    parts: Sequence[str] = (
        notice.greeting,
        notice.said,
        notice.quoted,
        f"{words.view}:\n{notice.link}" if notice.link else "",
        words.attached if notice.attached else "",
        f"{words.regards}\n{company}" if notice.link else "",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def page(notice: Notice, subject: str, company: str) -> str:
    words, link = notice.spoken.words, notice.link
    button = letters.BUTTON.format(link=html.escape(link or ""), view=html.escape(words.view))
    closing = paragraph(f"{words.regards}\n{company}")
    return letters.PAGE.format(
        lang=notice.spoken.tag,
        subject=html.escape(subject),
        opening=paragraph(notice.greeting) + paragraph(notice.said),
        message=f"<blockquote>{paragraph(notice.quoted)}</blockquote>\n" if notice.quoted else "",
        facts="",
        button=button if link else "",
        attached=paragraph(words.attached) if notice.attached else "",
        closing=closing if link else "",
    )


def paragraph(text: str) -> str:
    lines = html.escape(text).replace("\n", "<br>\n")
    return f"<p>{lines}</p>\n"

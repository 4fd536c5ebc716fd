"""A quote as its client sees it: the same words, figures and order as the PDF, for a small screen
first. It works without JavaScript; quote.js only adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from quotekit.portal import choice_words, forms, lines, payment_words
from quotekit.portal.markup import Markup, joined, paragraphs, tag
from quotekit.portal.model import Offer
from quotekit.portal.words import WORDS, PortalWords
from quotekit.quotes import document, printing
from quotekit.quotes.colours import chosen, readable
from quotekit.quotes.languages import Language, language
from quotekit.quotes.model import QuoteLine
from quotekit.quotes.quantities import range_of
from quotekit.quotes.repository import Found

ASSETS: Final = "/assets/quote"
DOCTYPE: Final = Markup("<!doctype html>\n")


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says beside the quote: what just happened, by the name of its words; the name
    that was typed; whether he comes from paying; the lines of which he wants too little or much."""

    notice: Literal["asked", "changed"] | None = None
    typed: str = ""
    returned: bool = False
    unfit: Sequence[QuoteLine] = ()


def render(offer: Offer, token: str, told: Told) -> str:
    spoken = language(offer.quote.language)
    words = WORDS[spoken.locale.language]
    place = f"/q/{token}"
    sheet = sheet_of(offer)
    return whole(
        spoken.tag,
        sheet["title"],
        letterhead(offer, place),
        tag(
            "main",
            banner(told.notice and getattr(words, told.notice), told.notice or ""),
            *(banner(unfit(line, spoken), "changed") for line in told.unfit),
            banner(standing(offer, spoken, words), offer.state),
            heading(sheet),
            parties(sheet),
            lines.certain(sheet),
            *lines.groups(offer, sheet, spoken),
            lines.options(offer, sheet, words),
            totals(sheet),
            forms.update(offer, place, words),
            sections(sheet),
            payment(offer, spoken, place, returned=told.returned),
            forms.answer(offer, spoken, place, words, told.typed),
            tag("p", tag("a", words.download, href=f"{place}/pdf"), class_="download"),
            forms.question(offer, place, words),
        ),
        footer(sheet),
        brand=offer.company.brand_colour,
    )


def whole(
    lang: str, title: str, header: Markup | None, main: Markup, *rest: Markup, brand: str | None
) -> str:
    colour = chosen(brand).removeprefix("#")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="robots", content="noindex, nofollow"),
        tag("title", title),
        tag("link", rel="stylesheet", href=f"{ASSETS}/quote.css"),
        tag("link", rel="stylesheet", href=f"/q/brand/{colour}.css"),
        tag("link", rel="icon", href=f"{ASSETS}/icon.svg", type="image/svg+xml"),
        tag("script", type="module", src=f"{ASSETS}/quote.js"),
    )
    body = tag("body", header, main, *rest)
    return joined(DOCTYPE, tag("html", head, body, lang=lang))


def brand_style(colour: str) -> str:
    """A company's colour, as it chose it and dark enough for text."""
    return f":root{{--stripe:{chosen(colour)};--brand:{readable(chosen(colour))}}}\n"


def sheet_of(offer: Offer) -> dict[str, Any]:
    """What the PDF prints of this quote, each value a finished string."""
    found = Found(offer.quote, offer.account_id, offer.version_id)
    sheet = printing.compose(found, offer.company, logo=None, watermark=offer.watermark)
    return lines.placed(offer, document.sheet_of(sheet.document), language(offer.quote.language))


def letterhead(offer: Offer, place: str) -> Markup:
    name = offer.company.company_name
    if not offer.company.logo_key:
        return tag("header", tag("p", name, class_="company"))
    alt = language(offer.quote.language).words.logo_of.format(company=name)
    return tag("header", tag("img", src=f"{place}/logo", alt=alt, class_="logo"))


def banner(text: str | None, kind: str) -> Markup | None:
    return tag("p", text, class_=f"banner {kind}", role="status") if text else None


def unfit(line: QuoteLine, spoken: Language) -> str | None:
    """What may be chosen of a line of which something else was."""
    if (allowed := range_of(line)) is None:
        return None
    least, most, step = map(spoken.number, (allowed.least, allowed.most, allowed.step))
    words = choice_words.WORDS[spoken.locale.language]
    return words.unfit.format(name=line.name, least=least, most=most, step=step)


def standing(offer: Offer, spoken: Language, words: PortalWords) -> str | None:
    """Why there is nothing to answer any more."""
    match offer.state:
        case "accepted" if offer.accepted:
            day = spoken.moment(offer.accepted.accepted_at)
            return words.accepted_by.format(name=offer.accepted.name, date=day)
        case "accepted":
            return words.accepted
        case "declined":
            return words.declined
        case "expired":
            return words.expired.format(company=offer.company.company_name)
        case "superseded":
            return words.superseded
    return None


def heading(sheet: dict[str, Any]) -> Markup:
    (_, number), *facts = sheet["facts"]
    named = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    title = tag("h1", f"{sheet['words']['quote']} ", tag("span", number))
    return joined(title, tag("dl", *named, class_="facts"))


def parties(sheet: dict[str, Any]) -> Markup:
    both = (("prepared-by", "company"), ("prepared-for", "client"))
    return tag(
        "div",
        *(party(sheet["words"][title], sheet[who]) for title, who in both),
        class_="parties",
    )


def party(title: str, who: dict[str, str]) -> Markup:
    rest = [tag("p", paragraphs(who[part])) for part in ("address", "email", "phone") if who[part]]
    return tag("section", tag("h2", title), tag("p", tag("strong", who["name"])), *rest)


def totals(sheet: dict[str, Any]) -> Markup:
    rows = [
        tag("div", tag("dt", row["name"]), tag("dd", row["amount"]), class_=row["kind"])
        for row in sheet["totals"]
    ]
    return tag("dl", *rows, class_="totals", id="totals", aria_live="polite")


def sections(sheet: dict[str, Any]) -> Markup:
    return joined(
        *(
            tag("section", tag("h2", title), tag("p", paragraphs(text)), class_="text")
            for title, text in sheet["sections"]
        )
    )


def payment(offer: Offer, spoken: Language, place: str, *, returned: bool) -> Markup | None:
    """What is known of the deposit of an accepted quote, or where it is paid.

    Whoever has just `returned` may have paid: that says Stripe, and until then nothing is paid."""
    deposit = offer.deposit
    if deposit is None or deposit.standing == "none":
        return None
    words = payment_words.WORDS[spoken.locale.language]
    amount = spoken.money(deposit.amount, offer.quote.currency)
    if deposit.standing == "paid":
        day = spoken.date(deposit.paid_on) if deposit.paid_on else ""
        return tag("p", words.paid.format(amount=amount, date=day), class_="banner accepted")
    if deposit.standing == "waiting" or (returned and deposit.checkout == "open"):
        return tag("p", words.waiting, class_="banner", role="status")
    label = words.pay.format(amount=amount)
    link = tag("a", label, href=f"{place}/deposit", rel="nofollow", class_="button")
    return tag("p", link, class_="payment")


def footer(sheet: dict[str, Any]) -> Markup:
    made = tag("p", sheet["made-with"]) if sheet["made-with"] else None
    return tag("footer", tag("p", sheet["footer"]), made)

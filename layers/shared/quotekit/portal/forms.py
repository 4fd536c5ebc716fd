"""The forms of a client's page: plain ones, which quote.js makes more convenient."""

from quotekit.portal.markup import Markup, joined, tag
from quotekit.portal.model import Offer
from quotekit.portal.words import PortalWords
from quotekit.quotes.languages import Language
from quotekit.quotes.quantities import range_of


def update(offer: Offer, place: str, words: PortalWords) -> Markup | None:
    """Asks for the total of what is chosen, if anything can be; for browsers without scripts."""
    lines = offer.quote.line_items
    if offer.state != "open" or not any(line.optional or range_of(line) for line in lines):
        return None
    button = tag(
        "button",
        words.update_total,
        type="submit",
        form="accept",
        formaction=f"{place}/total",
        formnovalidate=True,
        class_="quiet",
        id="update",
    )
    return tag("p", button)


def answer(
    offer: Offer, spoken: Language, place: str, words: PortalWords, typed: str
) -> Markup | None:
    """Accept or decline; nothing once the quote is not open."""
    if offer.state != "open":
        return None
    return joined(accept(offer, spoken, place, words, typed), decline(place, words))


def accept(offer: Offer, spoken: Language, place: str, words: PortalWords, typed: str) -> Markup:
    quote = offer.quote
    amount = spoken.money(quote.total, quote.currency)
    before, _, after = words.agree.partition("{total}")
    return tag(
        "form",
        tag("h2", words.accept),
        tag("input", type="hidden", name="revision", value=quote.revision),
        tag("input", type="hidden", name="total", value=str(quote.total), id="total"),
        labelled(words.your_name, "name", tag("input", value=typed or None, **name_field())),
        signature(words),
        tag("p", before, tag("strong", amount, id="agreed"), after, class_="hint"),
        tag("button", words.accept_button, type="submit"),
        method="post",
        action=f"{place}/accept",
        id="accept",
        class_="card",
    )


def name_field() -> dict[str, str | int | bool]:
    return {
        "id": "name",
        "name": "name",
        "type": "text",
        "autocomplete": "name",
        "maxlength": 200,
        "required": True,
    }


def signature(words: PortalWords) -> Markup:
    """A field to sign in; hidden until a script can draw."""
    return tag(
        "div",
        tag("p", words.signature, class_="label", id="signature-label"),
        tag("p", words.sign_hint, class_="hint", id="signature-hint"),
        tag(
            "canvas",
            id="pad",
            width=600,
            height=200,
            role="img",
            aria_labelledby="signature-label",
            aria_describedby="signature-hint",
        ),
        tag("button", words.clear, type="button", class_="quiet", id="clear"),
        tag("input", type="hidden", name="signature", id="signature"),
        class_="signature",
        id="sign",
        hidden=True,
    )


def decline(place: str, words: PortalWords) -> Markup:
    reason = tag("textarea", id="reason", name="reason", maxlength=2000, rows=3)
    form = tag(
        "form",
        labelled(words.reason, "reason", reason),
        tag("button", words.decline_button, type="submit", class_="quiet"),
        method="post",
        action=f"{place}/decline",
    )
    return tag("details", tag("summary", words.decline), form, class_="card")


def question(offer: Offer, place: str, words: PortalWords) -> Markup | None:
    if offer.state == "superseded":
        return None
    field = tag("textarea", id="question", name="question", maxlength=2000, rows=3, required=True)
    form = tag(
        "form",
        labelled(words.question, "question", field),
        tag("button", words.ask_button, type="submit", class_="quiet"),
        method="post",
        action=f"{place}/question",
    )
    return tag("details", tag("summary", words.ask), form, class_="card")


def labelled(label: str, name: str, field: Markup) -> Markup:
    return tag("p", tag("label", label, for_=name), field, class_="field")

"""The lines of a quote on its page: those that count in any case, and what may be chosen."""

from typing import Any

from quotekit.portal.choice_words import WORDS
from quotekit.portal.markup import Markup, joined, paragraphs, tag
from quotekit.portal.model import Offer
from quotekit.portal.words import PortalWords
from quotekit.quotes.choices import alternatives
from quotekit.quotes.languages import Language

type Sheet = dict[str, Any]


def certain(sheet: Sheet) -> Markup:
    title = tag("h2", sheet["words"]["description"])
    return tag("section", title, listed(sheet["rows"], sheet), class_="work")


def listed(rows: list[Sheet], sheet: Sheet) -> Markup:
    shown = [tag("li", item(row, sheet), price(row)) for row in rows]
    return tag("ul", *shown, class_="lines")


def item(row: Sheet, sheet: Sheet) -> Markup:
    """What is done, and how its amount comes about."""
    description = row["description"]
    tax = f" · {sheet['words']['tax']} {row['tax']}" if sheet["show-tax"] else ""
    count = f"{row['quantity']} {row['unit']}".strip()
    return tag(
        "div",
        tag("strong", row["name"]),
        tag("span", paragraphs(description), class_="description") if description else None,
        tag("span", f"{count} \u00d7 {row['unit-price']}{tax}", class_="count"),
        tag("span", row["discount"], class_="count") if row["discount"] else None,
    )


def price(row: Sheet) -> Markup:
    return tag("span", row["amount"], class_="amount")


def groups(offer: Offer, sheet: Sheet, spoken: Language) -> list[Markup]:
    """The choices of each group with what each contains; one is taken while the quote is open."""
    told = iter(sheet["choices"])  # in the same order
    return [
        group({first: next(told) for first in choices}, offer, sheet, spoken)
        for choices in alternatives(offer.quote)
    ]


def group(choices: dict[int, Sheet], offer: Offer, sheet: Sheet, spoken: Language) -> Markup:
    name = f"choice[{min(choices)}]"
    title = next(iter(choices.values()))["group"]
    if offer.state != "open":
        shown = [choice(settled(one), one, sheet) for one in choices.values()]
        return tag("section", tag("h2", title), *shown, class_="work")
    shown = [choice(radio(name, first, one), one, sheet) for first, one in choices.items()]
    hint = tag("p", WORDS[spoken.locale.language].choose_one, class_="hint")
    return tag("fieldset", tag("legend", title), hint, *shown, class_="work")


def choice(head: Markup, told: Sheet, sheet: Sheet) -> Markup:
    return tag("div", head, listed(told["rows"], sheet), class_="choice")


def radio(name: str, first: int, told: Sheet) -> Markup:
    button = tag(
        "input", type="radio", name=name, value=first, checked=told["chosen"], form="accept"
    )
    amount = tag("span", told["price"], class_="amount")
    return tag("label", button, tag("strong", told["name"]), amount)


def settled(told: Sheet) -> Markup:
    amount = tag("span", told["price"], class_="amount")
    return joined(tag("h3", tag("span", told["name"]), amount), tag("p", state(told)))


def state(told: Sheet) -> Markup:
    return tag("span", told["state"], class_="state taken" if told["chosen"] else "state")


def options(offer: Offer, sheet: Sheet, words: PortalWords) -> Markup | None:
    """Optional lines; boxes to tick while the quote is open."""
    if not sheet["options"]:
        return None
    positions = [
        line.position for line in offer.quote.line_items if line.optional and line.group is None
    ]
    pairs = zip(positions, sheet["options"], strict=True)
    rows = [tag("li", option(offer, position, row, sheet)) for position, row in pairs]
    title = sheet["words"]["optional-items"]
    listed = tag("ul", *rows, class_="lines options")
    if offer.state != "open":
        return tag("section", tag("h2", title), listed, class_="work")
    hint = tag("p", words.choose, class_="hint")
    return tag("fieldset", tag("legend", title), hint, listed, class_="work")


def option(offer: Offer, position: int, row: Sheet, sheet: Sheet) -> Markup:
    if offer.state != "open":
        return joined(tag("div", item(row, sheet), state(row)), price(row))
    box = tag(
        "input",
        type="checkbox",
        name="option",
        value=position,
        checked=row["chosen"],
        form="accept",
    )
    return tag("label", box, item(row, sheet), price(row))

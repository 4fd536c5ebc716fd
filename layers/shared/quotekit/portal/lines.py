"""The lines of a quote on its page: those that count in any case, and what may be chosen."""

from itertools import chain
from typing import Any

from quotekit.portal.choice_words import WORDS
from quotekit.portal.markup import Markup, joined, paragraphs, tag
from quotekit.portal.model import Offer
from quotekit.portal.words import PortalWords
from quotekit.quotes.groups import grouped
from quotekit.quotes.languages import Language
from quotekit.quotes.model import QuoteLine
from quotekit.quotes.quantities import range_of

type Sheet = dict[str, Any]


def placed(offer: Offer, sheet: Sheet, spoken: Language) -> Sheet:
    """The sheet, each of its rows with the position of its line, and with the field where the
    client says how much of it."""
    lines = offer.quote.line_items
    certain = [line for line in lines if not line.optional]
    options = [line for line in lines if line.optional and line.group is None]
    choices = chain.from_iterable(grouped(lines).values())
    rows = chain(sheet["rows"], sheet["options"], *(one["rows"] for one in sheet["choices"]))
    in_order = chain(certain, options, *(one.lines for one in choices))
    for line, row in zip(in_order, rows, strict=True):
        row["position"] = line.position
        row["field"] = quantity(line, spoken) if offer.state == "open" else None
    return sheet


def quantity(line: QuoteLine, spoken: Language) -> Markup | None:
    """A field for how much, where its owner lets the client choose."""
    if (allowed := range_of(line)) is None:
        return None
    name = f"quantity-{line.position}"
    least, most = spoken.number(allowed.least), f"{spoken.number(allowed.most)} {line.unit}"
    told = WORDS[spoken.locale.language].quantity.format(least=least, most=most.strip())
    field = tag(
        "input",
        type="number",
        inputmode="decimal",
        id=name,
        name=f"quantity[{line.position}]",
        value=str(line.quantity),
        min=str(allowed.least),
        max=str(allowed.most),
        step=str(allowed.step),
        required=True,
        form="accept",
        aria_describedby=f"name-{line.position}",
    )
    return joined(tag("label", told, for_=name), field)


def amounts(sheet: Sheet) -> dict[str, str]:
    """What changes with the quantities, by where it stands on the page."""
    choices = {f"choice-{place(one)}": one["price"] for one in sheet["choices"]}
    for row in chain(sheet["rows"], sheet["options"], *(one["rows"] for one in sheet["choices"])):
        if row["field"]:
            choices[f"amount-{row['position']}"] = row["amount"]
            choices[f"discount-{row['position']}"] = row["discount"] or ""
    return choices


def place(choice: Sheet) -> int:
    """Where a choice begins."""
    position: int = choice["rows"][0]["position"]
    return position


def certain(sheet: Sheet) -> Markup:
    title = tag("h2", sheet["words"]["description"])
    return tag("section", title, listed(sheet["rows"], sheet), class_="work")


def listed(rows: list[Sheet], sheet: Sheet) -> Markup:
    shown = [tag("li", item(row, sheet), price(row), measure(row)) for row in rows]
    return tag("ul", *shown, class_="lines")


def item(row: Sheet, sheet: Sheet) -> Markup:
    """What is done, and how its amount comes about."""
    description, position = row["description"], row["position"]
    tax = f" · {sheet['words']['tax']} {row['tax']}" if sheet["show-tax"] else ""
    count = f"{row['quantity']} {row['unit']}".strip() + f" \u00d7 {row['unit-price']}"
    if row["field"]:
        count = f"{row['unit-price']} / {row['unit']}" if row["unit"] else row["unit-price"]
    discount = tag("span", row["discount"] or "", class_="count", id=f"discount-{position}")
    return tag(
        "div",
        tag("strong", row["name"], id=f"name-{position}"),
        tag("span", paragraphs(description), class_="description") if description else None,
        tag("span", f"{count}{tax}", class_="count"),
        discount if row["discount"] or row["field"] else None,
    )


def price(row: Sheet) -> Markup:
    return tag("span", row["amount"], class_="amount", id=f"amount-{row['position']}")


def measure(row: Sheet) -> Markup | None:
    return tag("div", row["field"], class_="measure") if row["field"] else None


def groups(offer: Offer, sheet: Sheet, spoken: Language) -> list[Markup]:
    """The choices of each group with what each contains; one is taken while the quote is open."""
    found: dict[str, list[Sheet]] = {}
    for one in sheet["choices"]:
        found.setdefault(one["group"], []).append(one)
    draw = asked if offer.state == "open" else settled
    return [draw(title, choices, sheet, spoken) for title, choices in found.items()]


def asked(title: str, choices: list[Sheet], sheet: Sheet, spoken: Language) -> Markup:
    name = f"choice[{place(choices[0])}]"
    shown = [choice(radio(name, one), one, sheet) for one in choices]
    hint = tag("p", WORDS[spoken.locale.language].choose_one, class_="hint")
    return tag("fieldset", tag("legend", title), hint, *shown, class_="work")


def settled(title: str, choices: list[Sheet], sheet: Sheet, _spoken: Language) -> Markup:
    shown = [choice(standing(one), one, sheet) for one in choices]
    return tag("section", tag("h2", title), *shown, class_="work")


def choice(head: Markup, told: Sheet, sheet: Sheet) -> Markup:
    return tag("div", head, listed(told["rows"], sheet), class_="choice")


def radio(name: str, told: Sheet) -> Markup:
    first = place(told)
    button = tag(
        "input", type="radio", name=name, value=first, checked=told["chosen"], form="accept"
    )
    amount = tag("span", told["price"], class_="amount", id=f"choice-{first}")
    return tag("label", button, tag("strong", told["name"]), amount)


def standing(told: Sheet) -> Markup:
    amount = tag("span", told["price"], class_="amount")
    return joined(tag("h3", tag("span", told["name"]), amount), tag("p", state(told)))


def state(told: Sheet) -> Markup:
    return tag("span", told["state"], class_="state taken" if told["chosen"] else "state")


def options(offer: Offer, sheet: Sheet, words: PortalWords) -> Markup | None:
    """Optional lines; boxes to tick while the quote is open."""
    if not sheet["options"]:
        return None
    rows = [tag("li", option(offer, row, sheet)) for row in sheet["options"]]
    title = sheet["words"]["optional-items"]
    listed = tag("ul", *rows, class_="lines options")
    if offer.state != "open":
        return tag("section", tag("h2", title), listed, class_="work")
    hint = tag("p", words.choose, class_="hint")
    return tag("fieldset", tag("legend", title), hint, listed, class_="work")


def option(offer: Offer, row: Sheet, sheet: Sheet) -> Markup:
    if offer.state != "open":
        return joined(tag("div", item(row, sheet), state(row)), price(row))
    box = tag(
        "input",
        type="checkbox",
        name="option",
        value=row["position"],
        checked=row["chosen"],
        form="accept",
    )
    return joined(tag("label", box, item(row, sheet), price(row)), measure(row))

"""HTML as values: whatever is not markup already is escaped, so no text can become a tag."""

import html
from typing import Final

# Without an end tag.
VOID: Final = frozenset({"img", "input", "link", "meta"})


class Markup(str):
    """HTML that is finished."""

    __slots__ = ()


type Inside = Markup | str | None
type Attribute = str | int | bool | None


def tag(name: str, /, *inside: Inside, **attributes: Attribute) -> Markup:
    """An element. `class_` is class and `data_x` data-x; True is the name alone, and what is None
    or False is left out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*inside)}</{name}>")


def joined(*inside: Inside) -> Markup:
    """Parts one after the other; plain text is escaped."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else html.escape(part)
            for part in inside
            if part is not None
        )
    )


def paragraphs(text: str) -> Markup:
    """Text somebody typed, with its line ends."""
    return Markup(html.escape(text.strip()).replace("\n", "<br>\n"))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'

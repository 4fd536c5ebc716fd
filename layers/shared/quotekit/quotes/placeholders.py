"""An account's own words for a mail: {placeholders} are filled in once, and nothing else is read.

A value that holds a placeholder itself is printed as it stands.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

KNOWN: Final = ("client_name", "quote_number", "total", "link", "valid_until", "company_name")
PLACEHOLDER: Final = re.compile(r"\{(" + "|".join(KNOWN) + r")\}")


def checked(text: str) -> str:
    """The text; raises ValueError for a brace that is not part of a known placeholder."""
    rest = PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        known = ", ".join(f"{{{name}}}" for name in KNOWN)
        raise ValueError(f"braces are for these placeholders only: {known}")
    return text


def fill(text: str, values: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
    """The text with its values; `quote` is done to both, as `html.escape` for HTML."""
    return PLACEHOLDER.sub(lambda match: quote(values[match[1]]), quote(text))

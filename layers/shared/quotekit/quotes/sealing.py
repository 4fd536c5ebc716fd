"""The fingerprint of what a sent version says, by which it can be told whether it is still that."""

import hashlib
import json
from dataclasses import asdict
from typing import Any, Final

from pydantic_core import to_jsonable_python

from quotekit.quotes.model import Quote, QuoteLine

# All that a client is shown; cost and markup are not among it, so he may compute it too.
SEALED: Final = (
    *("number", "revision", "currency", "language", "tax_rate", "tax_inclusive", "valid_until"),
    *("subtotal", "discount_amount", "tax_amount", "total", "deposit_amount", "notes", "terms"),
)
SEALED_OF_A_LINE: Final = (
    *("position", "name", "description", "unit", "quantity", "unit_price", "discount_amount"),
    *("line_total", "tax_rate", "optional", "selected"),
)


def sealed(quote: Quote) -> str:
    """What is hashed: JSON with sorted keys, decimals as the strings of the API."""
    said = {name: getattr(quote, name) for name in SEALED}
    said["client"] = asdict(quote.client)
    said["line_items"] = [sealed_line(line) for line in quote.line_items]
    return json.dumps(to_jsonable_python(said), sort_keys=True, ensure_ascii=False)


def sealed_line(line: QuoteLine) -> dict[str, Any]:
    """What not every line has is there where it is: what was sent before it came keeps its hash."""
    said = {name: getattr(line, name) for name in SEALED_OF_A_LINE}
    if line.group is not None:
        said |= {"group": line.group, "choice": line.choice}
    if line.quantity_min is not None:
        said |= {"quantity_min": line.quantity_min, "quantity_max": line.quantity_max}
    return said


def seal(quote: Quote) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(sealed(quote).encode()).hexdigest()

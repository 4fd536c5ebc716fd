"""Whether an item is one that its operation takes, and the text under which it is kept."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from quotekit.batches.model import Operation
from quotekit.errors import Details

NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
UNSTORABLE: Final = "holds what cannot be stored"


class Checker:
    """Checks items of one operation; its model is built once."""

    def __init__(self, operation: Operation) -> None:
        self._item = operation.item
        self._key = operation.key

    def check(self, content: bytes | Mapping[str, Any] | object) -> tuple[str, str | None]:
        """The item as JSON text of what it says, and its key. Raises ValidationError or ValueError.

        Bytes are JSON text; anything else is what JSON was parsed to.
        """
        if isinstance(content, bytes):
            item = self._item.model_validate_json(content)
        else:
            item = self._item.model_validate(content)
        text = item.model_dump_json(exclude_unset=True, by_alias=True)
        if "\\u0000" in text and NUL.search(text):
            raise ValueError(UNSTORABLE)
        return text, None if self._key is None else self._key(item)


def findings(error: ValueError) -> Details:
    """What is wrong, as `{"field", "message"}`; never what was sent."""
    if not isinstance(error, ValidationError):
        return [{"field": "", "message": str(error)}]
    found = error.errors(include_input=False, include_context=False, include_url=False)
    return [{"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in found]


def reason(error: ValueError) -> str:
    """The same in a line."""
    told = (f"{one['field']}: {one['message']}".removeprefix(": ") for one in findings(error))
    return "; ".join(told)

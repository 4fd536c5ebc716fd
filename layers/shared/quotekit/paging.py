"""Keyset paging: a cursor is the last row's place in the order, so a page costs the same at any
depth."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from quotekit.errors import invalid

MOST: Final = 100
# binascii.Error is a ValueError; a cursor of ten thousand brackets is a RecursionError.
UNREADABLE: Final = (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page of a list; `next_cursor` is null on the last."""

    data: Sequence[T]
    next_cursor: str | None


def page[T](rows: Sequence[T], limit: int, place: Callable[[T], tuple[Any, UUID]]) -> Page[T]:
    """A page from a query for `limit + 1` rows; `place` gives a row's sort value and id."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], encode(*place(rows[limit - 1])))


def encode(value: Any, row_id: UUID) -> str:  # noqa: ANN401 - whatever the list is sorted by
    text = json.dumps([str(value), str(row_id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode[T](cursor: str | None, parse: Callable[[str], T]) -> tuple[T, UUID] | tuple[None, None]:
    """The place a cursor stands for. Raises InvalidInputError for one we did not make."""
    if cursor is None:
        return None, None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return parse(value), UUID(row_id)
    except UNREADABLE as error:
        raise invalid("cursor", "is not a cursor of this list") from error


def words(query: str | None) -> str | None:
    """A text query that finds every word by its beginning, for `to_tsquery('simple', …)`."""
    found = re.findall(r"[^\W_]+", query or "")
    return " & ".join(f"{word}:*" for word in found) or None

"""Operations whose effect shows when it happened twice, or not at all."""

from collections.abc import Sequence
from typing import Any, Final

from quotekit import storage
from quotekit.batches.model import Operation, Outcome, Produced, Result, Work
from tests.batching import WRITE_ENTRIES, WRITE_ENTRY, Entry, ItemError, write_entries


def produce(work: Work, items: Sequence[Any]) -> Produced:
    if any(item.fault == "boom" for item in items):
        raise ItemError
    some = items[:20]
    lines = "".join(f"{item.n}\n" for item in some)
    return Produced([Outcome("exported")] * len(some), lines.encode())


def finish(work: Work, parts: Sequence[str], key: str) -> Result:
    whole = b"".join(storage.get("documents", part) for part in parts)
    storage.put("documents", key, whole, "text/plain")
    return Result(key, len(whole), "text/plain")


WRITE_LINES: Final = Operation(
    name="write_lines", item=Entry, produce=produce, finish=finish, milliseconds=5
)
# Thought to be slow: its upload makes many chunks, and they many slices.
WRITE_SLOWLY: Final = Operation(
    name="write_slowly", item=Entry, apply=write_entries, milliseconds=100
)
ALL: Final = (WRITE_ENTRIES, WRITE_ENTRY, WRITE_LINES, WRITE_SLOWLY)

"""Quotes as one file: a part for each slice, put together at the end without being held."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final, Literal
from uuid import UUID

from pydantic_core import to_json

from quotekit import database, storage
from quotekit.batches import spreadsheet
from quotekit.batches.entries import Entry
from quotekit.batches.items import ById, answered, ids_of
from quotekit.batches.model import TARGET, Outcome, Produced, Result, Work
from quotekit.bodies import Body
from quotekit.quotes import repository

LARGEST_PART: Final = 4_194_304  # bytes after which a slice ends
BETWEEN: Final = b",\n"
EXPORTED: Final = Outcome("exported")


class Parameters(Body):
    """`csv`: a row a quote. `json`: the quotes as GET answers them. `zip`: their PDFs."""

    format: Literal["csv", "json", "zip"]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file: the account's own quotes to entries, entries to a part, parts to the file.

    `portion` is how many quotes are read at a time.
    """

    type: str
    portion: int
    entries: Callable[[Work, Sequence[UUID]], Mapping[UUID, Entry]]
    bind: Callable[[Sequence[Entry]], bytes]
    join: Callable[[Iterable[bytes], storage.Writing], None]


def produce(work: Work, items: Sequence[ById]) -> Produced:
    """A part with the first of the quotes: as many as a slice has time and room for."""
    form = format_of(work)
    began = time.monotonic()
    entries: dict[UUID, Entry] = {}
    outcomes: list[Outcome] = []
    for portion in batched(items, form.portion, strict=False):
        found = form.entries(work, ids_of(portion))
        outcomes += answered(portion, dict.fromkeys(found, EXPORTED))
        entries |= {item.id: found[item.id] for item in portion if item.id in found}
        size = sum(len(entry.content) for entry in entries.values())
        if size >= LARGEST_PART or (time.monotonic() - began) * 1000 >= TARGET:
            break
    return Produced(outcomes, form.bind(list(entries.values())))


def finish(work: Work, parts: Sequence[str], key: str) -> Result:
    """Put the parts together under the key, one in memory at a time."""
    form = format_of(work)
    bucket = storage.documents()
    with storage.writing(bucket, key, form.type) as written:
        form.join((storage.get(bucket, part) for part in parts), written)
    return Result(key, written.bytes, form.type)


def format_of(work: Work) -> Format:
    if work.parameters.format != "zip":
        return FORMATS[work.parameters.format]
    from quotekit.batches import archive  # noqa: PLC0415 - printing is heavy, and for this only

    return Format("application/zip", 20, archive.pdfs, archive.bind, archive.join)


def objects(work: Work, ids: Sequence[UUID]) -> dict[UUID, Entry]:
    with database.reading(work.actor) as connection:
        found = repository.get_all(connection, ids)
    return {quote_id: Entry(to_json(one.quote)) for quote_id, one in found.items()}


def bind_objects(entries: Sequence[Entry]) -> bytes:
    return BETWEEN.join(entry.content for entry in entries)


def join_objects(parts: Iterable[bytes], written: storage.Writing) -> None:
    written.write(b"[")
    before = b"\n"
    for part in parts:
        written.write(before + part)
        before = BETWEEN
    written.write(b"\n]\n")


def bind_rows(entries: Sequence[Entry]) -> bytes:
    return b"".join(entry.content for entry in entries)


def join_rows(parts: Iterable[bytes], written: storage.Writing) -> None:
    written.write(spreadsheet.header())
    for part in parts:
        written.write(part)


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format("text/csv; charset=utf-8", 1000, spreadsheet.rows, bind_rows, join_rows),
    "json": Format("application/json", 100, objects, bind_objects, join_objects),
}

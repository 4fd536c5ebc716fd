"""All an account has, as one file: a JSON list for each table, its quotes' PDFs, a manifest."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import IO, Final, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from quotekit import auth, database, storage
from quotekit.batches import archive
from quotekit.batches.model import Outcome, Produced, Result, Work
from quotekit.batches.parts import PDFS, ROW, Part, tables

BETWEEN: Final = b",\n"
EXPORTED: Final = Outcome("exported")
MISSING: Final = Outcome("missing", "There is no such table.")


def produce(work: Work, items: Sequence[Part]) -> Produced:
    """The first of the parts, for who manages the account still. Raises ForbiddenError."""
    part = items[0]
    with database.reading(work.actor) as connection:
        auth.require_manager(connection)
    with database.reading(work.service) as connection:
        known = tables(connection)
        table = known.get("app.quotes" if part.table == PDFS else part.table)
        if table is None:
            return Produced([MISSING], b"")
        asked = {"account": work.account_id, "part": part.part, "of": part.of}
        wanted = "id" if part.table == PDFS else ROW
        query = table.chosen(wanted)
        rows = connection.execute(query, asked | {"hidden": table.hidden}).fetchall()
    found = [row[0] for row in rows]
    if part.table == PDFS:
        entries = list(archive.pdfs(work, found).values())
        content = archive.bind(entries)
    else:
        content = BETWEEN.join(row.encode() for row in found)
    return Produced([EXPORTED], f"{part.table} {len(found)}\n".encode() + content)


def finish(work: Work, parts: Sequence[str], key: str) -> Result:
    """Put the parts together under the key, one in memory at a time."""
    bucket = storage.documents()
    with (
        storage.writing(bucket, key, "application/zip") as written,
        ZipFile(cast("IO[bytes]", written), "w") as file,
    ):
        counts = join(file, (storage.get(bucket, part) for part in parts))
        about = {
            "account_id": str(work.account_id),
            "finished_at": work.now.isoformat(),
            "left_out": "columns that end in _hash: digests of links, tokens and requests",
            "counts": counts,
        }
        archive.put(file, "manifest.json", json.dumps(about, indent=2).encode())
    return Result(key, written.bytes, "application/zip")


def join(file: ZipFile, parts: Iterable[bytes]) -> Counter[str]:
    """Write a list for each table and each PDF by itself; how many rows and PDFs that were."""
    counts, names = Counter[str](), dict[str, int]()
    for name, shares in groupby(map(opened, parts), key=lambda share: share.table):
        if name == PDFS:
            for share in shares:
                counts[name] += share.count
                copy(file, share.content, names)
            continue
        with file.open(entry(f"{name}.json"), "w", force_zip64=True) as listed:
            listed.write(b"[")
            for share in shares:
                before = BETWEEN if counts[name] and share.count else b"\n"
                listed.write(before + share.content)
                counts[name] += share.count
            listed.write(b"\n]\n")
    return counts


@dataclass(frozen=True, slots=True)
class Share:
    """What a part holds."""

    table: str
    count: int
    content: bytes


def opened(part: bytes) -> Share:
    head, _, content = part.partition(b"\n")
    name, _, count = head.decode().partition(" ")
    return Share(name, int(count), content)


def copy(file: ZipFile, content: bytes, names: dict[str, int]) -> None:
    if not content:
        return
    with ZipFile(io.BytesIO(content)) as found:
        for each in found.infolist():
            name = f"quotes/{archive.unique(each.filename, names)}"
            archive.put(file, name, found.read(each))


def entry(name: str) -> ZipInfo:
    info = ZipInfo(name, archive.NO_TIME)
    info.compress_type = ZIP_DEFLATED
    info.external_attr = archive.READABLE
    return info

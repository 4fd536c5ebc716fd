"""Quotes as PDFs in a ZIP: the stored PDF where there is one, printed and stored where not."""

import io
from collections.abc import Iterable, Sequence
from typing import IO, Final, cast
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from quotekit import database, storage
from quotekit.batches.entries import Entry
from quotekit.batches.model import Work
from quotekit.performance import logger
from quotekit.quotes import acceptances, basis, document, printing, repository
from quotekit.quotes.basis import Company
from quotekit.quotes.logos import LogoError
from quotekit.quotes.model import Quote
from quotekit.quotes.printing import Printed, Sheet

NO_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP can say: same quotes, same bytes
READABLE: Final = 0o600 << 16
FASTEST: Final = 1  # halves a tagged PDF; level 6 takes off another twentieth in twice the time


def pdfs(work: Work, ids: Sequence[UUID]) -> dict[UUID, Entry]:
    """The PDFs of the account's quotes among these; a dry run prints none."""
    with database.reading(work.actor) as connection:
        found = repository.get_all(connection, ids)
        company = basis.company(connection)
        watermark = basis.watermark(connection)
        accepted = acceptances.of_quotes(connection, ids)
    if work.dry_run or not found:
        return dict.fromkeys(found, Entry(b""))
    logo = logo_of(company)
    sheets = {
        quote_id: printing.compose(
            one, company, logo=logo, watermark=watermark, accepted=accepted.get(quote_id)
        )
        for quote_id, one in found.items()
    }
    with database.reading(work.actor) as connection:
        known = printing.printed_all(connection, list(sheets.values()))
    return {
        quote_id: Entry(
            stored(known.get(sheet.key)) or printed(work, sheet), name_of(sheet.found.quote)
        )
        for quote_id, sheet in sheets.items()
    }


def logo_of(company: Company) -> bytes | None:
    if company.logo_key is None:
        return None
    try:
        return storage.get(storage.assets(), company.logo_key)
    except FileNotFoundError:
        logger.warning("the logo is gone", key=company.logo_key)
        return None


def stored(known: Printed | None) -> bytes | None:
    """The PDF as it was printed before, unless it is gone."""
    if known is None:
        return None
    try:
        return storage.get(storage.documents(), known.key)
    except FileNotFoundError:
        return None


def printed(work: Work, sheet: Sheet) -> bytes:
    """Print, store and note it, as the PDF's own function does: the next download finds it."""
    try:
        pdf = document.render(sheet.document)
    except LogoError:
        pdf = document.render(printing.without_logo(sheet.document))
    storage.put(storage.documents(), sheet.key, pdf.content, "application/pdf")
    with database.transaction(work.service) as connection:
        printing.keep(connection, sheet, pdf)
    return pdf.content


def name_of(quote: Quote) -> str:
    return f"draft-{quote.id}.pdf" if quote.number is None else printing.filename(quote.number)


def bind(entries: Sequence[Entry]) -> bytes:
    """A ZIP of its own: its entries are taken over at the end."""
    if not entries:
        return b""
    part = io.BytesIO()
    with ZipFile(part, "w") as archive:
        for entry in entries:
            put(archive, entry.name, entry.content)
    return part.getvalue()


def join(parts: Iterable[bytes], written: storage.Writing) -> None:
    names: dict[str, int] = {}
    with ZipFile(cast("IO[bytes]", written), "w") as archive:
        for part in parts:
            with ZipFile(io.BytesIO(part)) as found:
                for entry in found.infolist():
                    put(archive, unique(entry.filename, names), found.read(entry))


def put(archive: ZipFile, name: str, content: bytes) -> None:
    info = ZipInfo(name, NO_TIME)
    info.compress_type = ZIP_DEFLATED
    info.external_attr = READABLE
    archive.writestr(info, content, compresslevel=FASTEST)


def unique(name: str, names: dict[str, int]) -> str:
    """Two numbers may differ in what no file name has; the second gets a count."""
    names[name] = names.get(name, 0) + 1
    if names[name] == 1:
        return name
    return unique(f"{name.removesuffix('.pdf')}-{names[name]}.pdf", names)

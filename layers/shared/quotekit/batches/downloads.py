"""Files for a batch's owner: its result, and all its items as lines of JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import database, storage
from quotekit.batches import outcomes
from quotekit.batches.model import FINAL, Status
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.repository import Result
from quotekit.batches.requests import ItemStatus
from quotekit.database import Actor, Connection
from quotekit.errors import ConflictError, GoneError, NotFoundError
from quotekit.identifiers import new_id
from quotekit.settings import storage_settings

INLINE: Final = 4_000_000  # bytes; an answer of Lambda may have six million
NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Known:
    """What has to be known of a batch before something of it is handed out."""

    operation: str
    status: Status
    dry_run: bool
    retries: int
    result_key: str | None
    result_bytes: int
    result_type: str


KNOWN: Final = """
select operation, status, dry_run, retries, result_key, coalesce(result_bytes, 0) as result_bytes,
    coalesce(result_type, '') as result_type
from app.batch_jobs where account_id = (select auth.account_id()) and id = %(id)s
"""


def known(connection: Connection, job_id: UUID) -> Known:
    """Raises NotFoundError, also for another account's."""
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        found = cursor.execute(KNOWN, {"id": job_id}).fetchone()
    if found is None:
        raise NotFoundError("There is no such batch.")
    return found


def result(actor: Actor, job_id: UUID, *, now: datetime) -> Result:
    """A link to the result. Raises ConflictError while there may be one yet, NotFoundError when
    there is none, GoneError when it was deleted."""
    with database.reading(actor) as connection:
        job = known(connection, job_id)
    key = job.result_key
    if key is None:
        raise without_result(job)
    if not storage.exists(storage.documents(), key):
        raise GoneError("The result was deleted; results are kept for a limited time.")
    extension = EXTENSIONS.get(job.result_type.partition(";")[0], "bin")
    seconds = storage_settings().document_link_seconds
    name = f"{job.operation}.{extension}"
    url = storage.link(storage.documents(), key, seconds=seconds, filename=name)
    return Result(url, now + timedelta(seconds=seconds), job.result_bytes, job.result_type)


EXTENSIONS: Final = {
    "text/csv": "csv",
    "application/json": "json",
    "application/zip": "zip",
    NDJSON: "ndjson",
}


def without_result(job: Known) -> ConflictError | NotFoundError:
    operation = OPERATIONS.get(job.operation)
    if operation is None or operation.finish is None:
        return NotFoundError(f"{job.operation} has no result but what became of each item.")
    if job.dry_run:
        return NotFoundError("A dry run stores no result.")
    if job.status in FINAL:
        return NotFoundError(f"A batch that is {job.status} has no result.")
    return ConflictError(f"The batch is {job.status}; its result comes at its end.")


def items(
    actor: Actor, job_id: UUID, status: ItemStatus | None
) -> tuple[str, None] | tuple[None, str]:
    """All items as NDJSON: the text, or a link when it is too large for an answer."""
    bucket = storage.documents()
    with database.reading(actor) as connection:
        job = known(connection, job_id)
        run = f"{job.retries}" if job.status in FINAL else f"{new_id()}"
        key = f"batches/{job_id}/items/{run}-{status or 'all'}.ndjson"
        if job.status not in FINAL or not storage.exists(bucket, key):
            pieces = outcomes.lines(connection, job_id, status)
            first = beginning(pieces)
            if len(first) <= INLINE:
                return first.decode(), None
            with storage.writing(bucket, key, NDJSON) as written:
                for piece in chain((first,), pieces):
                    written.write(piece)
    seconds = storage_settings().document_link_seconds
    return None, storage.link(bucket, key, seconds=seconds, filename="items.ndjson")


def beginning(pieces: Iterator[bytes]) -> bytes:
    """All there is, or as much as is too large for an answer."""
    text = b""
    for piece in pieces:
        text += piece
        if len(text) > INLINE:
            break
    return text

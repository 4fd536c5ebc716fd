"""Files of items, sent by their owner straight to S3 by a form that expires."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, database, storage
from quotekit.batches.requests import Format, UploadOffer
from quotekit.database import Actor, Connection
from quotekit.errors import ConflictError, PayloadTooLargeError, invalid
from quotekit.identifiers import new_id
from quotekit.settings import batch_settings

FORM_SECONDS: Final = 3600
KEPT: Final = timedelta(days=1)  # as long as a job may still be made of it
TYPES: Final[dict[Format, str]] = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A form to post the file with: its `fields` first, the file last. `id` then names it.

    The form works until `expires_at`, the file may be used until `usable_until`."""

    id: UUID
    url: object
    fields: object
    format: Format
    max_bytes: int
    expires_at: datetime
    usable_until: datetime


INSERT: Final = """
insert into app.batch_uploads (id, format, bytes, key, expires_at)
values (%(id)s, %(format)s, %(bytes)s, %(key)s, %(expires_at)s)
"""


def check(body: UploadOffer) -> None:
    limit = batch_settings().upload_limit
    if body.bytes > limit:
        told = [{"field": "bytes", "message": f"must be {limit:,} at most"}]
        raise PayloadTooLargeError("The file is too large.", told)


def offer(connection: Connection, account_id: UUID, body: UploadOffer, *, now: datetime) -> Upload:
    """Let one file of the announced size be sent. Raises PayloadTooLargeError."""
    check(body)
    upload_id = new_id()
    key = f"uploads/{account_id}/{upload_id}"
    values = body.model_dump() | {"id": upload_id, "key": key, "expires_at": now + KEPT}
    connection.execute(INSERT, values)
    told = {"format": body.format, "bytes": body.bytes}
    audit.record(connection, "batch_upload.offered", upload_id, told)
    form = storage.upload_form(
        storage.documents(),
        key,
        content_type=TYPES[body.format],
        most_bytes=body.bytes,
        seconds=FORM_SECONDS,
    )
    return Upload(
        id=upload_id,
        url=form["url"],
        fields=form["fields"],
        format=body.format,
        max_bytes=body.bytes,
        expires_at=now + timedelta(seconds=FORM_SECONDS),
        usable_until=now + KEPT,
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload somebody wants to use, and the job that uses it already."""

    key: str
    expires_at: datetime
    job_id: UUID | None


FIND: Final = """
select upload.key, upload.expires_at, job.id as job_id
from app.batch_uploads as upload
left join app.batch_jobs as job on job.account_id = upload.account_id and job.upload_id = upload.id
where upload.account_id = (select auth.account_id()) and upload.id = %(id)s
"""


def find(connection: Connection, upload_id: UUID, *, now: datetime) -> Sent:
    """An upload of the caller's. Raises InvalidInputError when there is none he may use."""
    with connection.cursor(row_factory=class_row(Sent)) as cursor:
        found = cursor.execute(FIND, {"id": upload_id}).fetchone()
    if found is None:
        raise invalid("upload", "there is no such upload")
    if found.job_id is None and found.expires_at <= now:
        raise invalid("upload", "has expired; upload the file again")
    return found


def etag(actor: Actor, upload_id: UUID, *, now: datetime) -> str | None:
    """Which content lies there; None when a job uses it, which has it noted.

    Raises InvalidInputError when nothing was uploaded."""
    with database.reading(actor) as connection:
        sent = find(connection, upload_id, now=now)
    if sent.job_id is not None:
        return None
    stored = storage.look(storage.documents(), sent.key)
    if stored is None:
        raise invalid("upload", "nothing was uploaded there yet")
    return stored.etag


def in_use(job_id: UUID | None) -> ConflictError:
    return ConflictError(f"This upload is used by batch {job_id} already.")

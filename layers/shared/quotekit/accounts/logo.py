"""A company's logo: uploaded by the browser straight to S3, then checked and kept here."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from quotekit import audit, auth, storage
from quotekit.accounts.company import Settings
from quotekit.accounts.requests import LogoOffer
from quotekit.database import Connection
from quotekit.errors import invalid
from quotekit.identifiers import new_id
from quotekit.quotes.logos import LogoError, read_logo
from quotekit.settings import storage_settings

MOST_BYTES: Final = 5 * 1024 * 1024
UPLOAD_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class LogoForm:
    """A form to post a file with: its `fields` first, the file last. `key` then confirms it."""

    url: object
    fields: object
    key: str
    expires_at: datetime
    max_bytes: int = MOST_BYTES


def offer(connection: Connection, account_id: UUID, body: LogoOffer, *, now: datetime) -> LogoForm:
    """Let one image be uploaded; it changes nothing before it is accepted.

    Raises ForbiddenError."""
    auth.require_manager(connection)
    key = f"accounts/{account_id}/logo-{new_id()}"
    audit.record(connection, "company_settings.logo_offered", account_id, {"key": key})
    form = storage.upload_form(
        storage.assets(),
        key,
        content_type=body.content_type,
        most_bytes=MOST_BYTES,
        seconds=UPLOAD_SECONDS,
    )
    expires_at = now + timedelta(seconds=UPLOAD_SECONDS)
    return LogoForm(form["url"], form["fields"], key, expires_at)


def accept(account_id: UUID, key: str) -> str:
    """Check what was uploaded and keep a copy that its form cannot overwrite; the copy's key.

    Raises InvalidInputError for another account's key and for what is not an image."""
    if not re.fullmatch(rf"accounts/{account_id}/logo-[0-9a-f-]{{36}}", key):
        raise invalid("key", "is not an upload of this account")
    try:
        content = storage.get(storage.assets(), key)
    except FileNotFoundError as error:
        raise invalid("key", "nothing was uploaded there") from error
    if len(content) > MOST_BYTES:
        raise invalid("key", f"the image has more than {MOST_BYTES} bytes")
    try:
        image = read_logo(content)
    except LogoError as error:
        raise invalid("key", str(error)) from error
    kept = f"accounts/{account_id}/logos/{new_id()}"
    storage.put(storage.assets(), kept, content, image.media_type)
    return kept


def linked(settings: Settings) -> Settings:
    """With an address at which the logo can be seen for a short time."""
    if settings.logo_key is None:
        return settings
    seconds = storage_settings().document_link_seconds
    url = storage.link(storage.assets(), settings.logo_key, seconds=seconds, filename="logo")
    return replace(settings, logo_url=url)

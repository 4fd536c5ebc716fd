"""Opens of mails, as far as a picture in them tells; only where their account asks for it.

An open is a request for the picture, and a hint at most: mail programs ask ahead of their readers,
and others show no pictures. So it never makes a quote `viewed`. Who asked is not kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from quotekit.database import Connection

TOKEN_BYTES: Final = 32
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
COUNTED_FOR: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of one mail's own; only the hash of its token is kept beside the mail."""

    address: str
    token_hash: bytes


def picture(portal_url: str) -> Picture:
    """A new one, on the client's page's host."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return Picture(f"{portal_url.rstrip('/')}/mails/{token}/opened.gif", _digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


INSERT: Final = """
insert into app.mail_opens (mail_id, token_hash) values (%(mail_id)s, %(token_hash)s)
"""


def insert(connection: Connection, mail_id: UUID, token_hash: bytes) -> None:
    connection.execute(INSERT, {"mail_id": mail_id, "token_hash": token_hash})


# Requests at once wait for the row one after the other, perhaps not in the order of their clocks.
COUNT: Final = """
update app.mail_opens as opened
set opens = opened.opens + 1,
    first_opened_at = least(opened.first_opened_at, %(now)s),
    last_opened_at = greatest(opened.last_opened_at, %(now)s)
from app.company_settings as settings
where opened.token_hash = %(token_hash)s and opened.created_at > %(since)s
  and settings.account_id = opened.account_id and settings.track_opens
"""


def count(connection: Connection, token: str, now: datetime) -> None:
    """Count an open, for the service; nothing where the token is unknown or too old, or its
    account does not ask any more."""
    values = {"token_hash": _digest(token), "now": now, "since": now - COUNTED_FOR}
    connection.execute(COUNT, values)

"""The address of a client's page: unguessable, kept only as a hash, revocable, expiring."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, GoneError, NotFoundError
from quotekit.quotes import lifecycle, repository

TOKEN_BYTES: Final = 32
OUTLIVES: Final = timedelta(days=90)  # past the quote's expiry, so that its client sees why


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """An address, told once."""

    link: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """Where a token leads."""

    account_id: UUID
    quote_id: UUID
    expires_at: datetime
    revoked_at: datetime | None


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def make(connection: Connection, quote_id: UUID, portal_url: str, expires_at: datetime) -> str:
    """A new address of a quote that expires then."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    lifecycle.insert_link(connection, quote_id, digest(token), expires_at + OUTLIVES)
    return address(portal_url, token)


def address(portal_url: str, token: str) -> str:
    return f"{portal_url.rstrip('/')}/{token}"


def renew(connection: Connection, quote_id: UUID, portal_url: str, now: datetime) -> IssuedLink:
    """A new address in place of all others. Raises ConflictError for what was never sent."""
    quote = repository.get(connection, quote_id, lock=True).quote
    if quote.expires_at is None:
        raise ConflictError("A quote that was not sent has no page.")
    revoked = lifecycle.revoke_links(connection, quote_id)
    expires_at = max(quote.expires_at, now)
    link = make(connection, quote_id, portal_url, expires_at)
    audit.record(connection, "quote.link_renewed", quote_id, {"revoked": revoked})
    return IssuedLink(link, expires_at + OUTLIVES)


def revoke(connection: Connection, quote_id: UUID) -> None:
    """Close every address of a quote; there need not be one."""
    repository.get(connection, quote_id, lock=True)
    revoked = lifecycle.revoke_links(connection, quote_id)
    audit.record(connection, "quote.link_revoked", quote_id, {"revoked": revoked})


FIND: Final = """
select account_id, quote_id, expires_at, revoked_at
from app.quote_links where token_hash = %(hash)s
"""


def find(connection: Connection, token: str) -> Link | None:
    """Where a token leads, for the service. The index compares hashes, so that the time it takes
    tells nothing of a token."""
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(FIND, {"hash": digest(token)}).fetchone()


def require_open(link: Link | None, now: datetime) -> Link:
    """Raises NotFoundError for no link, GoneError for one that was revoked or is too old."""
    if link is None:
        raise NotFoundError("There is no such page.")
    if link.revoked_at is not None or link.expires_at <= now:
        raise GoneError("This link does not work any more.")
    return link

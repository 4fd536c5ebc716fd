"""An `Idempotency-Key` makes a POST safe to repeat: its answer is kept in the transaction that
earned it.

Same key and same request: the kept answer. Same key, another request: 409. Still running: 409 with
Retry-After. A request that failed keeps nothing, so it may be tried again. Keys live 24 hours.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.errors import ConflictError, StillRunningError, invalid

LONGEST_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class Request:
    """One POST that carries a key."""

    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the status and the JSON text."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Kept:
    running: bool
    request_hash: bytes | None
    status: int | None
    body: str | None


def request(key: str, *, method: str, path: str, body: str) -> Request:
    """The request under its key; the digest covers method, path and the body's exact text."""
    check(key)
    return Request(key, hashlib.sha256(f"{method} {path}\n{body}".encode()).digest())


def check(key: str) -> None:
    if not (key.isascii() and key.isprintable()) or not 0 < len(key) <= LONGEST_KEY:
        raise invalid("Idempotency-Key", f"must be 1 to {LONGEST_KEY} printable characters")


# The lock lasts as long as the transaction: whoever does not get it has found a twin at work.
RECALL: Final = """
select not pg_try_advisory_xact_lock(
           hashtextextended((select auth.account_id())::text || ' ' || %(key)s, 0)) as running,
       kept.request_hash, kept.status, kept.body
from (select 1) as one
left join app.idempotency_keys as kept
    on kept.account_id = (select auth.account_id()) and kept.key = %(key)s
    and kept.expires_at > now()
"""


def recall(connection: Connection, request: Request) -> Answer | None:
    """The answer this request already got. Raises ConflictError or StillRunningError."""
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        (kept,) = cursor.execute(RECALL, {"key": request.key})
    if kept.status is not None and kept.body is not None:
        if kept.request_hash != request.digest:
            raise ConflictError("This Idempotency-Key was used for another request.")
        return Answer(kept.status, kept.body)
    if kept.running:
        raise StillRunningError
    return None


KEEP: Final = """
insert into app.idempotency_keys (key, request_hash, status, body)
values (%(key)s, %(digest)s, %(status)s, %(body)s)
on conflict (account_id, key) do nothing
returning key
"""
FORGET_EXPIRED: Final = """
delete from app.idempotency_keys
where account_id = (select auth.account_id()) and key = %(key)s and expires_at <= now()
"""


def keep(connection: Connection, request: Request, answer: Answer) -> None:
    """Keep the answer. Raises StillRunningError when a twin finished between our look and our
    lock."""
    values = {
        "key": request.key,
        "digest": request.digest,
        "status": answer.status,
        "body": answer.body,
    }
    if connection.execute(KEEP, values).fetchone() is None:
        connection.execute(FORGET_EXPIRED, {"key": request.key})
        if connection.execute(KEEP, values).fetchone() is None:
            raise StillRunningError

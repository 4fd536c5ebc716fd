"""The receipt of an erasure: what was deleted, what could not be, and a digest of both."""

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import mail, paging
from quotekit.database import Connection
from quotekit.operations.erasure.model import Open
from quotekit.operations.erasure.requests import Listing

# What no erasure reaches, and what becomes of it.
LEFT: Final = {
    "mails": "What was handed to the mail service is with its recipients.",
    "stripe": "Customers, invoices and payments stay at Stripe; what it tells of them is dropped.",
    "backups": "Backups of the database hold it until they expire.",
    "logs": "Logs of functions, API and buckets hold ids until they expire.",
    "queues": "Messages on queues, and the large ones of them in claims/, are gone in 22 days.",
    "unfinished_uploads": "Uploads to S3 that were never finished are gone in a day.",
    "unnamed": "Rows about Stripe that name neither the account nor its customer cannot be found.",
    "digests": "SHA-256 of the account's id, of those at Stripe and of its endpoints are kept, so "
    "that nothing of it comes back.",
    "counts": "Counts of webhooks by hour and day stay; they name nobody.",
}
MAKE: Final = """
update ops.erasures
set receipt = %(receipt)s, receipt_sha256 = %(sha256)s, finished_at = %(now)s
where id = %(id)s and receipt is null
"""
COUNTS: Final = """
select deleted_rows, deleted_objects from ops.erasures where id = %(id)s for update
"""


def make(connection: Connection, erasure: Open, now: datetime) -> None:
    """Write down what was deleted, once nothing is left."""
    counts = connection.execute(COUNTS, {"id": erasure.id}).fetchone() or ({}, {})
    moments = {
        "requested_at": erasure.requested_at,
        "due_at": erasure.due_at,
        "begun_at": erasure.begun_at,
        "emptied_at": erasure.emptied_at,
        "finished_at": now,
    }
    receipt = {
        "erasure": str(erasure.id),
        "account_sha256": erasure.account_sha256,
        **{name: moment and moment.isoformat() for name, moment in moments.items()},
        "rows": counts[0],
        "objects": counts[1],
        "secrets": len(erasure.known.endpoints),
        "not_erased": LEFT,
    }
    values = {"receipt": Jsonb(receipt), "sha256": digest(receipt)}
    connection.execute(MAKE, values | {"id": erasure.id, "now": now})


def canonical(receipt: Mapping[str, Any]) -> str:
    """The text a digest is of: JSON in UTF-8, keys sorted, no blanks."""
    return json.dumps(receipt, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(receipt: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(receipt).encode()).hexdigest()


SUBJECT: Final = "Your account was erased"
SAID: Final = """The account {account} was erased, as its owner asked on {asked}.

This is the receipt. The SHA-256 of its text, the last line below, is
{sha256}
"""


def letter(erasure: Open, recipient: str) -> EmailMessage:
    """The receipt as a mail."""
    asked = f"{erasure.requested_at:%Y-%m-%d}"
    text = SAID.format(account=erasure.account_id, asked=asked, sha256=erasure.receipt_sha256)
    text += f"\n{canonical(erasure.receipt or {})}\n"
    return mail.compose(
        sender_name="QuoteKit",
        reply_to=None,
        recipient=recipient,
        subject=SUBJECT,
        text=text,
        html=f"<pre>{html.escape(text)}</pre>",
        message_id=str(erasure.id),
    )


DONE: Final = """
update ops.erasures
set status = 'done', mailed_at = %(mailed_at)s, mail_reason = %(reason)s, account_id = null,
    requested_by = null, recipient = null, leads = null, noted = '{}'
where id = %(id)s
"""


def finish(
    connection: Connection, erasure: Open, *, mailed_at: datetime | None, reason: str | None
) -> None:
    """Forget whose account it was, and who was told."""
    values = {"id": erasure.id, "mailed_at": mailed_at, "reason": reason}
    connection.execute(DONE, values)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An erasure that is done. `receipt_sha256` is of `receipt` as JSON with sorted keys and no
    blanks; `mail_reason` says why it was not mailed."""

    id: UUID
    account_sha256: str
    finished_at: datetime
    receipt: Mapping[str, Any]
    receipt_sha256: str
    mailed_at: datetime | None
    mail_reason: str | None


LIST: Final = """
select id, account_sha256, finished_at, receipt, receipt_sha256, mailed_at, mail_reason
from ops.erasures
where finished_at is not null
  and (%(account)s::text is null or account_sha256 = %(account)s)
  and (%(after)s::timestamptz is null or (finished_at, id) < (%(after)s, %(id)s))
order by finished_at desc, id desc limit %(limit)s
"""


def page(connection: Connection, query: Listing) -> paging.Page[Receipt]:
    """The receipts, the newest first; for operators."""
    after, row_id = paging.decode(query.cursor, datetime.fromisoformat)
    values = {"after": after, "id": row_id, "limit": query.limit + 1}
    account = {"account": query.account_sha256}
    with connection.cursor(row_factory=class_row(Receipt)) as cursor:
        rows = cursor.execute(LIST, values | account).fetchall()
    return paging.page(rows, query.limit, lambda row: (row.finished_at, row.id))

"""The mails of a quote: to whom each went, what became of it, and whether it seems opened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.paging import Page, decode, page
from quotekit.quotes import repository


@dataclass(frozen=True, slots=True)
class QuoteMail:
    """One mail about a quote; `reason` says why it did not go.

    `opens` counts the requests for its picture while `track_opens` was on, for 90 days after it
    was written. It is a hint: mail programs ask for pictures ahead of their readers or not at all,
    so neither does an open show a reader nor none that there was none. It never sets the quote's
    `viewed`. Null where the mail has no picture, as `opens_reason` then says."""

    id: UUID
    recipient: str
    subject: str
    status: Literal["queued", "sent", "failed"]
    reason: str | None
    created_at: datetime
    sent_at: datetime | None
    opens: int | None
    opens_reason: Literal["not tracked"] | None
    first_opened_at: datetime | None
    last_opened_at: datetime | None


LIST: Final = """
select mail.id, mail.recipient, mail.subject, mail.status, mail.reason, mail.created_at,
    mail.sent_at, opened.opens, opened.first_opened_at, opened.last_opened_at,
    case when opened.mail_id is null then 'not tracked' end as opens_reason
from app.mails as mail
left join app.mail_opens as opened
    on opened.account_id = mail.account_id and opened.mail_id = mail.id
where mail.account_id = (select auth.account_id()) and mail.quote_id = %(quote_id)s
  and (%(at)s::timestamptz is null or (mail.created_at, mail.id) < (%(at)s, %(after)s))
order by mail.created_at desc, mail.id desc limit %(limit)s + 1
"""


def list_mails(
    connection: Connection, quote_id: UUID, limit: int, cursor: str | None
) -> Page[QuoteMail]:
    """The mails about a quote of the caller's, the newest first. Raises NotFoundError."""
    repository.get(connection, quote_id)
    at, after = decode(cursor, datetime.fromisoformat)
    values = {"quote_id": quote_id, "at": at, "after": after, "limit": limit}
    with connection.cursor(row_factory=class_row(QuoteMail)) as rows:
        found = rows.execute(LIST, values).fetchall()
    return page(found, limit, lambda one: (one.created_at, one.id))

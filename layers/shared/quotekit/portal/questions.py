"""Questions of clients, stored where their contractor finds them."""

from datetime import datetime
from ipaddress import ip_address
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.errors import RateLimitedError
from quotekit.identifiers import new_id
from quotekit.paging import Page, decode, page
from quotekit.portal.model import AskedQuestion
from quotekit.quotes import repository

MOST_A_DAY: Final = 20  # each is a mail to the contractor

# The quote's row is locked, so that questions asked at once are counted one after the other.
INSERT: Final = """
insert into app.quote_questions (id, quote_id, question, source_ip)
select %(id)s, %(quote_id)s, %(question)s, %(source_ip)s
where (
    select count(*) from app.quote_questions
    where account_id = (select auth.account_id()) and quote_id = %(quote_id)s
      and asked_at > now() - interval '1 day') < %(most)s
returning id
"""


def insert(connection: Connection, quote_id: UUID, question: str, source_ip: str) -> UUID:
    """Keep a question about a locked quote. Raises RateLimitedError."""
    values = {
        "id": new_id(),
        "quote_id": quote_id,
        "question": question,
        "source_ip": ip_address(source_ip),
        "most": MOST_A_DAY,
    }
    row = connection.execute(INSERT, values).fetchone()
    if row is None:
        raise RateLimitedError("This quote was asked about too often today.")
    asked: UUID = row[0]
    return asked


LIST: Final = """
select id, question, asked_at from app.quote_questions
where account_id = (select auth.account_id()) and quote_id = %(quote_id)s
  and (%(at)s::timestamptz is null or (asked_at, id) < (%(at)s, %(after)s))
order by asked_at desc, id desc limit %(limit)s + 1
"""


def list_questions(
    connection: Connection, quote_id: UUID, limit: int, cursor: str | None
) -> Page[AskedQuestion]:
    """What the client of a quote of the caller's asked, the newest first. Raises NotFoundError."""
    repository.get(connection, quote_id)
    at, after = decode(cursor, datetime.fromisoformat)
    values = {"quote_id": quote_id, "at": at, "after": after, "limit": limit}
    with connection.cursor(row_factory=class_row(AskedQuestion)) as rows:
        found = rows.execute(LIST, values).fetchall()
    return page(found, limit, lambda one: (one.asked_at, one.id))

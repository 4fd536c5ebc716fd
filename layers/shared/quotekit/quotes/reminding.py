"""Reminders: a client who has a quote by mail and has not answered is asked again, in daylight."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, outbox
from quotekit.database import Actor, Connection
from quotekit.mails import repository as mails
from quotekit.outbox import Promise
from quotekit.quotes import basis, links, repository, sending

# A day's reminder that is two days late is not sent any more: whoever switches reminders on does
# not write to everybody of the last three months.
DUE: Final[LiteralString] = """
select quote.id, quote.account_id, reached.day
from app.quotes as quote
left join app.company_settings as settings on settings.account_id = quote.account_id
cross join lateral (
    select max(day) as day
    from unnest(coalesce(settings.reminder_days, array[2, 5]::smallint[])) as day
    where %(now)s >= quote.sent_at + day * interval '1 day'
      and %(now)s < quote.sent_at + (day + 2) * interval '1 day'
) as reached
where quote.status in ('sent', 'viewed') and reached.day is not null
  and quote.sent_at > %(now)s::timestamptz - interval '92 days' and quote.expires_at > %(now)s
  and extract(hour from %(now)s::timestamptz
      at time zone coalesce(settings.time_zone, 'UTC')) between 8 and 17
  and not exists (select from app.quote_reminders as earlier
      where earlier.account_id = quote.account_id and earlier.quote_id = quote.id
        and earlier.day >= reached.day)
  and exists (select from app.mails as mail
      where mail.account_id = quote.account_id and mail.quote_id = quote.id
        and mail.status = 'sent')
"""
ALL_DUE: Final[LiteralString] = DUE + " order by quote.sent_at limit %(limit)s"
STILL_DUE: Final[LiteralString] = (
    DUE
    + " and quote.account_id = %(account_id)s and quote.id = %(id)s for update of quote skip locked"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A quote whose client is to be reminded, on which day after it was sent."""

    id: UUID
    account_id: UUID
    day: int

    @property
    def actor(self) -> Actor:
        """The house, with the account's claims."""
        claims = {"role": "service_role", "account_id": str(self.account_id)}
        return Actor("service_role", claims)


def due(connection: Connection, *, now: datetime, limit: int) -> list[Waiting]:
    """Who waits in all accounts, for the service."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(ALL_DUE, {"now": now, "limit": limit}).fetchall()


KEEP: Final = """
insert into app.quote_reminders (account_id, quote_id, day, mail_id)
values (%(account_id)s, %(id)s, %(day)s, %(mail_id)s)
"""


def remind(
    connection: Connection, waiting: Waiting, *, portal_url: str, now: datetime
) -> list[Promise]:
    """Promise the mail, as the actor of what waits; nothing where that was answered meanwhile.

    Raises UniqueViolation when another run was first."""
    values = {"id": waiting.id, "account_id": waiting.account_id, "now": now}
    if connection.execute(STILL_DUE, values).fetchone() is None:
        return []
    found = repository.get(connection, waiting.id)
    expires_at = found.quote.expires_at
    if found.quote.client.email is None or expires_at is None:
        return []
    link = links.make(connection, waiting.id, portal_url, expires_at)
    company = basis.company(connection)
    letter = sending.mail(connection, found, company, link, portal_url=portal_url, kind="reminder")
    mail_id = mails.insert(connection, letter)
    connection.execute(KEEP, values | {"day": waiting.day, "mail_id": mail_id})
    details = {"day": waiting.day, "recipient": letter.recipient}
    audit.record(connection, "quote.reminded", waiting.id, details)
    payload = {"account_id": str(waiting.account_id), "mail_id": str(mail_id)}
    return [outbox.promise(connection, "mail", payload)]

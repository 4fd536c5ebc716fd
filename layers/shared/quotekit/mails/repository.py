"""Mails in PostgreSQL. A worker leases the mail it sends, so that its twin does not send it too."""

from dataclasses import asdict
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.identifiers import new_id
from quotekit.mails import opens
from quotekit.mails.model import Mail, NewMail

INSERT: Final = """
insert into app.mails (id, quote_id, version_id, recipient, reply_to, sender_name, subject,
    text_body,
    html_body, attachment_name)
values (%(id)s, %(quote_id)s, %(version_id)s, %(recipient)s, %(reply_to)s, %(sender_name)s,
    %(subject)s,
    %(text_body)s, %(html_body)s, %(attachment_name)s)
"""


def insert(connection: Connection, mail: NewMail) -> UUID:
    mail_id = new_id()
    connection.execute(INSERT, {"id": mail_id, **asdict(mail)})
    if mail.picture_hash is not None:
        opens.insert(connection, mail_id, mail.picture_hash)
    return mail_id


LEASE: Final = """
with mail as (
    select * from app.mails where account_id = %(account_id)s and id = %(id)s for update
), lease as (
    update app.mails as leased
    set leased_until = now() + %(seconds)s * interval '1 second', attempts = leased.attempts + 1
    from mail
    where leased.id = mail.id and mail.status = 'queued'
      and (mail.leased_until is null or mail.leased_until < now())
    returning leased.id
)
select id, account_id, quote_id, version_id, recipient, reply_to, sender_name, subject, text_body,
    html_body, attachment_name, status, attempts, exists (select from lease) as leased, reason,
    exists (select from app.quote_reminders as reminder
        join app.quotes as quote
            on quote.account_id = reminder.account_id and quote.id = reminder.quote_id
        where reminder.account_id = mail.account_id and reminder.mail_id = mail.id
          and quote.status not in ('sent', 'viewed')) as overtaken
from mail
"""


def lease(connection: Connection, account_id: UUID, mail_id: UUID, *, seconds: int) -> Mail:
    """The mail, and whether it is ours to send now. Raises NotFoundError."""
    values = {"account_id": account_id, "id": mail_id, "seconds": seconds}
    with connection.cursor(row_factory=class_row(Mail)) as cursor:
        mail = cursor.execute(LEASE, values).fetchone()
    if mail is None:
        raise NotFoundError("There is no such mail.")
    return mail


MARK_SENT: Final = """
update app.mails
set status = 'sent', sent_at = now(), leased_until = null, reason = null, provider_id =
    %(provider_id)s,
    attachment = %(attachment)s,
    text_body = case when confidential then '' else text_body end,
    html_body = case when confidential then '' else html_body end
where id = %(id)s
"""


def mark_sent(connection: Connection, mail_id: UUID, provider_id: str, attachment: str) -> None:
    values = {"id": mail_id, "provider_id": provider_id, "attachment": attachment}
    connection.execute(MARK_SENT, values)


GIVE_BACK: Final = """
update app.mails
set status = case when %(final)s then 'failed' else status end, leased_until = null, reason =
    %(reason)s,
    text_body = case when confidential and %(final)s then '' else text_body end,
    html_body = case when confidential and %(final)s then '' else html_body end
where id = %(id)s and status = 'queued'
"""


def give_back(connection: Connection, mail_id: UUID, reason: str, *, final: bool) -> None:
    """Note why a mail did not go; `final` when it never will."""
    connection.execute(GIVE_BACK, {"id": mail_id, "reason": reason[:2000], "final": final})

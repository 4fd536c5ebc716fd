"""Invitations: asked by mail, accepted with the token that only the mail holds."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from quotekit import audit, auth, outbox, paging
from quotekit.accounts import letters
from quotekit.accounts.account import Membership, listed
from quotekit.accounts.requests import Granted, InvitationCreate, Listing
from quotekit.auth import Principal
from quotekit.database import Connection
from quotekit.environment import AccountSettings
from quotekit.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    RateLimitedError,
)
from quotekit.identifiers import new_id
from quotekit.outbox import Promise

TOKEN_BYTES: Final = 32
MOST_A_DAY: Final = 50  # mails of an account to people who did not ask for them


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who was asked to join; it can be accepted until `expires_at`, unless it was revoked."""

    id: UUID
    email: str
    role: Granted
    invited_by: UUID
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


COLUMNS: Final = """id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at"""
LIST: Final = f"""
select {COLUMNS} from app.invitations
where account_id = (select auth.account_id())
  and (%(after)s::timestamptz is null or (created_at, id) < (%(after)s, %(id)s))
order by created_at desc, id desc limit %(limit)s
"""


def page(connection: Connection, query: Listing) -> paging.Page[Invitation]:
    """The account's invitations, the newest first, for who manages it. Raises ForbiddenError."""
    auth.require_manager(connection)
    rows = listed(connection, LIST, Invitation, query)
    return paging.page(rows, query.limit, lambda row: (row.created_at, row.id))


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@dataclass(slots=True)
class Inviting:
    """One call to invite; `promises` are for the outbox to deliver after the commit."""

    now: datetime
    promises: list[Promise] = field(default_factory=list)

    def invite(self, connection: Connection, body: InvitationCreate) -> Invitation:
        """Ask somebody to join. Raises ForbiddenError, ConflictError or RateLimitedError."""
        auth.require_manager(connection)
        self.check(connection, body)
        token, values = self.secret()
        values |= {"id": new_id(), "email": body.email, "role": body.role, "now": self.now}
        connection.execute(LAPSE, values)
        try:
            invitation = one(connection, INSERT, values)
        except UniqueViolation as error:
            raise ConflictError("This address is invited already; send that one again.") from error
        self.mail(connection, invitation, token)
        about = {"email": invitation.email, "role": invitation.role}
        audit.record(connection, "invitation.created", invitation.id, about)
        return invitation

    def resend(self, connection: Connection, invitation_id: UUID) -> Invitation:
        """Mail an open invitation again; the link that was mailed before works no more."""
        auth.require_manager(connection)
        self.check_rate(connection)
        token, values = self.secret()
        invitation = one(connection, RENEW, values | {"id": invitation_id})
        self.mail(connection, invitation, token)
        audit.record(connection, "invitation.resent", invitation.id)
        return invitation

    def secret(self) -> tuple[str, dict[str, Any]]:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        expires_at = self.now + timedelta(days=AccountSettings.invitation_days)
        return token, {"digest": digest(token), "expires_at": expires_at}

    def check(self, connection: Connection, body: InvitationCreate) -> None:
        if connection.execute(BELONGS, {"email": body.email}).fetchone():
            raise ConflictError("Whoever has this address is a member already.")
        self.check_rate(connection)

    def check_rate(self, connection: Connection) -> None:
        connection.defer(LOCK, ())
        (sent,) = connection.execute(SENT).fetchone() or (0,)
        if sent >= MOST_A_DAY:
            raise RateLimitedError(f"An account sends {MOST_A_DAY} invitations a day at most.")

    def mail(self, connection: Connection, invitation: Invitation, token: str) -> None:
        account_id, name, language = connection.execute(SENDER).fetchone() or ("", "", "en")
        link = f"{AccountSettings.invitation_url}#{token}"
        letter = letters.invitation(name, link, invitation.expires_at, language)
        values = {"id": new_id(), "recipient": invitation.email, "name": letter.sender}
        said = {"subject": letter.subject, "text": letter.text, "html": letter.html}
        connection.execute(MAIL, values | said)
        payload = {"account_id": str(account_id), "mail_id": str(values["id"])}
        self.promises.append(outbox.promise(connection, "mail", payload))


BELONGS: Final = """
select from app.members
where account_id = (select auth.account_id()) and lower(email) = lower(%(email)s)
"""
# Two at once would else both find room for the last one.
LOCK: Final = """
select pg_advisory_xact_lock(hashtextextended(
    'invitations ' || (select auth.account_id())::text, 0))
"""
SENT: Final = """
select count(*) from app.mails
where account_id = (select auth.account_id()) and confidential
  and created_at > now() - interval '1 day'
"""
LAPSE: Final = """
update app.invitations set revoked_at = %(now)s
where account_id = (select auth.account_id()) and lower(email) = lower(%(email)s)
  and accepted_at is null and revoked_at is null and expires_at <= %(now)s
"""
INSERT: Final = f"""
insert into app.invitations (id, email, role, token_hash, expires_at)
values (%(id)s, %(email)s, %(role)s, %(digest)s, %(expires_at)s)
returning {COLUMNS}
"""
RENEW: Final = f"""
update app.invitations set token_hash = %(digest)s, expires_at = %(expires_at)s
where account_id = (select auth.account_id()) and id = %(id)s
  and accepted_at is null and revoked_at is null
returning {COLUMNS}
"""
SENDER: Final = """
select account.id, coalesce(nullif(company.company_name, ''), account.name),
    coalesce(company.language, 'en')
from app.accounts as account
left join app.company_settings as company on company.account_id = account.id
where account.id = (select auth.account_id())
"""
MAIL: Final = """
insert into app.mails (id, recipient, sender_name, subject, text_body, html_body, confidential)
values (%(id)s, %(recipient)s, %(name)s, %(subject)s, %(text)s, %(html)s, true)
"""
REVOKE: Final = f"""
update app.invitations set revoked_at = now()
where account_id = (select auth.account_id()) and id = %(id)s
  and accepted_at is null and revoked_at is null
returning {COLUMNS}
"""


def revoke(connection: Connection, invitation_id: UUID) -> None:
    """Let an open invitation lead nowhere. Raises ForbiddenError or NotFoundError."""
    auth.require_manager(connection)
    one(connection, REVOKE, {"id": invitation_id})
    audit.record(connection, "invitation.revoked", invitation_id)


def one(connection: Connection, statement: Any, values: dict[str, Any]) -> Invitation:  # noqa: ANN401 - a constant
    with connection.cursor(row_factory=class_row(Invitation)) as cursor:
        found = cursor.execute(statement, values).fetchone()
    if found is None:
        raise NotFoundError("There is no such open invitation.")
    return found


HOLD: Final = """
select id, account_id, email, role, expires_at, accepted_by, revoked_at
from app.invitations where token_hash = %(digest)s for update
"""
JOIN: Final = """
with accepted as (
    update app.invitations set accepted_at = %(now)s, accepted_by = (select auth.uid())
    where id = %(id)s
)
insert into app.members (account_id, user_id, role, email)
select account_id, (select auth.uid()), role, email from app.invitations where id = %(id)s
on conflict (account_id, user_id) do nothing
returning user_id
"""
JOINED: Final = """
select account.id as account_id, account.name, member.role, member.created_at as joined_at
from app.members as member join app.accounts as account on account.id = member.account_id
where member.account_id = %(account_id)s and member.user_id = (select auth.uid())
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What decides whether an invitation can be accepted."""

    id: UUID
    account_id: UUID
    email: str
    role: Granted
    expires_at: datetime
    accepted_by: UUID | None
    revoked_at: datetime | None


def accept(connection: Connection, by: Principal, token: str, *, now: datetime) -> Membership:
    """Join the account; accepted twice by the same person it says the same again.

    Raises NotFoundError, GoneError, ForbiddenError for another's verified address, and
    ConflictError for who is a member already."""
    with connection.cursor(row_factory=class_row(Held)) as cursor:
        held = cursor.execute(HOLD, {"digest": digest(token)}).fetchone()
    if held is None:
        raise NotFoundError("There is no such invitation.")
    if held.accepted_by != by.user_id:
        check(held, by, now)
        if connection.execute(JOIN, {"id": held.id, "now": now}).fetchone() is None:
            raise ConflictError("You are a member of this account already.")
        about = {"role": held.role, "invitation": str(held.id)}
        audit.record_for(connection, held.account_id, "member.joined", by.user_id, about)
    with connection.cursor(row_factory=class_row(Membership)) as cursor:
        joined = cursor.execute(JOINED, {"account_id": held.account_id}).fetchone()
    if joined is None:
        raise GoneError("Whoever accepted this invitation left the account again.")
    return joined


def check(held: Held, by: Principal, now: datetime) -> None:
    if held.accepted_by is not None or held.revoked_at is not None or held.expires_at <= now:
        raise GoneError("This invitation was used, revoked or expired; ask for another.")
    if by.email is not None and by.email.lower() != held.email.lower():
        raise ForbiddenError("This invitation went to another address.")

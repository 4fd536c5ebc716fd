"""An owner asks for the erasure of his account, looks at it, takes it back as long as it waits."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from quotekit import audit, auth
from quotekit.auth import Principal
from quotekit.database import Actor, Connection
from quotekit.environment import ErasureSettings
from quotekit.errors import ConflictError, NotFoundError, invalid
from quotekit.identifiers import new_id
from quotekit.operations.erasure.requests import ErasureRequest

PAID_FOR: Final = "A subscription at Stripe is running; cancel it first."


@dataclass(frozen=True, slots=True)
class Erasure:
    """Until `due_at` it can be taken back. `receipt_to` is null when no address of the owner is
    known; `reason` says why it waits although it is due."""

    status: Literal["waiting", "erasing"]
    requested_at: datetime
    due_at: datetime
    receipt_to: str | None
    reason: str | None


HOLD: Final = """
select account.name, coalesce(company.company_name, '') as company_name, company.email,
    (select email from app.members
     where account_id = account.id and user_id = (select auth.uid())) as member_email
from app.accounts as account
left join app.company_settings as company on company.account_id = account.id
where account.id = %(account)s for no key update of account
"""
# Whoever cancelled for the end of his period is charged no more.
CHARGED: Final = """
select exists (
    select from app.stripe_subscriptions as held
    join app.stripe_customers as customer on customer.id = held.customer_id
    where customer.account_id = %(account)s and held.cancel_at is null
      and not held.cancel_at_period_end and held.status not in ('canceled', 'incomplete_expired'))
or exists (
    select from app.subscriptions as held
    where held.account_id = %(account)s and held.stripe_subscription_id is not null
      and held.cancel_at is null and not held.cancel_at_period_end
      and held.status not in ('canceled', 'incomplete_expired'))
"""
ASK: Final = """
insert into ops.erasures (id, account_id, account_sha256, requested_by, recipient, requested_at,
    due_at)
values (%(id)s, %(account)s, %(digest)s, %(user)s, %(recipient)s, %(now)s, %(due_at)s)
"""


def ask(connection: Connection, by: Principal, body: ErasureRequest, now: datetime) -> Erasure:
    """Have the account erased when the days of grace are over.

    Raises ForbiddenError, InvalidInputError, and ConflictError while Stripe charges for it or when
    it was asked for already."""
    auth.require_owner(connection)
    connection.become(Actor("service_role", by.actor.claims))
    account = {"account": by.account_id}
    name, company, company_email, email = connection.execute(HOLD, account).fetchone() or [""] * 4
    if body.confirm not in {str(by.account_id), name, company} - {""}:
        raise invalid("confirm", "is neither the account's name, nor its company's, nor its id")
    if is_charged(connection, by.account_id):
        raise ConflictError(PAID_FOR)
    due_at = now + timedelta(days=ErasureSettings.grace_days)
    recipient = by.email or email or company_email
    values: dict[str, object] = {
        "id": new_id(),
        "digest": digest(by.account_id),
        "user": by.user_id,
    }
    values |= {"recipient": recipient, "now": now, "due_at": due_at}
    try:
        connection.execute(ASK, values | account)
    except UniqueViolation as error:
        raise ConflictError("The erasure was asked for already.") from error
    audit.record(connection, "erasure.asked", by.account_id, {"due_at": due_at.isoformat()})
    return Erasure("waiting", now, due_at, recipient, None)


def is_charged(connection: Connection, account_id: UUID) -> bool:
    """Whether Stripe charges for the account, as far as we know; for the service."""
    (charged,) = connection.execute(CHARGED, {"account": account_id}).fetchone() or (False,)
    return bool(charged)


def digest(account_id: UUID) -> str:
    """What remains of an account's id."""
    return hashlib.sha256(str(account_id).encode()).hexdigest()


GET: Final = """
select status, requested_at, due_at, recipient as receipt_to, reason from ops.erasures
where account_id = (select auth.account_id())
"""


def get(connection: Connection) -> Erasure:
    """Raises ForbiddenError or NotFoundError."""
    auth.require_owner(connection)
    with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        found = cursor.execute(GET).fetchone()
    if found is None:
        raise NotFoundError("Nobody asked for the account's erasure.")
    return found


TAKE_BACK: Final = """
delete from ops.erasures
where account_id = (select auth.account_id()) and status = 'waiting' returning id
"""


def take_back(connection: Connection, by: Principal) -> None:
    """Let the account be. Raises ForbiddenError or NotFoundError."""
    auth.require_owner(connection)
    connection.become(Actor("service_role", by.actor.claims))
    if connection.execute(TAKE_BACK).fetchone() is None:
        raise NotFoundError("Nobody asked for the account's erasure.")
    audit.record(connection, "erasure.taken_back", by.account_id)

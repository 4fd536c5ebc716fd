"""What has yet to be done at Stripe, one row an invoice: taken by one worker at a time, and put off
until it is done, so that whoever dies on the way is followed by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit
from quotekit.database import Connection

LEASE: Final = timedelta(seconds=90)  # more than the function may run
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=1)
MOST_ATTEMPTS: Final = 20  # some twelve hours


@dataclass(frozen=True, slots=True)
class Task:
    """An invoice and how far it is at Stripe. `due_until` is the last second of its due date."""

    invoice_id: UUID
    account_id: UUID
    quote_id: UUID
    stripe_account_id: str
    recipient: str
    id: str | None
    customer_id: str | None
    sent_at: datetime | None
    generation: int
    attempts: int
    ours: str
    number: str
    quote_number: str
    client_name: str
    currency: str
    tax_inclusive: bool
    lines: Sequence[Mapping[str, Any]]
    tax_breakdown: Sequence[Mapping[str, Any]]
    discount_amount: Decimal
    amount_paid: Decimal
    amount_due: Decimal
    due_until: datetime
    open_checkout: str | None


TAKE: Final = """
with due as (
    select invoice_id from app.stripe_invoices where due_at <= %(now)s
    order by due_at limit 1 for update skip locked
)
update app.stripe_invoices as theirs
set due_at = %(until)s, attempts = theirs.attempts + 1
from due
join app.invoices as invoice on invoice.id = due.invoice_id
join app.quotes as quote
    on quote.account_id = invoice.account_id and quote.id = invoice.quote_id
left join app.company_settings as settings on settings.account_id = invoice.account_id
where theirs.invoice_id = due.invoice_id
returning theirs.invoice_id, theirs.account_id, invoice.quote_id, theirs.stripe_account_id,
    theirs.recipient, theirs.id,
    coalesce(theirs.customer_id, (
        select earlier.customer_id from app.stripe_invoices as earlier
        where earlier.stripe_account_id = theirs.stripe_account_id
          and lower(earlier.recipient) = lower(theirs.recipient) and earlier.customer_id is not null
        order by earlier.created_at desc limit 1)) as customer_id,
    theirs.sent_at, theirs.generation, theirs.attempts, invoice.status as ours, invoice.number,
    quote.number as quote_number, invoice.client_name, invoice.currency, invoice.tax_inclusive,
    invoice.lines, invoice.tax_breakdown, invoice.discount_amount, invoice.amount_paid,
    invoice.amount_due,
    (invoice.due_date + 1)::timestamp at time zone coalesce(settings.time_zone, 'UTC')
        - interval '1 second' as due_until,
    (select session_id from app.deposits as deposit
     where deposit.account_id = invoice.account_id and deposit.quote_id = invoice.quote_id
       and deposit.status = 'open') as open_checkout
"""


def take(connection: Connection, now: datetime) -> Task | None:
    """The next that is due, for the service; nobody else gets it before its lease is over."""
    with connection.cursor(row_factory=class_row(Task)) as cursor:
        return cursor.execute(TAKE, {"now": now, "until": now + LEASE}).fetchone()


DONE: Final = """
update app.stripe_invoices set due_at = null, reason = %(reason)s,
    status = case when %(reason)s::text is null then status else 'void' end,
    sent_at = coalesce(%(sent_at)s, sent_at)
where invoice_id = %(invoice_id)s
"""


def done(
    connection: Connection,
    task: Task,
    *,
    sent_at: datetime | None = None,
    reason: str | None = None,
) -> None:
    """There is nothing more to do; a `reason` says why nothing of it is at Stripe."""
    values = {"invoice_id": task.invoice_id, "sent_at": sent_at, "reason": reason}
    connection.execute(DONE, values)
    if sent_at is not None and task.sent_at is None:
        details = {"recipient": task.recipient}
        audit.record_for(connection, task.account_id, "invoice.sent", task.invoice_id, details)


PUT_OFF: Final = """
update app.stripe_invoices
set reason = %(reason)s, due_at = %(due_at)s, generation = generation + %(step)s
where invoice_id = %(invoice_id)s
"""


def put_off(
    connection: Connection, task: Task, reason: str, now: datetime, *, answered: bool
) -> None:
    """Try again later, longer each time; under new keys where Stripe keeps its failure."""
    pause = min(FIRST_PAUSE * 2 ** min(task.attempts - 1, 12), LONGEST_PAUSE)
    values = {"reason": reason, "due_at": now + pause, "step": int(answered)}
    connection.execute(PUT_OFF, {"invoice_id": task.invoice_id, **values})


GIVE_UP: Final = """
update app.stripe_invoices set status = 'failed', reason = %(reason)s, due_at = null
where invoice_id = %(invoice_id)s and not final
"""


def give_up(connection: Connection, task: Task, reason: str) -> None:
    connection.execute(GIVE_UP, {"invoice_id": task.invoice_id, "reason": reason})
    details = {"reason": reason}
    audit.record_for(connection, task.account_id, "invoice.stripe_failed", task.invoice_id, details)

"""What the events of connected accounts change: invoices, deposits, the accounts themselves.

An event changes only what belongs to the account in whose name Stripe tells it; whatever its
metadata say, no other account's invoice is touched. Each is applied once, in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.rows import namedtuple_row

from quotekit import audit
from quotekit.billing import objects, versions
from quotekit.billing.versions import Notice
from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.invoices import connecting, theirs
from quotekit.invoices.amounts import from_minor
from quotekit.webhooks.model import Event, Outcome, PermanentError


def on_connected_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Apply verified events that name a connected account, in the order they are given."""
    return [apply(connection, event.payload) for event in events]


def apply(connection: Connection, payload: Mapping[str, Any]) -> Outcome:
    notice, account = versions.opened(payload), told_by(payload)
    keep = EFFECTS.get(notice.type)
    if keep is None:
        return Outcome("ignored", {"reason": "nothing here follows from it"})
    return keep(connection, account, notice)


@objects.checked
def told_by(payload: objects.Json) -> str:
    return objects.identifier(payload["account"])


# ---- the connected account ----------------------------------------------------------------------


def keep_account(connection: Connection, account: str, notice: Notice) -> Outcome:
    if objects.name(notice.thing) != account:
        raise PermanentError("the event tells of another account than it is of")
    if connecting.owner(connection, account) is None:
        return stranger(account)
    moved = connecting.keep(connection, notice.thing, notice.version())
    return Outcome("applied" if moved else "stale")


def leave_account(connection: Connection, account: str, notice: Notice) -> Outcome:
    owner = connecting.leave(connection, account, notice.created)
    if owner is None:
        return stranger(account)
    audit.record_for(connection, owner, "payments.disconnected", owner, {"id": account})
    return Outcome("applied")


def stranger(account: str) -> Outcome:
    return Outcome("ignored", {"reason": f"nobody here is connected to {account}"})


# ---- invoices -----------------------------------------------------------------------------------


class Ours(NamedTuple):
    """What an event is about, of ours."""

    id: UUID
    account_id: UUID
    quote_id: UUID
    currency: str


FIND_INVOICE: Final = """
select invoice.id, invoice.account_id, invoice.quote_id, invoice.currency
from app.stripe_invoices as theirs join app.invoices as invoice on invoice.id = theirs.invoice_id
where theirs.stripe_account_id = %(account)s
  and (theirs.id = %(id)s or theirs.id is null and theirs.invoice_id = %(said)s)
"""
LOCK_QUOTE: Final = """
select from app.quotes where account_id = %(account_id)s and id = %(quote_id)s for no key update
"""


def find(
    connection: Connection, query: str, account: str, name: str, said: UUID | None
) -> Ours | None:
    """The invoice or deposit of ours, with its quote locked: the first of all locks."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        values = {"account": account, "id": name, "said": said}
        row = cursor.execute(query.encode(), values).fetchone()
    if row is None:
        return None
    found = Ours(*row)
    connection.execute(LOCK_QUOTE, {"account_id": found.account_id, "quote_id": found.quote_id})
    return found


def keep_invoice(connection: Connection, account: str, notice: Notice) -> Outcome:
    said = theirs.invoice(notice.thing)
    ours = find(connection, FIND_INVOICE, account, said.id, said.invoice_id)
    if ours is None:
        return Outcome("ignored", {"reason": "no invoice of ours in this account"})
    if said.currency != ours.currency:
        raise PermanentError("the invoice is in another currency than ours")
    failed_at = notice.created if notice.verb == "payment_failed" else None
    version = notice.version(final=said.status in theirs.SETTLED)
    if not theirs.follow(connection, ours.id, said, version, failed_at=failed_at):
        return Outcome("stale")
    if said.status == "paid":
        pay(connection, account, notice, ours, said)
    elif said.status in {"void", "uncollectible"}:
        move(connection, ours, said.status, notice.created)
    return Outcome("applied", {"invoice": str(ours.id), "status": said.status})


def pay(
    connection: Connection, account: str, notice: Notice, ours: Ours, said: theirs.Theirs
) -> None:
    """All of Stripe's invoice is settled: its total is what came in, by whatever way."""
    intent = objects.reference(notice.thing.get("payment_intent"))
    paid = Paid("payment", said.id, said.total, intent)
    if record(connection, account, ours, paid, notice.created):
        note(connection, ours, "invoice.paid", ours.id, paid)


MOVE: Final = """
update app.invoices
set status = %(status)s, version = version + 1,
    voided_at = case when %(status)s = 'void' then %(at)s end
where id = %(id)s and (status = 'open' or status = 'uncollectible' and %(status)s = 'void')
  and (%(status)s <> 'void' or amount_paid = deposit_paid)
returning id
"""


def move(connection: Connection, ours: Ours, status: str, at: datetime) -> None:
    values = {"id": ours.id, "status": status, "at": at}
    if connection.execute(MOVE, values).fetchone() is not None:
        action = "invoice.voided" if status == "void" else "invoice.given_up"
        audit.record_for(connection, ours.account_id, action, ours.id, {"by": "stripe"})


# ---- money --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paid:
    """What came in by one invoice or checkout of Stripe's; `minor` in minor units."""

    kind: str
    name: str
    minor: int
    payment_intent: str | None


RECORD: Final = """
insert into app.payments (id, account_id, quote_id, kind, method, amount, currency, received_on,
    stripe_account_id, stripe_object_id, payment_intent, created_by)
select %(id)s, %(account_id)s, %(quote_id)s, %(kind)s, 'stripe', %(amount)s, %(currency)s,
    %(day)s, %(account)s, %(name)s, %(payment_intent)s, null
where not exists (select from app.payments
    where stripe_account_id = %(account)s and stripe_object_id = %(name)s)
returning id
"""


def record(connection: Connection, account: str, ours: Ours, paid: Paid, at: datetime) -> bool:
    """Write a payment down, unless it is; its quote is locked, so none comes between."""
    amount = from_minor(paid.minor, ours.currency)
    if amount <= 0:
        return False
    values = {
        "id": new_id(),
        "account_id": ours.account_id,
        "quote_id": ours.quote_id,
        "kind": paid.kind,
        "amount": amount,
        "currency": ours.currency,
        "day": at.astimezone(UTC).date(),
        "account": account,
        "name": paid.name,
        "payment_intent": paid.payment_intent,
    }
    return connection.execute(RECORD, values).fetchone() is not None


def note(connection: Connection, ours: Ours, action: str, about: UUID, paid: Paid) -> None:
    amount = from_minor(paid.minor, ours.currency)
    details = {"amount": str(amount), "currency": ours.currency, "stripe": paid.name}
    audit.record_for(connection, ours.account_id, action, about, details)


# ---- deposits -----------------------------------------------------------------------------------

FIND_DEPOSIT: Final = """
select id, account_id, quote_id, currency from app.deposits
where stripe_account_id = %(account)s
  and (session_id = %(id)s or session_id is null and id = %(said)s)
"""
# A checkout that is paid stays paid; what comes late does not reopen it.
MOVE_DEPOSIT: Final = """
update app.deposits set status = %(status)s, session_id = %(session)s
where id = %(id)s and status <> 'paid'
  and (%(status)s = 'paid' or status in ('asked', 'open', 'processing'))
returning id
"""
ENDS: Final = {
    "expired": "expired",
    "async_payment_failed": "failed",
    "completed": "processing",
    "async_payment_succeeded": "paid",
}


def keep_checkout(connection: Connection, account: str, notice: Notice) -> Outcome:
    name, status = objects.name(notice.thing), ENDS[notice.verb]
    said = theirs.identified((notice.thing.get("metadata") or {}).get("deposit_id"))
    ours = find(connection, FIND_DEPOSIT, account, name, said)
    if ours is None:
        return Outcome("ignored", {"reason": "no deposit of ours in this account"})
    paid = settled(notice, ours)
    if paid is not None:
        status = "paid"
    values = {"id": ours.id, "status": status, "session": name}
    if connection.execute(MOVE_DEPOSIT, values).fetchone() is None:
        return Outcome("stale")
    if paid is not None and record(connection, account, ours, paid, notice.created):
        note(connection, ours, "quote.deposit_paid", ours.quote_id, paid)
    return Outcome("applied", {"deposit": str(ours.id), "status": status})


@objects.checked
def checkout(thing: objects.Json) -> Paid:
    intent = objects.reference(thing.get("payment_intent"))
    return Paid("deposit", objects.identifier(thing["id"]), int(thing["amount_total"]), intent)


def settled(notice: Notice, ours: Ours) -> Paid | None:
    """What was paid, if it is: some ways of paying take days after the checkout."""
    if notice.thing.get("payment_status") != "paid":
        return None
    if str(notice.thing.get("currency")).upper() != ours.currency:
        raise PermanentError("the checkout is in another currency than the deposit")
    return checkout(notice.thing)


# ---- refunds ------------------------------------------------------------------------------------

REFUND: Final = """
update app.payments set refunded = least(%(refunded)s, amount)
where stripe_account_id = %(account)s and payment_intent = %(payment_intent)s
  and refunded < least(%(refunded)s, amount)
returning account_id, quote_id, refunded
"""


def keep_refund(connection: Connection, account: str, notice: Notice) -> Outcome:
    """What went back of a payment so far; it only grows. The invoice stays as paid as it was."""
    intent, minor, currency = charge(notice.thing)
    refunded: Decimal = from_minor(minor, currency)
    values = {"account": account, "payment_intent": intent, "refunded": refunded}
    row = connection.execute(REFUND, values).fetchone()
    if row is None:
        return Outcome("ignored", {"reason": "no payment of ours, or nothing new of it"})
    details = {"refunded": str(row[2]), "payment_intent": intent}
    audit.record_for(connection, row[0], "payment.refunded", row[1], details)
    return Outcome("applied", {"refunded": str(row[2])})


@objects.checked
def charge(thing: objects.Json) -> tuple[str | None, int, str]:
    intent = objects.reference(thing.get("payment_intent"))
    return intent, int(thing["amount_refunded"]), str(thing["currency"]).upper()


type Keep = Callable[[Connection, str, Notice], Outcome]

INVOICES: Final = (
    *("finalized", "sent", "paid", "payment_succeeded", "payment_failed", "voided"),
    "marked_uncollectible",
)
EFFECTS: Final[Mapping[str, Keep]] = {
    "account.updated": keep_account,
    "account.application.deauthorized": leave_account,
    **{f"invoice.{verb}": keep_invoice for verb in INVOICES},
    **{f"checkout.session.{verb}": keep_checkout for verb in ENDS},
    "charge.refunded": keep_refund,
}

"""What the records say of a quote's deposit, for its page: paid, on its way, or to be paid."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from psycopg.rows import class_row

from quotekit.database import Connection
from quotekit.errors import ConflictError
from quotekit.invoices import amounts
from quotekit.portal.model import Deposit, Standing
from quotekit.quotes.model import Quote


@dataclass(frozen=True, slots=True)
class Records:
    """`paid` is less what went back, null without a payment; `checkout` is the status of the one
    that is under way; `can_charge` is of the account at Stripe."""

    paid: Decimal | None
    paid_on: date | None
    checkout: str | None
    can_charge: bool


READ: Final = """
select paid.amount as paid, paid.received_on as paid_on,
    (select status from app.deposits where account_id = (select auth.account_id())
        and quote_id = %(quote_id)s and status in ('asked', 'open', 'processing')) as checkout,
    exists (select from app.connected_accounts where account_id = (select auth.account_id())
        and charges_enabled and disconnected_at is null) as can_charge
from (select sum(amount - refunded) as amount, max(received_on) as received_on from app.payments
    where account_id = (select auth.account_id()) and quote_id = %(quote_id)s
        and kind = 'deposit') as paid
"""


def read(connection: Connection, quote: Quote) -> Deposit | None:
    """The deposit of an accepted quote, as its client; None where none is asked for."""
    if not quote.deposit_amount:
        return None
    with connection.cursor(row_factory=class_row(Records)) as cursor:
        (records,) = cursor.execute(READ, {"quote_id": quote.id})
    amount = quote.deposit_amount if records.paid is None else records.paid
    return Deposit(standing(quote, records), amount, records.paid_on, records.checkout)


def standing(quote: Quote, records: Records) -> Standing:
    """What may be said; nothing where all that was paid went back, or Stripe cannot take it."""
    if records.paid is not None:
        return "paid" if records.paid > 0 else "none"
    if records.checkout == "processing":
        return "waiting"
    if quote.status != "accepted" or not records.can_charge:
        return "none"
    return "due" if countable(quote) else "none"


def countable(quote: Quote) -> bool:
    """Whether Stripe takes such an amount of this currency."""
    try:
        return amounts.to_minor(quote.deposit_amount, quote.currency) > 0
    except ConflictError:
        return False

"""A quote's deposit, paid by Stripe Checkout in the contractor's own account.

The checkout's row is there before Stripe is asked and is what its key is made of: however often and
by whomever it is asked for, there is one at a time. What was paid, Stripe's event says.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row, dict_row

from quotekit import database
from quotekit.billing import client, objects, orders
from quotekit.billing.client import Stripe
from quotekit.billing.objects import Json
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, QuoteKitError
from quotekit.identifiers import new_id
from quotekit.invoices import connecting
from quotekit.invoices.amounts import to_minor
from quotekit.quotes.assembly import money_of

ENOUGH: Final = timedelta(minutes=1)  # a checkout that ends sooner is not handed out


@dataclass(frozen=True, slots=True)
class Deposit:
    """One checkout. `url` and `expires_at` are null until Stripe has made it."""

    id: UUID
    account_id: UUID
    quote_id: UUID
    stripe_account_id: str
    amount: Decimal
    currency: str
    return_url: str
    cancel_url: str | None
    status: str
    session_id: str | None
    url: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Return:
    """Where Stripe sends a payer who paid, and one who did not."""

    paid: str
    cancelled: str


@dataclass(frozen=True, slots=True)
class DepositLink:
    """Where the client pays; that he has paid, the quote says once Stripe's event has come."""

    url: str
    amount: Decimal
    currency: str
    expires_at: datetime | None


ASKED: Final = """
select quote.status, quote.number, said.currency,
    coalesce(taken.deposit_amount, said.deposit_amount) as amount,
    said.client_email as email,
    exists (select from app.payments as paid where paid.account_id = quote.account_id
        and paid.quote_id = quote.id and paid.kind = 'deposit') as is_paid
from app.quotes as quote
join app.quote_versions as said on said.account_id = quote.account_id
    and said.quote_id = quote.id and said.revision = quote.revision
left join app.quote_acceptances as taken on taken.account_id = quote.account_id
    and taken.version_id = said.id
where quote.account_id = %(account_id)s and quote.id = %(quote_id)s
for no key update of quote
"""
HELD: Final = """
update app.deposits
set status = case when expires_at <= %(soon)s and status = 'open' then 'expired' else status end
where account_id = %(account_id)s and quote_id = %(quote_id)s
  and status in ('asked', 'open', 'processing')
returning id, account_id, quote_id, stripe_account_id, amount, currency, return_url,
    cancel_url, status, session_id, url, expires_at
"""
INSERT: Final = """
insert into app.deposits (id, account_id, quote_id, stripe_account_id, amount, currency, return_url,
    cancel_url)
values (%(id)s, %(account_id)s, %(quote_id)s, %(stripe_account_id)s, %(amount)s, %(currency)s,
    %(return_url)s, %(cancel_url)s)
"""


def begin(
    connection: Connection, account_id: UUID, quote_id: UUID, back: Return, now: datetime
) -> Deposit:
    """The checkout there is, or a new one that Stripe has yet to make; for the service.

    Raises ConflictError where there is no deposit to pay, NotFoundError without such a quote."""
    values: dict[str, Any] = {"account_id": account_id, "quote_id": quote_id}
    asked = terms(connection, values)
    connected = connecting.payable(connection, account_id)
    to_minor(asked["amount"], asked["currency"])
    with connection.cursor(row_factory=class_row(Deposit)) as cursor:
        found = cursor.execute(HELD, {**values, "soon": now + ENOUGH}).fetchone()
    if found is not None and found.status == "processing":
        raise ConflictError("The deposit is on its way; its bank takes some days.")
    if found is not None and found.status != "expired":
        return found
    said = {"amount": asked["amount"], "currency": asked["currency"]}
    made = Deposit(
        id=new_id(),
        stripe_account_id=connected,
        return_url=back.paid,
        cancel_url=back.cancelled,
        status="asked",
        session_id=None,
        url=None,
        expires_at=None,
        **values,
        **said,
    )
    connection.execute(INSERT, asdict(made))
    return made


def terms(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """What the quote asks for; its row stays locked."""
    with connection.cursor(row_factory=dict_row) as cursor:
        asked = cursor.execute(ASKED, values).fetchone()
    if asked is None:
        raise NotFoundError("There is no such quote.")
    if asked["is_paid"]:
        raise ConflictError("The deposit is paid.")
    if asked["status"] != "accepted":
        raise ConflictError("A deposit is paid once the quote is accepted, and before its invoice.")
    if not asked["amount"]:
        raise ConflictError("The quote asks for no deposit.")
    return asked


KEEP: Final = """
update app.deposits
set status = case when status = 'asked' then 'open' else status end, session_id = %(session_id)s,
    url = %(url)s, expires_at = %(expires_at)s
where id = %(id)s
"""
FAIL: Final = "update app.deposits set status = 'failed' where id = %(id)s and status = 'asked'"


def link(
    account_id: UUID, quote_id: UUID, back: Return, *, now: datetime, seconds: float
) -> DepositLink:
    """Where the deposit of an accepted quote is paid. Reads, asks Stripe, writes."""
    with database.transaction(database.SERVICE) as connection:
        deposit = begin(connection, account_id, quote_id, back, now)
    if deposit.url is not None:
        return told(deposit, deposit.url, deposit.expires_at)
    stripe = client.stripe(seconds).on_behalf_of(deposit.stripe_account_id)
    try:
        made = orders.place(stripe, account_id, lambda: check_out(stripe, deposit))
    except QuoteKitError as error:
        if is_final(error):
            with database.transaction(database.SERVICE) as connection:
                connection.execute(FAIL, {"id": deposit.id})
        raise
    with database.transaction(database.SERVICE) as connection:
        connection.execute(KEEP, {"id": deposit.id, **made})
    return told(deposit, made["url"], made["expires_at"])


def is_final(error: QuoteKitError) -> bool:
    """Whether Stripe answered, and keeps that answer under this key."""
    from stripe import APIConnectionError, StripeError  # noqa: PLC0415

    cause = error.__cause__
    return isinstance(cause, StripeError) and not isinstance(cause, APIConnectionError)


def told(deposit: Deposit, url: str, expires_at: datetime | None) -> DepositLink:
    amount = money_of(deposit.currency)(deposit.amount)
    return DepositLink(url, amount, deposit.currency, expires_at)


def check_out(stripe: Stripe, deposit: Deposit) -> dict[str, Any]:
    about = {
        "deposit_id": str(deposit.id),
        "quote_id": str(deposit.quote_id),
        "account_id": str(deposit.account_id),
    }
    price = {
        "currency": deposit.currency.lower(),
        "unit_amount": to_minor(deposit.amount, deposit.currency),
        "product_data": {"name": "Deposit"},
    }
    answer = stripe.post(
        "checkout/sessions",
        key=deposit.id.hex,
        mode="payment",
        line_items=[{"quantity": 1, "price_data": price}],
        success_url=deposit.return_url,
        cancel_url=deposit.cancel_url or deposit.return_url,
        metadata=about,
        payment_intent_data={"metadata": about},
    )
    return session(answer.body)


@objects.checked
def session(thing: Json) -> dict[str, Any]:
    return {
        "session_id": objects.identifier(thing["id"]),
        "url": objects.identifier(thing["url"]),
        "expires_at": objects.optional(thing.get("expires_at")),
    }

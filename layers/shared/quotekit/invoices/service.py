"""What can be done with an invoice."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, invalid
from quotekit.invoices import amounts, connecting, repository
from quotekit.invoices.model import Invoice, NewInvoice
from quotekit.invoices.requests import InvoiceCreate, PaymentCreate
from quotekit.quotes import acceptances, basis, choices, pricing
from quotekit.quotes import repository as quotes
from quotekit.quotes import service as quoting
from quotekit.quotes.model import Quote, QuoteLine
from quotekit.quotes.repository import Found

USUAL_DAYS: Final = 30
LIVE: Final = {"pending", "draft", "open"}


def create(connection: Connection, quote_id: UUID, body: InvoiceCreate, now: datetime) -> Invoice:
    """Convert an accepted quote and write down what is owed.

    Raises ConflictError for a quote that is not accepted, or has an invoice."""
    found = as_taken(connection, quotes.get(connection, quote_id, lock=True))
    due = due_date(body, today(connection, now))
    if found.quote.status == "accepted":
        quoting.decide(connection, quote_id, "converted", None)
    terms = at_stripe(connection, found.quote, body) if body.stripe else None
    invoice_id = repository.insert(connection, accepted(found, due))
    if terms is not None:
        repository.ask_stripe(connection, invoice_id, *terms)
    invoice = repository.get(connection, invoice_id, now)
    said = {"number": invoice.number, "total": str(invoice.total), "quote_id": str(quote_id)}
    audit.record(connection, "invoice.created", invoice_id, said)
    return invoice


def as_taken(connection: Connection, found: Found) -> Found:
    """The quote with what its client took, where he accepted it on his page."""
    taken = acceptances.of_quote(connection, found.quote.id)
    return replace(found, quote=choices.as_accepted(found.quote, taken))


def at_stripe(connection: Connection, quote: Quote, body: InvoiceCreate) -> tuple[str, str]:
    """The connected account and the recipient. Raises ConflictError or InvalidInputError."""
    recipient = body.email or quote.client.email
    if recipient is None:
        raise invalid("email", "is needed, as the quote has no address")
    amounts.to_minor(quote.total, quote.currency)
    return connecting.payable(connection), recipient


def today(connection: Connection, now: datetime) -> date:
    """The day it is at the account's place."""
    return now.astimezone(ZoneInfo(basis.company(connection).time_zone)).date()


def due_date(body: InvoiceCreate, day: date) -> date:
    if body.due_date is not None:
        if body.due_date < day:
            raise invalid("due_date", "lies in the past")
        return body.due_date
    return day + timedelta(days=USUAL_DAYS if body.due_days is None else body.due_days)


def accepted(found: Found, due: date) -> NewInvoice:
    """What the client accepted: the lines that count, and the totals, to the byte."""
    quote: Quote = found.quote
    counting = [line for line in quote.line_items if line.selected or not line.optional]
    return NewInvoice(
        quote_id=quote.id,
        version_id=found.version_id,
        client_name=quote.client.name,
        client_email=quote.client.email,
        client_address=quote.client.address,
        currency=quote.currency,
        tax_inclusive=quote.tax_inclusive,
        lines=[written(line) for line in counting],
        tax_breakdown=quote.tax_breakdown,
        subtotal=quote.subtotal,
        discount_amount=quote.discount_amount,
        tax_amount=quote.tax_amount,
        total=quote.total,
        due_date=due,
    )


def written(line: QuoteLine) -> dict[str, Any]:
    numbers = {
        name: str(getattr(line, name))
        for name in ("quantity", "unit_price", "discount_amount", "line_total", "tax_amount")
    }
    words = {name: getattr(line, name) for name in ("position", "name", "description", "unit")}
    rate = None if line.tax_rate is None else str(line.tax_rate)
    return {**words, **numbers, "tax_rate": rate}


def pay(connection: Connection, invoice_id: UUID, body: PaymentCreate, now: datetime) -> Invoice:
    """Record money that came in by hand: a part, or all that is due, and never more."""
    quotes.get(connection, repository.get(connection, invoice_id, now).quote_id, lock=True)
    invoice = repository.get(connection, invoice_id, now, lock=True)
    if invoice.stripe is not None and invoice.stripe.status in LIVE:
        raise ConflictError(
            "Its client can pay it at Stripe; mark it paid there, or void it and make another."
        )
    day = today(connection, now)
    if body.received_on is not None and body.received_on > day:
        raise invalid("received_on", "lies in the future")
    amount = exact(body.amount, invoice.currency)
    payment_id = repository.pay(connection, invoice, body, amount, body.received_on or day)
    said = {"payment_id": str(payment_id), "amount": str(amount), "method": body.method}
    audit.record(connection, "invoice.payment_recorded", invoice_id, said)
    return repository.get(connection, invoice_id, now)


def exact(amount: Decimal, currency: str) -> Decimal:
    """The amount, if the currency can express it."""
    places = Decimal(1).scaleb(-pricing.minor_units(currency))
    if amount != amount.quantize(places):
        raise invalid("amount", f"is finer than {currency} can be paid in")
    return amount.quantize(places)


def void(connection: Connection, invoice_id: UUID, now: datetime) -> Invoice:
    """Take back an invoice that nobody has paid anything of. A void one stays void.

    What of it is at Stripe, a worker takes back."""
    quotes.get(connection, repository.get(connection, invoice_id, now).quote_id, lock=True)
    invoice = repository.get(connection, invoice_id, now, lock=True)
    if invoice.status == "void":
        return invoice
    repository.void(connection, invoice_id, now)
    repository.hurry(connection, invoice_id)
    audit.record(connection, "invoice.voided", invoice_id, {"number": invoice.number})
    return repository.get(connection, invoice_id, now)

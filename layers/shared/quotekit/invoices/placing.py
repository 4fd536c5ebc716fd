"""An invoice brought to Stripe, in the contractor's own account: drafted, filled, finalised, sent.

Each step looks at what is there already and carries a key made of our id, so that it can be done
again at any time: killed anywhere, the next attempt goes on, and there is one invoice.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from quotekit import database
from quotekit.billing import client, objects, orders
from quotekit.billing.client import MOST, Answer, Stripe
from quotekit.errors import ConflictError, QuoteKitError, ServiceUnavailableError
from quotekit.invoices import tasks, theirs
from quotekit.invoices.amounts import to_minor
from quotekit.invoices.model import Invoice
from quotekit.invoices.tasks import Task
from quotekit.invoices.theirs import Theirs

LEAST_TIME: Final = 12.0  # seconds the calls of one invoice are given, or it is not begun
LONGEST_LINE: Final = 500
MOST_LINES: Final = 240  # of the 250 that Stripe takes, with discount, taxes and what is paid
NOTHING_DUE: Final = "Nothing is due."
PAYABLE: Final = {"open", "uncollectible"}

type Keep = Callable[[Answer], Theirs]


def sweep(seconds: float) -> dict[str, int]:
    """Do what is due at Stripe as long as there is time; how much of it went well and how not.

    Raises SecretNotFoundError where Stripe is not set up."""
    until = time.monotonic() + seconds
    counts = {"placed": 0, "put_off": 0, "failed": 0}
    while (left := until - time.monotonic()) > LEAST_TIME:
        stripe = client.stripe(left)
        with database.transaction(database.SERVICE) as connection:
            task = tasks.take(connection, datetime.now(UTC))
        if task is None:
            break
        counts[attempt(stripe.on_behalf_of(task.stripe_account_id), task)] += 1
    return counts


def attempt(stripe: Stripe, task: Task) -> str:
    try:
        orders.place(stripe, task.account_id, lambda: Placing(stripe, task).go())
    except QuoteKitError as error:
        return fail(task, error)
    return "placed"


def fail(task: Task, error: QuoteKitError) -> str:
    """What Stripe refuses, it will refuse again; for the rest there is another time."""
    from stripe import APIConnectionError, IdempotencyError, StripeError  # noqa: PLC0415

    cause = error.__cause__
    refused = isinstance(error, ConflictError) and not isinstance(cause, IdempotencyError)
    last = task.attempts >= tasks.MOST_ATTEMPTS
    answered = isinstance(cause, StripeError) and not isinstance(cause, APIConnectionError)
    with database.transaction(database.SERVICE) as connection:
        if refused or last:
            tasks.give_up(connection, task, error.message)
            return "failed"
        tasks.put_off(connection, task, error.message, datetime.now(UTC), answered=answered)
    return "put_off"


@dataclass(frozen=True, slots=True)
class Placing:
    """One attempt at one invoice."""

    stripe: Stripe
    task: Task

    def go(self) -> None:
        """Bring Stripe's invoice to where ours is. No transaction spans a call."""
        held = self.find()
        if self.task.ours == "void":
            self.retract(held)
        elif held is None and self.task.amount_due == 0:
            self.finish(reason=NOTHING_DUE)
        else:
            self.send(self.finalise(self.fill(held or self.draft())))

    def key(self, purpose: str) -> str:
        said = f"{self.task.invoice_id}\n{purpose}\n{self.task.generation}"
        return hashlib.sha256(said.encode()).hexdigest()

    def keep(self, answer: Answer) -> Theirs:
        said, version = theirs.answered(answer)
        with database.transaction(database.SERVICE) as connection:
            theirs.follow(connection, self.task.invoice_id, said, version)
        return said

    def finish(self, *, sent_at: datetime | None = None, reason: str | None = None) -> None:
        with database.transaction(database.SERVICE) as connection:
            tasks.done(connection, self.task, sent_at=sent_at, reason=reason)

    def find(self) -> Theirs | None:
        """The invoice that is there already: by its id, or by ours in its metadata."""
        if self.task.id is not None:
            return self.keep(self.stripe.get(f"invoices/{self.task.id}"))
        customer_id = self.task.customer_id or self.known_customer()
        if customer_id is None:
            return None
        answer = self.stripe.get("invoices", customer=customer_id, limit=MOST)
        mine = [
            thing
            for thing in answer.data
            if theirs.invoice(thing).invoice_id == self.task.invoice_id
        ]
        return self.keep(Answer(mine[0], answer.read_at)) if mine else None

    def known_customer(self) -> str | None:
        """The contractor's customer of that address, ours or his own; the newest of several."""
        found = self.stripe.get("customers", email=self.task.recipient, limit=1).data
        return objects.name(found[0]) if found else None

    def customer(self) -> str:
        known = self.task.customer_id or self.known_customer()
        if known is not None:
            return known
        task = self.task
        said = f"{task.stripe_account_id}\n{task.recipient.lower()}\n{task.generation}"
        key = hashlib.sha256(said.encode()).hexdigest()
        asked = {"email": task.recipient, "name": task.client_name}
        return objects.name(self.stripe.post("customers", key=key, **asked).body)

    def draft(self) -> Theirs:
        task = self.task
        if len(task.lines) > MOST_LINES:
            raise ConflictError(f"An invoice at Stripe has {MOST_LINES} lines at most.")
        self.close_checkout()
        params: dict[str, Any] = {
            "customer": self.customer(),
            "currency": task.currency.lower(),
            "collection_method": "send_invoice",
            "due_date": int(task.due_until.timestamp()),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "description": f"Invoice {task.number}, quote {task.quote_number}",
            "metadata": {
                "account_id": str(task.account_id),
                "quote_id": str(task.quote_id),
                "invoice_id": str(task.invoice_id),
            },
        }
        return self.keep(self.stripe.post("invoices", key=self.key("draft"), **params))

    def close_checkout(self) -> None:
        """Nobody shall pay a deposit at the same time; one that is paid is told by its event."""
        if self.task.open_checkout is None:
            return
        try:
            self.stripe.post(f"checkout/sessions/{self.task.open_checkout}/expire")
        except ConflictError as error:
            raise ServiceUnavailableError("A deposit is being paid.") from error

    def fill(self, held: Theirs) -> Theirs:
        """All lines in one call, or none; the sum is what is due, or nobody is asked to pay it."""
        if held.status == "draft" and held.lines == 0:
            params = {"lines": lines(self.task)}
            path = f"invoices/{held.id}/add_lines"
            held = self.keep(self.stripe.post(path, key=self.key("fill"), **params))
        due = to_minor(self.task.amount_due, self.task.currency)
        if held.status == "draft" and held.total != due:
            raise ConflictError("Stripe's total is not what is due; it was not sent.")
        return held

    def finalise(self, held: Theirs) -> Theirs:
        if held.status != "draft":
            return held
        path = f"invoices/{held.id}/finalize"
        return self.keep(self.stripe.post(path, key=self.key("finalise"), auto_advance=False))

    def send(self, held: Theirs) -> None:
        if held.status == "open" and self.task.sent_at is None:
            self.keep(self.stripe.post(f"invoices/{held.id}/send", key=self.key("send")))
        self.finish(sent_at=datetime.now(UTC))

    def retract(self, held: Theirs | None) -> None:
        """Take back what is there of an invoice that is void; a draft was never seen by anyone."""
        if held is not None and held.status == "draft":
            self.stripe.delete(f"invoices/{held.id}")
        elif held is not None and held.status not in theirs.SETTLED:
            self.keep(self.stripe.post(f"invoices/{held.id}/void", key=self.key("void")))
        self.finish(reason="The invoice is void.")


def lines(task: Task) -> list[dict[str, Any]]:
    """A line for each of the invoice's, then discount, taxes and what is paid: together what is
    due."""

    def line(amount: Decimal, description: str) -> dict[str, Any]:
        minor = to_minor(amount, task.currency)
        return {"amount": minor, "description": description[:LONGEST_LINE]}

    made = [
        line(Decimal(said["line_total"]), f"{said['name']} · {said['quantity']} {said['unit']}")
        for said in task.lines
    ]
    if task.discount_amount:
        made.append(line(-task.discount_amount, "Discount"))
    if not task.tax_inclusive:
        made += [
            line(Decimal(share["tax"]), f"Tax {Decimal(share['rate']).normalize():f} %")
            for share in task.tax_breakdown
            if Decimal(share["tax"])
        ]
    if task.amount_paid:
        made.append(line(-task.amount_paid, "Paid already"))
    return made


def void(stripe: Stripe, invoice: Invoice) -> None:
    """Void what a client could still pay. Raises ConflictError when he has."""
    held = invoice.stripe
    if held is not None and held.id is not None and held.status in PAYABLE:
        key = hashlib.sha256(f"{invoice.id}\nvoid".encode()).hexdigest()
        mine = stripe.on_behalf_of(held.stripe_account_id)
        mine.post(f"invoices/{held.id}/void", key=key)

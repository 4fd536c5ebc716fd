"""What each of Stripe's events changes here, in the transaction of whoever delivers it.

No network and no guess: an event says what one object is, its row moves if that is news, and what
follows is computed from the rows. So any order, repeated, ends the same. Disputes and refunds are
kept for a human; nothing here answers one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from psycopg import DataError
from psycopg.errors import CheckViolation

from quotekit.billing import consequences, entries, objects, repository, versions
from quotekit.billing.model import Claim, Entry, Version
from quotekit.billing.versions import Notice
from quotekit.database import Connection
from quotekit.webhooks.model import Event, Outcome, PermanentError

type Change = Callable[[Connection, Notice], Outcome]

STALE: Final = Outcome("stale")
UNSTORABLE: Final = (DataError, CheckViolation, UnicodeEncodeError)
SETTLED_INVOICES: Final = {"paid", "void"}


def on_stripe_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Apply verified events; raise PermanentError for what can never be applied."""
    notices = [versions.opened(event.payload) for event in events]
    outcomes = {
        place: on_notice(connection, notices[place])
        for place in sorted(range(len(notices)), key=lambda place: precedence(notices[place]))
    }
    return [outcomes[place] for place in range(len(notices))]


def precedence(notice: Notice) -> tuple[bool, str]:
    """The order in which locks are taken: the whole catalogue first, then customer by customer."""
    alone = notice.type.startswith(("product.", "price."))
    return not alone, objects.payer(notice.thing) or str(notice.thing.get("id"))


def on_notice(connection: Connection, notice: Notice) -> Outcome:
    change = CHANGES.get(notice.type)
    if change is None:
        return Outcome("ignored", {"reason": f"nothing here follows from {notice.type}"})
    try:
        return change(connection, notice)
    except UNSTORABLE as error:
        raise PermanentError(f"{notice.type} says what cannot be stored: {error}") from error


def claim(notice: Notice, customer_id: str) -> Claim:
    return Claim(customer_id, objects.claimed_account(notice.thing), notice.created, notice.id)


def meet(connection: Connection, notice: Notice, customer_id: str) -> Mapping[str, Any]:
    accounts = repository.meet(
        connection,
        claim(notice, customer_id),
        event_id=notice.id,
        event_type=notice.type,
        event_at=notice.created,
    )
    return {"accounts": accounts, "customer": customer_id}


def applied(connection: Connection, met: Mapping[str, Any], **details: Any) -> Outcome:  # noqa: ANN401
    """Settle the accounts; say so when the customer is nobody's, for the reconcile."""
    changes = consequences.settle(connection, met["accounts"])
    unmatched = {} if met["accounts"] else {"unmatched_customer": met["customer"]}
    return Outcome("applied", {**consequences.described(changes), **unmatched, **details})


def on_customer(connection: Connection, notice: Notice) -> Outcome:
    said = objects.customer(notice.thing)
    met = meet(connection, notice, said.id)
    moved = repository.keep_customer(connection, said, notice.version(final=said.deleted))
    consequences.choose_default(connection, [said.id])
    outcome = applied(connection, met)
    return outcome if moved else Outcome("stale", outcome.details)


def on_subscription(connection: Connection, notice: Notice) -> Outcome:
    said = objects.subscription(notice.thing)
    met = meet(connection, notice, said.customer_id)
    version = notice.version(final=not said.live, latest=said.latest)
    moved = repository.keep_subscription(connection, said, version)
    outcome = applied(connection, met)
    return outcome if moved else Outcome("stale", outcome.details)


def on_checkout(connection: Connection, notice: Notice) -> Outcome:
    """It says whose the customer is; what he subscribed to, the subscription's own event says."""
    customer_id = objects.payer(notice.thing)
    if customer_id is None:
        return Outcome("ignored", {"reason": "a checkout without a customer"})
    return applied(connection, meet(connection, notice, customer_id))


def on_invoice(connection: Connection, notice: Notice) -> Outcome:
    said = entries.invoice(notice.thing)
    if said.customer_id is None:
        return Outcome("ignored", {"reason": "an invoice without a customer"})
    meet(connection, notice, said.customer_id)
    version = notice.version(final=said.status in SETTLED_INVOICES)
    return recorded(connection, failed(said, notice), version)


def failed(said: Entry, notice: Notice) -> Entry:
    """An open invoice whose payment failed says so."""
    unpaid = notice.verb == "payment_failed" and said.status == "open"
    return replace(said, status="payment_failed") if unpaid else said


def on_refund(connection: Connection, notice: Notice) -> Outcome:
    said = entries.refunds(notice.thing)
    if said.customer_id is not None:
        meet(connection, notice, said.customer_id)
    return recorded(connection, said, notice.version())


def on_dispute(connection: Connection, notice: Notice) -> Outcome:
    return recorded(connection, entries.dispute(notice.thing), notice.version())


def recorded(connection: Connection, entry: Entry, version: Version) -> Outcome:
    if not repository.keep_entry(connection, entry, version):
        return STALE
    return Outcome("applied", {"entry": entry.id, "needs_answer": entry.needs_answer})


def on_payment_method(connection: Connection, notice: Notice) -> Outcome:
    said = objects.payment_method(notice.thing)
    before = objects.payer(notice.previous)
    held_by = said.customer_id or before or repository.holder(connection, said.id)
    if held_by is not None:
        meet(connection, notice, held_by)
    if notice.verb == "detached":
        said = replace(said, customer_id=None)
    moved = repository.keep_method(connection, said, notice.version(final=said.customer_id is None))
    if held_by is not None:
        consequences.choose_default(connection, [held_by])
    return Outcome("applied") if moved else STALE


def on_setup(connection: Connection, notice: Notice) -> Outcome:
    """It promises a payment method; which card that is, the method's own event says."""
    customer_id = objects.payer(notice.thing)
    method_id = objects.method(notice.thing)
    if customer_id is None or method_id is None:
        return Outcome("ignored", {"reason": "a setup without a customer"})
    met = meet(connection, notice, customer_id)
    repository.expect_method(connection, method_id, customer_id, notice.created)
    consequences.choose_default(connection, [customer_id])
    return applied(connection, met)


def on_product(connection: Connection, notice: Notice) -> Outcome:
    repository.lock_catalogue(connection)
    said = repository.known(connection, objects.product(notice.thing))
    latest = objects.changed_at(notice.thing)
    if not repository.keep_product(connection, said, notice.version(latest=latest)):
        return STALE
    consequences.set_plans(connection)
    changes = consequences.settle_holders(connection, said.id)
    warnings = {"warnings": list(said.warnings)} if said.warnings else {}
    return Outcome("applied", {**consequences.described(changes), **warnings})


def on_price(connection: Connection, notice: Notice) -> Outcome:
    repository.lock_catalogue(connection)
    if not repository.keep_price(connection, objects.price(notice.thing), notice.version()):
        return STALE
    consequences.set_plans(connection)
    return Outcome("applied")


def every(subject: str, *verbs: str, do: Change) -> dict[str, Change]:
    return {f"{subject}.{verb}": do for verb in verbs}


LIFE: Final = ("created", "updated", "deleted")
INVOICES: Final = ("finalized", "payment_succeeded", "payment_failed", "paid", "voided")
DISPUTES: Final = ("created", "updated", "funds_withdrawn", "funds_reinstated", "closed")
CHANGES: Final[Mapping[str, Change]] = {
    **every("customer", *LIFE, do=on_customer),
    **every("customer.subscription", *LIFE, "paused", "resumed", do=on_subscription),
    **every("checkout.session", "completed", do=on_checkout),
    **every("invoice", *INVOICES, do=on_invoice),
    **every("setup_intent", "succeeded", do=on_setup),
    **every("payment_method", "attached", "updated", "detached", do=on_payment_method),
    **every("product", *LIFE, do=on_product),
    **every("price", *LIFE, do=on_price),
    **every("charge", "refunded", do=on_refund),
    **every("charge.dispute", *DISPUTES, do=on_dispute),
}

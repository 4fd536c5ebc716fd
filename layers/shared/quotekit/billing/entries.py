"""Stripe's JSON about money, read: invoices, refunds, disputes. Raises PermanentError."""

from typing import Final

from quotekit.billing.model import Entry
from quotekit.billing.objects import (
    Json,
    checked,
    identifier,
    moment,
    optional,
    reference,
    text,
    word,
)

GIVEN_BACK: Final = {"won", "prevented"}
INQUIRIES: Final = {"warning_needs_response", "warning_under_review", "warning_closed"}
UNANSWERED: Final = {"needs_response", "warning_needs_response"}


@checked
def invoice(thing: Json) -> Entry:
    paid = thing["status"] == "paid"
    since = thing.get("status_transitions") or {}
    occurred = since.get("paid_at") or since.get("voided_at") or since.get("finalized_at")
    details = (thing.get("parent") or {}).get("subscription_details") or {}
    return Entry(
        id=identifier(thing["id"]),
        kind="invoice",
        customer_id=reference(thing.get("customer")),
        subscription_id=reference(thing.get("subscription") or details.get("subscription")),
        charge_id=reference(thing.get("charge")),
        payment_intent=reference(thing.get("payment_intent") or _paid_by(thing)),
        amount=int(thing["amount_paid"] if paid else thing["amount_due"]),
        currency=str(thing["currency"]).upper(),
        status=str(thing["status"]),
        description=text(thing.get("description") or thing.get("number")),
        url=word(thing.get("hosted_invoice_url")),
        needs_answer=False,
        due_by=optional(thing.get("due_date")),
        occurred_at=moment(occurred or thing["created"]),
    )


def _paid_by(thing: Json) -> object:
    """Since 2025-03-31 an invoice lists its payments; events carry the list when it is there."""
    for attempt in (thing.get("payments") or {}).get("data", []):
        used: object = attempt.get("payment", {}).get("payment_intent")
        if used:
            return used
    return None


@checked
def refunds(thing: Json) -> Entry:
    """All that went back of a charge so far; the event's time stands in for the refund's."""
    whole = bool(thing.get("refunded"))
    return Entry(
        id=f"refund_{identifier(thing['id'])}",
        kind="refund",
        customer_id=reference(thing.get("customer")),
        subscription_id=None,
        charge_id=identifier(thing["id"]),
        payment_intent=reference(thing.get("payment_intent")),
        amount=-int(thing["amount_refunded"]),
        currency=str(thing["currency"]).upper(),
        status="refunded" if whole else "partially_refunded",
        description=text(thing.get("description")),
        url=word(thing.get("receipt_url")),
        needs_answer=False,
        due_by=None,
        occurred_at=moment(thing["created"]),
    )


@checked
def dispute(thing: Json) -> Entry:
    """What the customer's bank took; an inquiry takes nothing, and what was won came back."""
    status = str(thing["status"])
    taken = status not in GIVEN_BACK | INQUIRIES
    return Entry(
        id=identifier(thing["id"]),
        kind="dispute",
        customer_id=None,
        subscription_id=None,
        charge_id=reference(thing["charge"]),
        payment_intent=reference(thing.get("payment_intent")),
        amount=-int(thing["amount"]) if taken else 0,
        currency=str(thing["currency"]).upper(),
        status=status,
        description=text(thing.get("reason")),
        url=None,
        needs_answer=status in UNANSWERED,
        due_by=optional((thing.get("evidence_details") or {}).get("due_by")),
        occurred_at=moment(thing["created"]),
    )

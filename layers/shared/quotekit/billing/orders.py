"""What is asked of Stripe for an account. What comes of it, Stripe's events say.

A subscription is never doubled: before one is sold, Stripe is asked whether there is one; an open
checkout is used again or closed before another is opened; and two that are opened at once carry the
same Idempotency-Key, made of the account and its newest checkout, so that Stripe opens one.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from quotekit.billing import objects
from quotekit.billing.client import MOST, Stripe
from quotekit.billing.model import Session
from quotekit.billing.objects import Json
from quotekit.billing.refusals import StripeUnavailableError
from quotekit.billing.requests import CheckoutRequest
from quotekit.billing.service import Offer, Payer
from quotekit.errors import ConflictError
from quotekit.webhooks.model import PermanentError

# Stripe keeps an answer, also a failure of its own, a day under its key: so none is used so long.
KEY_SECONDS: Final = 300
FOLLOWS: Final = "The account's plan follows when Stripe's event arrives."


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks for what; `caller_key` is the request's Idempotency-Key."""

    stripe: Stripe
    payer: Payer
    offer: Offer | None
    caller_key: str | None

    @property
    def wanted(self) -> Offer:
        if self.offer is None:
            raise ConflictError("No price was asked for.")
        return self.offer

    def key(self, purpose: str) -> str | None:
        """The caller's key as Stripe gets it: the keys of all accounts share one space there."""
        if self.caller_key is None:
            return None
        return idempotency_key(self.payer.account_id, purpose, self.caller_key)


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the caller pays."""

    id: str
    url: str
    expires_at: datetime | None
    customer_id: str
    note: str = FOLLOWS


@dataclass(frozen=True, slots=True)
class Portal:
    """Where the caller sees to cards and invoices."""

    url: str


@dataclass(frozen=True, slots=True)
class Told:
    """A subscription as Stripe has just answered."""

    subscription_id: str
    status: str
    price_ids: list[str]
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    ended_at: datetime | None
    note: str = FOLLOWS


def place[T](stripe: Stripe, account_id: UUID, put: Callable[[], T]) -> T:
    """Ask. What Stripe answers so that nobody can read it is as good as no answer.

    Raises StripeUnavailableError when as many as may ask at once do so already."""
    try:
        with stripe.leased():
            return put()
    except PermanentError as error:
        error.add_note(f"account {account_id}")
        raise StripeUnavailableError from error


def check_out(order: Order, body: CheckoutRequest) -> Checkout:
    """Open a checkout, or the one that is open. Raises ConflictError for who subscribes already."""
    stripe, payer, offer = order.stripe, order.payer, order.wanted
    customer_id = payer.customer_id or make_customer(stripe, payer.account_id)
    asked = stripe.get("checkout/sessions", customer=customer_id, limit=MOST)
    sessions = [objects.session(thing) for thing in asked.data]
    if living(stripe, customer_id):
        raise ConflictError("There is a subscription already; change its plan instead.")
    for session in sessions:
        if session.open and (session.price_id, session.success_url, session.cancel_url) == (
            *(offer.price_id, body.success_url, body.cancel_url),
        ):
            return _opened(session, customer_id)
        if session.open:
            stripe.post(f"checkout/sessions/{session.id}/expire")
    newest = sessions[0].id if sessions else "first"
    params = _session(payer.account_id, customer_id, offer, body)
    made = stripe.post(
        "checkout/sessions", key=idempotency_key(payer.account_id, "checkout", newest), **params
    )
    return _opened(objects.session(made.body), customer_id)


def make_customer(stripe: Stripe, account_id: UUID) -> str:
    """A customer named after the account and nothing else: whose he is stands in his metadata."""
    metadata = {"account_id": str(account_id)}
    made = stripe.post(
        "customers", key=idempotency_key(account_id, "customer", ""), metadata=metadata
    )
    return objects.name(made.body)


def idempotency_key(account_id: UUID, purpose: str, state: str) -> str:
    """Changes every five minutes, as Stripe keeps its failures under a key too."""
    period = int(time.time()) // KEY_SECONDS
    return hashlib.sha256(f"{account_id}\n{purpose}\n{state}\n{period}".encode()).hexdigest()


def _session(
    account_id: UUID, customer_id: str, offer: Offer, body: CheckoutRequest
) -> dict[str, Any]:
    metadata = {"account_id": str(account_id), "price_id": offer.price_id}
    trial = {"trial_period_days": offer.trial_days} if offer.trial_days else {}
    return {
        "mode": "subscription",
        "customer": customer_id,
        "client_reference_id": str(account_id),
        "success_url": body.success_url,
        "cancel_url": body.cancel_url,
        "line_items": [{"price": offer.price_id, "quantity": 1}],
        "allow_promotion_codes": True,
        "billing_address_collection": "required",
        "metadata": metadata,
        "subscription_data": {"metadata": {"account_id": str(account_id)}, **trial},
    }


def _opened(session: Session, customer_id: str) -> Checkout:
    if session.url is None:
        raise ConflictError("The checkout is over already; try again.")
    return Checkout(session.id, session.url, session.expires_at, customer_id)


def open_portal(order: Order, return_url: str) -> Portal:
    """Raises ConflictError for an account that Stripe does not know."""
    customer_id = order.payer.customer_id
    if customer_id is None:
        raise ConflictError("Stripe knows no customer of this account yet; check out first.")
    asked = {"customer": customer_id, "return_url": return_url}
    session = order.stripe.post("billing_portal/sessions", **asked)
    return Portal(objects.link(session.body))


def cancel(order: Order, when: Literal["period_end", "now"]) -> Told:
    held = in_force(order)
    if when == "now":
        return told(order.stripe.delete(f"subscriptions/{objects.name(held)}").body)
    return _change(order, held, "cancel", {"cancel_at_period_end": True})


def resume(order: Order) -> Told:
    """Take a cancellation back, as long as the subscription lasts."""
    return _change(order, in_force(order), "resume", {"cancel_at_period_end": False})


def change_plan(order: Order) -> Told:
    """To more: paid at once, or not done. To less: credited, and the period stays."""
    held = in_force(order)
    said = objects.subscription(held)
    if len(said.items) != 1:
        raise ConflictError("The subscription has several items; change it in the portal.")
    (item,) = said.items
    if item.price_id == order.wanted.price_id:
        return told(held)
    before = objects.price(held["items"]["data"][0]["price"]).yearly
    billing = {"proration_behavior": "create_prorations"}
    if before is None or before < order.wanted.yearly:
        billing = {
            "proration_behavior": "always_invoice",
            "payment_behavior": "error_if_incomplete",
        }
    items = [{"id": item.id, "price": order.wanted.price_id, "quantity": item.quantity}]
    return _change(order, held, "change-plan", {"items": items, **billing})


def _change(order: Order, held: Json, purpose: str, change: Mapping[str, Any]) -> Told:
    path = f"subscriptions/{objects.name(held)}"
    return told(order.stripe.post(path, key=order.key(purpose), **change).body)


def living(stripe: Stripe, customer_id: str) -> list[Json]:
    """The customer's subscriptions that have not ended, the newest first."""
    answer = stripe.get("subscriptions", customer=customer_id, status="all", limit=MOST)
    return [thing for thing in answer.data if objects.subscription(thing).live]


def in_force(order: Order) -> Json:
    """The subscription to change, as Stripe has it now. Raises ConflictError for none."""
    payer = order.payer
    held = living(order.stripe, payer.customer_id) if payer.customer_id else []
    if not held:
        raise ConflictError("There is no subscription; check out first.")
    return next((one for one in held if one["id"] == payer.subscription_id), held[0])


def told(thing: Json) -> Told:
    held = objects.subscription(thing)
    ends = [item.period_end for item in held.items if item.period_end]
    return Told(
        subscription_id=held.id,
        status=held.status,
        price_ids=[item.price_id for item in held.items],
        current_period_end=max(ends, default=None),
        cancel_at_period_end=held.cancel_at_period_end,
        cancel_at=held.cancel_at,
        ended_at=held.ended_at,
    )

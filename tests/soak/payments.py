"""What Stripe tells: a product, subscriptions to it, invoices."""

from typing import Any, Final

from tests.soak.letters import BASE, Json, Letter, Place, account, encoded, name

PLAN: Final = "premium"


def stripe(run: str, place: Place, kind: str, thing: Json, **facts: Any) -> Letter:
    event_id = f"evt_{name(run, *place)}"
    payload = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": place.at,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    return Letter("stripe", event_id, encoded(payload), kind, at=place.at, **facts)


def product(run: str, place: Place) -> Letter:
    """What every subscription here is of; it comes somewhere among them."""
    thing = {
        "id": f"prod_{run}",
        "object": "product",
        "active": True,
        "created": BASE,
        "metadata": {"plan": PLAN},
        "name": "Soak",
        "updated": place.at,
    }
    subject = ("stripe", "product", thing["id"])
    return stripe(run, place, "product.created", thing, subject=subject, state=PLAN)


LIFE: Final = ("incomplete", "trialing", "active", "past_due", "active", "past_due")


def subscription(run: str, place: Place) -> Letter:
    first = place.version == 0
    ended = place.is_last and place.number % 3 == 0 and not first
    status = "canceled" if ended else LIFE[place.version % len(LIFE)]
    held_by = account(run, "subscription", place.number)
    key = f"sub_{name(run, 'sub', place.number)}"
    started = place.at - 2 * place.version
    sold = {"id": f"price_{run}", "object": "price", "product": f"prod_{run}"}
    only = {
        "id": f"si_{key}",
        "object": "subscription_item",
        "price": sold,
        "quantity": place.version + 1,
        "current_period_start": started,
        "current_period_end": started + 2_592_000,
    }
    thing = {
        "id": key,
        "object": "subscription",
        "customer": f"cus_{name(run, 'cus', place.number)}",
        "status": status,
        "created": started,
        "canceled_at": place.at if ended else None,
        "ended_at": place.at if ended else None,
        "cancel_at_period_end": False,
        "items": {"object": "list", "data": [only], "has_more": False},
        "metadata": {"account_id": held_by},
    }
    verb = "created" if first else "deleted" if ended else "updated"
    return stripe(
        run,
        place,
        f"customer.subscription.{verb}",
        thing,
        subject=("stripe", "subscription", held_by),
        state=f"{key} {PLAN} {status} {place.version + 1}",
    )


def invoice(run: str, place: Place) -> Letter:
    steps = (("finalized", "open"), ("payment_failed", "open"), ("paid", "paid"))
    verb, status = steps[min(place.version, 2)]
    key = f"in_{name(run, 'in', place.number)}"
    thing = {
        "id": key,
        "object": "invoice",
        "customer": f"cus_{name(run, 'cus of', place.number)}",
        "amount_due": 1200,
        "amount_paid": 1200 if status == "paid" else 0,
        "total": 1200,
        "currency": "usd",
        "created": place.at - 2 * place.version,
        "status": status,
        "metadata": {},
        "parent": None,
        "status_transitions": {"finalized_at": place.at, "paid_at": None},
    }
    state = "payment_failed" if verb == "payment_failed" else status
    subject = ("stripe", "invoice", key)
    return stripe(run, place, f"invoice.{verb}", thing, subject=subject, state=state)

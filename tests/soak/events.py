"""Every kind of event by its sender's own rules, and whole histories of them."""

import hashlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tests.soak.letters import (
    BASE,
    Json,
    Letter,
    Place,
    Subject,
    account,
    encoded,
    endpoint,
    iso,
    name,
)

DEBOUNCE: Final = 5  # seconds, by the default rules for what GitHub tells
REPOSITORIES: Final = 25
TENANTS: Final = 8  # the last of them signs by ed25519
PLAN: Final = "premium"


def repository(run: str, place: Place) -> str:
    return f"soak-{run}/{place.number % REPOSITORIES}"


def window(place: Place, subject: Subject, action: str) -> tuple[str, ...]:
    """Events of one object within one debounce count together."""
    return ("window", *subject[1:], action, str(place.at // DEBOUNCE))


def github(
    run: str, place: Place, payload: Json, subject: Subject, *, action: str, state: str
) -> Letter:
    full_name = repository(run, place)
    event_id = name(run, *place)
    payload |= {
        "sender": {"login": "grace"},
        "installation": {"id": 99},
        "repository": {"id": 1, "full_name": full_name} | payload.get("repository", {}),
    }
    opened = action == "opened"
    once = ("event", event_id) if opened else window(place, subject, action)
    return Letter(
        "github",
        event_id,
        encoded(payload),
        subject[2],
        subject=subject,
        at=place.at,
        state=state,
        effects=(once,),
    )


def item(run: str, place: Place, kind: str, key: str, middle: tuple[str, ...]) -> Letter:
    """A pull request or an issue: opened, worked on, closed."""
    action = middle[place.version // 3 % len(middle)]
    if place.version == 0:
        action = "opened"
    elif place.is_last:
        action = "closed"
    merged = kind == "pull_request" and action == "closed" and place.number % 2 == 0
    state = "merged" if merged else "closed" if action == "closed" else "open"
    number = place.number + 1
    told = {
        "number": number,
        "state": "open" if state == "open" else "closed",
        "title": f"Change {number}, told {place.version + 1} times",
        "user": {"login": "ada"},
        "author_association": "CONTRIBUTOR",
        "created_at": iso(place.at - 2 * place.version),
        "updated_at": iso(place.at),
    }
    if kind == "pull_request":
        told["merged"] = merged
    subject = ("github", repository(run, place), kind, str(number))
    payload = {"action": action, key: told}
    return github(run, place, payload, subject, action=action, state=state)


def pull_request(run: str, place: Place) -> Letter:
    return item(run, place, "pull_request", "pull_request", ("edited", "synchronize"))


def issue(run: str, place: Place) -> Letter:
    return item(run, place, "issues", "issue", ("labeled", "edited"))


def push(run: str, place: Place, padding: int = 0) -> Letter:
    after = hashlib.sha1(name(run, *place).encode()).hexdigest()  # noqa: S324 as git names commits
    ref = f"refs/heads/{place.kind}-{place.number}"
    payload = {
        "ref": ref,
        "after": after,
        "deleted": False,
        "repository": {"pushed_at": place.at},
        "commits": [{"id": after, "message": "x" * padding}],
    }
    subject = ("github", repository(run, place), "push", ref)
    return github(run, place, payload, subject, action="", state=after)


def large_push(run: str, place: Place) -> Letter:
    """More than SQS takes: it travels by claim check."""
    return push(run, place, padding=300_000)


def star(run: str, place: Place) -> Letter:
    """A type nobody reads: kept as ignored."""
    payload = {"action": "created", "repository": {"full_name": repository(run, place)}}
    return Letter("github", name(run, *place), encoded(payload), "star", state="ignored")


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


ORDER: Final = ("UNPAID", "AWAITING_SHIPMENT", "AWAITING_COLLECTION", "IN_TRANSIT", "DELIVERED")


def order(run: str, place: Place) -> Letter:
    """TikTok Shop's type 1."""
    event_id = name(run, *place)
    shop, key = f"7{place.number % 40:03d}", name(run, "order", place.number)
    status = ORDER[place.version % len(ORDER)]
    payload = {
        "type": 1,
        "tts_notification_id": event_id,
        "shop_id": shop,
        "timestamp": place.at,
        "data": {"order_id": key, "order_status": status, "update_time": place.at},
    }
    return Letter(
        "tiktok-shop",
        event_id,
        encoded(payload),
        "1",
        subject=("tiktok-shop", shop, "order", key),
        at=place.at,
        state=status,
        effects=(("shop", event_id),),
    )


SCANS: Final = (("pre_transit", "label_created"), ("in_transit", "in_transit"))


def scans(place: Place) -> list[tuple[int, str, str]]:
    """All scans up to this event: time, the carrier's word, ours; the last of all delivers."""
    first = place.at - 2 * place.version
    told = [(first + 2 * step, *SCANS[min(step, 1)]) for step in range(place.version + 1)]
    if place.is_last:
        told[-1] = (place.at, "delivered", "delivered")
    return told


def parcel(run: str, place: Place) -> Letter:
    """EasyPost tells each time all that was scanned so far."""
    event_id, number = f"evt_{name(run, *place)}", f"EZ{name(run, 'parcel', place.number)}"
    told = scans(place)
    details = [{"datetime": iso(at), "status": code} for at, code, _ in told]
    payload = {
        "id": event_id,
        "description": "tracker.updated",
        "result": {"tracking_code": number, "carrier": "USPS", "tracking_details": details},
    }
    return carried(
        "easypost", event_id, encoded(payload), kind="tracker.updated", number=number, told=told
    )


def shipment(run: str, place: Place) -> Letter:
    """Shippo's events have no id: the body's hash is."""
    number = f"SH{name(run, 'shipment', place.number)}"
    told = scans(place)
    history = [{"status": code.upper(), "status_date": iso(at)} for at, code, _ in told]
    data = {"carrier": "usps", "tracking_number": number, "tracking_history": history}
    body = encoded({"event": "track_updated", "data": data | {"tracking_status": history[-1]}})
    event_id = f"sha256:{hashlib.sha256(body).hexdigest()}"
    upper = [(at, code.upper(), state) for at, code, state in told]
    return carried("shippo", event_id, body, kind="track_updated", number=number, told=upper)


def carried(
    source: str,
    event_id: str,
    body: bytes,
    *,
    kind: str,
    number: str,
    told: list[tuple[int, str, str]],
) -> Letter:
    at, _, state = told[-1]
    return Letter(
        source,
        event_id,
        body,
        kind,
        subject=(source, "", "parcel", number),
        at=at,
        state=state,
        effects=tuple(("scan", source, number, str(at), code) for at, code, _ in told),
        shared=True,
    )


def tenant_event(run: str, place: Place) -> Letter:
    """A Standard Webhook of a tenant's own sender."""
    event_id = f"msg_{name(run, *place)}"
    address = endpoint(run, place.number % TENANTS)
    data = {"id": f"lead_{place.number}", "note": "ünïcödé ✓"}
    payload = {"type": "lead.created", "timestamp": iso(place.at), "data": data}
    return Letter(
        "standard",
        event_id,
        encoded(payload),
        "lead.created",
        endpoint_id=address,
        effects=(("inbox", address, event_id),),
    )


class Kind(NamedTuple):
    write: Callable[[str, Place], Letter]
    share: int  # of a thousand objects
    longest: int  # things told of one object


KINDS: Final[Mapping[str, Kind]] = {
    "pull_request": Kind(pull_request, 160, 8),
    "issue": Kind(issue, 80, 6),
    "push": Kind(push, 80, 5),
    "large_push": Kind(large_push, 2, 1),
    "star": Kind(star, 60, 1),
    "subscription": Kind(subscription, 140, 9),
    "invoice": Kind(invoice, 60, 3),
    "order": Kind(order, 130, 5),
    "parcel": Kind(parcel, 60, 6),
    "shipment": Kind(shipment, 28, 4),
    "tenant_event": Kind(tenant_event, 200, 1),
}


def write(run: str, place: Place) -> Letter:
    if place.kind == "product":
        return product(run, place)
    return KINDS[place.kind].write(run, place)


def histories(chance: random.Random, count: int) -> list[Place]:
    """`count` different letters: whole histories of objects, in the order of happening."""
    places = [Place("product", 0, 0, 1)]
    names, shares = list(KINDS), [kind.share for kind in KINDS.values()]
    numbers = dict.fromkeys(names, 0)
    while len(places) < count:
        kind = chance.choices(names, shares)[0]
        length = min(chance.randint(1, KINDS[kind].longest), count - len(places))
        number = numbers[kind]
        numbers[kind] += 1
        places += [Place(kind, number, version, length) for version in range(length)]
    return places


def deliveries(chance: random.Random, places: list[Place], count: int) -> list[Place]:
    """Each letter at least once and `count` in all, in no order."""
    sent = places + chance.choices(places, k=count - len(places))
    chance.shuffle(sent)
    return sent

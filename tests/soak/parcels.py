"""What shops, carriers and tenants' own senders tell."""

import hashlib
from typing import Final

from tests.soak.letters import Letter, Place, encoded, endpoint, iso, name

TENANTS: Final = 8  # the last of them signs by ed25519
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

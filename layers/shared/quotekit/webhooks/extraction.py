"""What a verified webhook says of itself: id, type, action, object, sender's time, and whose it is.

Each sender says it elsewhere. What is missing or unusable is None, as no sender is refused for an
event we do not know; only the standard library is imported.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

LONGEST_ID: Final = 255
LONGEST_TYPE: Final = 200
LONGEST_GROUP: Final = 128
UNKNOWN: Final = "unknown"
MILLISECONDS: Final = 100_000_000_000  # numbers above are milliseconds since 1970, not seconds

type Payload = Mapping[str, Any]
type Headers = Mapping[str, str]


class Facts(NamedTuple):
    """`group` is what SQS shares its deliveries among: one tenant, shop or customer."""

    event_id: str
    type: str
    action: str | None
    object_id: str | None
    created_at: str | None
    group: str


class Said(NamedTuple):
    """The same as the sender says it, unchecked."""

    event_id: object = None
    type: object = None
    action: object = None
    object_id: object = None
    created_at: object = None
    group: object = None


def facts(source: str, headers: Headers, body: bytes, payload: Payload) -> Facts:
    said = SENDERS[source](headers, payload)
    object_id = text(said.object_id)
    return Facts(
        event_id=text(said.event_id) or body_id(body),
        type=text(said.type, LONGEST_TYPE) or UNKNOWN,
        action=text(said.action, LONGEST_TYPE),
        object_id=object_id,
        created_at=moment(said.created_at),
        group=group(source, text(said.group) or object_id or ""),
    )


def body_id(body: bytes) -> str:
    """The id of an event whose sender gives it none: the same body is the same event."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def text(value: object, longest: int = LONGEST_ID) -> str | None:
    """A name or number that can be stored and shown."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**longest:
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
        return value
    return None


def moment(value: object) -> str | None:
    """A time in ISO 8601 with its zone, from that or from a number since 1970."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > MILLISECONDS else value
            return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return None


def group(source: str, name: str) -> str:
    """A MessageGroupId, which SQS wants short and in plain characters."""
    found = f"{source}:{name}"
    if len(found) <= LONGEST_GROUP and found.isascii() and found.isprintable() and " " not in found:
        return found
    return f"{source}:{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"


def part(payload: object, *path: str) -> Any:  # noqa: ANN401 strangers' JSON
    """What lies at a path of names, or None."""
    for name in path:
        if not isinstance(payload, Mapping):
            return None
        payload = payload.get(name)
    return payload


def first(payload: object, *names: str) -> Any:  # noqa: ANN401
    """The first of these that says something."""
    found = (part(payload, name) for name in names)
    return next((value for value in found if value), None)


def stripe(_: Headers, payload: Payload) -> Said:
    """Events of both kinds: whole ones, and thin ones that name a related object."""
    about = part(payload, "data", "object")
    customer = part(about, "customer")
    return Said(
        event_id=payload.get("id"),
        type=payload.get("type"),
        object_id=part(about, "id") or part(payload, "related_object", "id"),
        created_at=payload.get("created"),
        group=first(payload, "account") or part(customer, "id") or customer or part(about, "id"),
    )


def github(headers: Headers, payload: Payload) -> Said:
    """Type and delivery are headers, which GitHub does not sign."""
    kind = headers.get("x-github-event")
    repository = part(payload, "repository", "full_name")
    installation = part(payload, "installation", "id")
    subject = first(payload, str(kind), "pull_request", "issue", "release", "check_run")
    number = part(subject, "number")
    pushed = part(payload, "head_commit", "timestamp")
    named = f"{repository}#{number}" if repository and number else repository or installation
    return Said(
        event_id=headers.get("x-github-delivery"),
        type=kind,
        action=payload.get("action"),
        object_id=named,
        created_at=pushed if kind == "push" else first(subject, "updated_at", "created_at"),
        group=repository or installation or part(payload, "organization", "login"),
    )


def tiktok_shop(_: Headers, payload: Payload) -> Said:
    """Types are numbers: 1 is a change of an order's status."""
    data = payload.get("data")
    return Said(
        event_id=payload.get("tts_notification_id"),
        type=payload.get("type"),
        action=first(data, "order_status", "cancel_status", "return_status", "status"),
        object_id=first(data, "order_id", "package_id", "return_id", "cancel_id", "product_id"),
        created_at=part(data, "update_time") or payload.get("timestamp"),
        group=first(payload, "shop_id", "seller_open_id"),
    )


def easypost(_: Headers, payload: Payload) -> Said:
    return Said(
        event_id=payload.get("id"),
        type=payload.get("description"),
        action=part(payload, "result", "status"),
        object_id=part(payload, "result", "id"),
        created_at=first(payload, "updated_at", "created_at"),
        group=payload.get("user_id"),
    )


def shippo(_: Headers, payload: Payload) -> Said:
    """Its events have no id: the body is."""
    data = payload.get("data")
    return Said(
        type=payload.get("event"),
        action=part(data, "tracking_status", "status") or part(data, "status"),
        object_id=first(data, "tracking_number", "object_id"),
        created_at=part(data, "tracking_status", "status_date") or part(data, "object_updated"),
        group=first(payload, "carrier") or part(data, "carrier"),
    )


def standard(headers: Headers, payload: Payload) -> Said:
    """The signed headers give the id, and the time where the payload has none."""
    sent = headers.get("webhook-timestamp", "")
    return Said(
        event_id=headers.get("webhook-id"),
        type=payload.get("type"),
        action=part(payload, "data", "action"),
        object_id=part(payload, "data", "id"),
        created_at=payload.get("timestamp") or (int(sent) if sent.isdecimal() else None),
    )


SENDERS: Final[Mapping[str, Callable[[Headers, Payload], Said]]] = {
    "stripe": stripe,
    "github": github,
    "tiktok-shop": tiktok_shop,
    "easypost": easypost,
    "shippo": shippo,
    "standard": standard,
}

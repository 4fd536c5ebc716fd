"""Webhooks in the shapes their senders give them, as webhook-handler puts them on a queue."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from quotekit.webhooks.model import Event

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
HANDLERS: Final = {"easypost": "carrier", "shippo": "carrier"}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    """As GitHub writes times."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(
    source: str, kind: str, payload: Mapping[str, Any] | str, event_id: str = "", **more: Any
) -> Event:
    given: dict[str, Any] = {
        "source": source,
        "event_id": event_id or uuid4().hex,
        "type": kind,
        "handler": HANDLERS.get(source, source),
        "received_at": at(60),
        "body": payload if isinstance(payload, str) else json.dumps(payload),
    }
    return Event(**given | more)


def pull_request(
    state: str,
    updated: float,
    *,
    action: str = "edited",
    number: int = 7,
    event_id: str = "",
    **more: Any,
) -> Event:
    """GitHub's pull_request, cut to what it is recognised by."""
    payload = {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "state": "open" if state == "open" else "closed",
            "merged": state == "merged",
            "title": f"Change {number}, told at {updated}",
            "user": {"login": "ada"},
            "author_association": "CONTRIBUTOR",
            "created_at": iso(0),
            "updated_at": iso(updated),
        },
        "repository": {"id": 1, "full_name": "acme/lawn"},
        "sender": {"login": "grace"},
        "installation": {"id": 99},
    }
    return event("github", "pull_request", payload, event_id, action=action, **more)


def push(
    after: str, pushed: int, *, ref: str = "refs/heads/main", event_id: str = "", **more: Any
) -> Event:
    payload = {
        "ref": ref,
        "after": after,
        "deleted": False,
        "repository": {"full_name": "acme/lawn", "pushed_at": int(at(pushed).timestamp())},
        "sender": {"login": "grace"},
    }
    return event("github", "push", payload, event_id, **more)


def shop_order(
    status: str, updated: int, *, order: str = "5764", event_id: str = "", **more: Any
) -> Event:
    """TikTok Shop's type 1: an order's status."""
    moment = int(at(updated).timestamp())
    payload = {
        "type": 1,
        "tts_notification_id": event_id or "n",
        "shop_id": "7494",
        "timestamp": moment,
        "data": {"order_id": order, "order_status": status, "update_time": moment},
    }
    return event("tiktok-shop", "1", payload, event_id, **more)


def tracker(*scans: tuple[float, str], event_id: str = "", number: str = "9400") -> Event:
    """EasyPost's tracker.updated with these scans."""
    details = [{"datetime": iso(seconds), "status": status} for seconds, status in scans]
    payload = {
        "id": event_id or "evt",
        "description": "tracker.updated",
        "result": {"tracking_code": number, "carrier": "USPS", "tracking_details": details},
    }
    return event("easypost", "tracker.updated", payload, event_id)

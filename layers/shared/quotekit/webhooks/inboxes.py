"""What shops and tenants' senders tell, laid where those concerned read it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks import objects
from quotekit.webhooks.model import Event, Outcome, PermanentError
from quotekit.webhooks.moments import moment
from quotekit.webhooks.objects import Version
from quotekit.webhooks.repository import columns, storable

# TikTok Shop's types: what each is about, and where its object's id and its state are.
SHOP_TYPES: Final[Mapping[str, tuple[str, str, str]]] = {
    "1": ("order", "order_id", "order_status"),
    "3": ("address", "order_id", ""),
    "4": ("package", "package_id", ""),
    "5": ("product", "product_id", "status"),
    "6": ("authorization", "", ""),
    "7": ("authorization", "", ""),
    "11": ("cancellation", "cancel_id", "cancel_status"),
    "12": ("return", "return_id", "return_status"),
    "15": ("product", "product_id", ""),
    "16": ("product", "product_id", ""),
    "27": ("inventory", "product_id", "status"),
}

SHOP: Final = """
insert into ops.shop_events (id, source, event_id, shop_id, kind, object_id, state, version_at,
    is_stale, data)
values (%(id)s, %(source)s, %(event_id)s, %(shop_id)s, %(kind)s, %(object_id)s, %(state)s,
    %(version_at)s, %(is_stale)s, %(data)s)
"""


def on_shop_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Put shops' events into the commerce functions' inbox, marked when they came too late."""
    versions = [_told(event) for event in events]
    advanced = objects.advance(connection, versions)
    return [
        _put(connection, event, version, is_stale=not moved)
        for event, version, moved in zip(events, versions, advanced, strict=True)
    ]


def _told(event: Event) -> Version:
    kind, id_name, state_name = SHOP_TYPES[event.type]
    data = event.payload.get("data")
    if not isinstance(data, dict):
        raise PermanentError("a shop's event without data")
    shop = _text(event.payload, "shop_id", "seller_open_id")
    return Version(
        source=event.source,
        scope=shop[:100],
        kind=kind,
        object_id=_shop_object(data, id_name) or shop,
        state=_text(data, state_name, "status") or "told",
        at=moment(data.get("update_time")) or event.happened_at,
        tie=event.event_id,
    )


def _put(connection: Connection, event: Event, version: Version, *, is_stale: bool) -> Outcome:
    values = {
        "id": new_id(),
        "source": event.source,
        "event_id": event.event_id,
        "shop_id": version.scope,
        "kind": version.kind,
        "object_id": version.object_id[:255],
        "state": version.state[:100],
        "version_at": version.at,
        "is_stale": is_stale,
        "data": Jsonb(event.payload["data"]),
    }
    connection.defer(SHOP, values)
    return Outcome("stale" if is_stale else "applied", {"kind": version.kind})


def _shop_object(data: Mapping[str, Any], name: str) -> str:
    """Packages come in a list; the first stands for those that were sent together."""
    packages = data.get("package_list")
    if name == "package_id" and isinstance(packages, list) and packages:
        data = packages[0] if isinstance(packages[0], dict) else data
    return _text(data, name)


def _text(given: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text or a number, as text."""
    found = (given.get(name) for name in names)
    return storable(next((str(item) for item in found if isinstance(item, str | int)), ""))


INBOX: Final = """
insert into app.webhook_inbox (id, account_id, endpoint_id, event_id, type, body, occurred_at,
    received_at)
select id, account_id, endpoint_id, event_id, type, body, occurred_at, received_at
from unnest(%(id)s::uuid[], %(account_id)s::uuid[], %(endpoint_id)s::uuid[], %(event_id)s::text[],
    %(type)s::text[], %(body)b::text[], %(occurred_at)s::timestamptz[],
    %(received_at)s::timestamptz[])
    as told (id, account_id, endpoint_id, event_id, type, body, occurred_at, received_at)
on conflict (account_id, endpoint_id, event_id) do nothing
"""


def on_standard_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Put tenants' own events into their inboxes."""
    try:
        connection.execute(INBOX, columns([_inboxed(event) for event in events]))
    except psycopg.errors.ForeignKeyViolation as error:
        raise PermanentError(f"there is no such account: {error.diag.message_detail}") from error
    return [Outcome("applied")] * len(events)


def _inboxed(event: Event) -> dict[str, Any]:
    if event.account_id is None or event.endpoint_id is None:
        raise PermanentError("a Standard Webhook of no tenant")
    return {
        "id": new_id(),
        "account_id": event.account_id,
        "endpoint_id": event.endpoint_id,
        "event_id": storable(event.event_id),
        "type": storable(event.type)[:200],
        "body": storable(event.body),
        "occurred_at": event.happened_at,
        "received_at": event.received_at,
    }

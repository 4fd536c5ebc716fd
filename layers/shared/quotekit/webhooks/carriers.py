"""What carriers tell of parcels: each scan once, and how far a parcel is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks import objects
from quotekit.webhooks.model import Event, Outcome, PermanentError
from quotekit.webhooks.moments import moment
from quotekit.webhooks.objects import Version
from quotekit.webhooks.repository import storable

# Our words for the carriers'. What is not here is kept, and changes no state.
STATES: Final[Mapping[str, str]] = {
    "pre_transit": "label_created",
    "in_transit": "in_transit",
    "transit": "in_transit",
    "available_for_pickup": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "return_to_sender": "returned",
    "returned": "returned",
    "failure": "exception",
    "error": "exception",
    "cancelled": "voided",
}
# A parcel that arrived can only come back; no scan follows that.
RANKS: Final[Mapping[str, int]] = {"delivered": 1, "returned": 2}


@dataclass(frozen=True, slots=True)
class Scan:
    at: datetime
    code: str
    place: str | None

    @property
    def state(self) -> str | None:
        return STATES.get(self.code.lower())

    @property
    def order(self) -> tuple[int, datetime, str]:
        return (RANKS.get(self.state or "", 0), self.at, self.code)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Its scans, each once, the furthest last."""

    carrier: str
    number: str
    scans: Sequence[Scan]

    @property
    def known(self) -> Sequence[Scan]:
        """Those that say a state."""
        return [scan for scan in self.scans if scan.state]


RECORD: Final = """
insert into ops.tracking_events (id, source, event_id, carrier, tracking_number, scanned_at, code,
    state, place)
select told.id, %(source)s, %(event_id)s, %(carrier)s, %(number)s, told.at, told.code, told.state,
    told.place
from unnest(%(ids)s::uuid[], %(times)s::timestamptz[], %(codes)s::text[], %(states)s::text[],
    %(places)s::text[]) as told (id, at, code, state, place)
order by told.at, told.code
on conflict (source, tracking_number, scanned_at, code) do nothing
"""


def on_carrier_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Keep the scans that events tell, and move parcels on where one of them is further."""
    told = [(event, _read(event)) for event in events]
    # In one order everywhere, so that two batches about the same parcels do not deadlock.
    for event, parcel in sorted(told, key=lambda one: one[1].number):
        connection.defer(RECORD, _scanned(event, parcel))
    moving = [(event, parcel) for event, parcel in told if parcel.known]
    moved = iter(objects.advance(connection, [_version(*one) for one in moving]))
    return [_outcome(parcel, moved=bool(parcel.known) and next(moved)) for _, parcel in told]


def _read(event: Event) -> Parcel:
    parcel = READERS[event.type](event)
    if not parcel.number:
        raise PermanentError("a tracking event without a tracking number")
    return parcel


def _outcome(parcel: Parcel, *, moved: bool) -> Outcome:
    details = {"scans": len(parcel.scans), "known": len(parcel.known)}
    return Outcome("applied" if moved else "stale", details)


def _scanned(event: Event, parcel: Parcel) -> dict[str, Any]:
    scans = parcel.scans
    return {
        "source": event.source,
        "event_id": event.event_id,
        "carrier": parcel.carrier or "unknown",
        "number": parcel.number,
        "ids": [new_id() for _ in scans],
        "times": [scan.at for scan in scans],
        "codes": [scan.code for scan in scans],
        "states": [scan.state for scan in scans],
        "places": [scan.place for scan in scans],
    }


def _version(event: Event, parcel: Parcel) -> Version:
    last = parcel.known[-1]
    rank, at, code = last.order
    return Version(
        source=event.source,
        kind="parcel",
        object_id=parcel.number,
        state=last.state or "",
        at=at,
        tie=code,
        rank=rank,
        details={"carrier": parcel.carrier},
    )


def _easypost(event: Event) -> Parcel:
    tracker = _mapping(event.payload.get("result"))
    details = tracker.get("tracking_details")
    told = [_mapping(item) for item in details] if isinstance(details, list) else []
    summary = {**tracker, "datetime": tracker.get("updated_at")}
    return Parcel(
        carrier=_text(tracker, "carrier", 100),
        number=_text(tracker, "tracking_code", 100),
        scans=_scans(told or [summary], "datetime", "tracking_location", event),
    )


def _shippo(event: Event) -> Parcel:
    data = _mapping(event.payload.get("data"))
    history = data.get("tracking_history")
    told = [_mapping(item) for item in history] if isinstance(history, list) else []
    now = _mapping(data.get("tracking_status"))
    return Parcel(
        carrier=_text(data, "carrier", 100),
        number=_text(data, "tracking_number", 100),
        scans=_scans([*told, now] if now else told, "status_date", "location", event),
    )


READERS: Final = {
    "tracker.created": _easypost,
    "tracker.updated": _easypost,
    "track_updated": _shippo,
}


def _scans(
    told: Sequence[Mapping[str, Any]], time_name: str, place_name: str, event: Event
) -> Sequence[Scan]:
    scans = {
        Scan(moment(item.get(time_name)) or event.happened_at, code, _place(item.get(place_name)))
        for item in told
        if (code := _text(item, "status", 200))
    }
    return sorted(scans, key=lambda scan: scan.order)


def _place(given: object) -> str | None:
    parts = (_text(_mapping(given), name, 90) for name in ("city", "state", "country"))
    return ", ".join(part for part in parts if part) or None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given.get(name)
    return storable(value)[:longest] if isinstance(value, str) else ""

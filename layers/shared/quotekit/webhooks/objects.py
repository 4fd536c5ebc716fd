"""The senders' objects, each as far as we know it, whatever order its events come in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from quotekit.database import Connection
from quotekit.webhooks.repository import columns, storable


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a sender's object; of all we hear of, the greatest (rank, at, tie) stands.

    A rank above 0 is for states that only a higher one follows, whatever their time. `tie` decides
    between versions of the same time: arbitrary, but the same in every order of arrival.
    """

    source: str
    kind: str
    object_id: str
    state: str
    at: datetime
    tie: str
    rank: int = 0
    scope: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


ADVANCE: Final = """
insert into ops.webhook_objects as known (source, scope, kind, object_id, rank, version_at,
    event_id, state, details)
select source, scope, kind, object_id, rank, at, tie, state, details::jsonb
from unnest(%(source)s::text[], %(scope)s::text[], %(kind)s::text[], %(object_id)s::text[],
    %(rank)s::integer[], %(at)s::timestamptz[], %(tie)s::text[], %(state)s::text[],
    %(details)s::text[])
    as told (source, scope, kind, object_id, rank, at, tie, state, details)
on conflict (source, scope, kind, object_id) do update
set rank = excluded.rank, version_at = excluded.version_at, event_id = excluded.event_id,
    state = excluded.state, details = excluded.details, updated_at = now()
where (excluded.rank, excluded.version_at, excluded.event_id collate "C")
    > (known.rank, known.version_at, known.event_id collate "C")
returning source, scope, kind, object_id
"""


def advance(connection: Connection, versions: Sequence[Version]) -> list[bool]:
    """Bring objects to these versions; False for each that is already there or further.

    Of several versions of one object the greatest moves it; the others come too late.
    """
    rows = [_values(version) for version in versions]
    greatest: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = _key(row)
        if key not in greatest or _order(greatest[key]) < _order(row):
            greatest[key] = row
    # In one order everywhere, so that two batches about the same objects do not deadlock.
    told = [greatest[key] for key in sorted(greatest)]
    moved = set(connection.execute(ADVANCE, columns(told)).fetchall()) if told else set()
    return [row is greatest[_key(row)] and _key(row) in moved for row in rows]


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["source"], row["scope"], row["kind"], row["object_id"]


def _order(row: Mapping[str, Any]) -> tuple[int, datetime, str]:
    return row["rank"], row["at"], row["tie"]


def _values(version: Version) -> dict[str, Any]:
    return {
        "source": version.source,
        "scope": version.scope,
        "kind": version.kind,
        "object_id": storable(version.object_id)[:500],
        "rank": version.rank,
        "at": version.at,
        "tie": storable(version.tie)[:255],
        "state": storable(version.state)[:100],
        "details": json.dumps(_clean(version.details)),
    }


def _clean(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details whose texts jsonb can hold."""
    return {
        key: storable(value) if isinstance(value, str) else value for key, value in details.items()
    }

"""What happened in repositories, scored and logged for those who work on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks import priority
from quotekit.webhooks.model import Event
from quotekit.webhooks.repository import columns, storable

ACTIVE_FOR: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: one object of a repository, or of an installation."""

    repository: str
    kind: str
    object_id: str
    state: str
    version_at: datetime
    author: str | None = None
    association: str | None = None
    made_at: datetime | None = None
    title: str | None = None


class Happening(NamedTuple):
    """An event, what it is about, and what was done with that."""

    event: Event
    subject: Subject
    action: str | None


LOG: Final = """
insert into ops.repository_events as known (id, source, event_id, debounce_key, repository,
    installation_id, kind, action, object_id, sender, author, version_at, priority_score,
    settles_at, collapsed)
select id, source, event_id, debounce_key, repository, installation_id, kind, action, object_id,
    sender, author, version_at, score, settles_at, collapsed
from unnest(%(id)s::uuid[], %(source)s::text[], %(event_id)s::text[], %(debounce_key)s::text[],
    %(repository)s::text[], %(installation_id)s::bigint[], %(kind)s::text[], %(action)s::text[],
    %(object_id)s::text[], %(sender)s::text[], %(author)s::text[], %(version_at)s::timestamptz[],
    %(score)s::integer[], %(settles_at)s::timestamptz[], %(collapsed)s::integer[])
    as told (id, source, event_id, debounce_key, repository, installation_id, kind, action,
    object_id, sender, author, version_at, score, settles_at, collapsed)
on conflict (debounce_key) do update
set collapsed = known.collapsed + excluded.collapsed + 1,
    priority_score = greatest(known.priority_score, excluded.priority_score),
    (event_id, installation_id, sender, author, version_at, settles_at, handled_at) = (
        select event_id, installation_id, sender, author, version_at, settles_at, handled_at
        from (values
            (known.event_id, known.installation_id, known.sender, known.author, known.version_at,
                known.settles_at, known.handled_at, 0),
            (excluded.event_id, excluded.installation_id, excluded.sender, excluded.author,
                excluded.version_at, excluded.settles_at, null, 1))
            as versions (event_id, installation_id, sender, author, version_at, settles_at,
                handled_at, is_new)
        order by version_at desc, event_id collate "C" desc, is_new limit 1)
"""


def log(connection: Connection, told: Sequence[Happening]) -> list[int]:
    """Log what happened; returns how urgent each is. Those of one debounce collapse into the last.

    What was handled before a later one came is work again.
    """
    scores = _scores(connection, told)
    collapsing: dict[str, list[dict[str, Any]]] = {}
    for happening, score in zip(told, scores, strict=True):
        row = _values(happening, score)
        collapsing.setdefault(row["debounce_key"], []).append(row)
    if collapsing:
        rows = [_collapsed(collapsing[key]) for key in sorted(collapsing)]
        connection.defer(LOG, columns(rows))
    return scores


def _collapsed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    last = max(rows, key=lambda row: (row["version_at"], row["event_id"]))
    return last | {"score": max(row["score"] for row in rows), "collapsed": len(rows) - 1}


CIRCUMSTANCES: Final = """
select (
    select coalesce(sum(collapsed + 1), 0) from (
        select collapsed from ops.repository_events
        where repository = told.repository and version_at > told.since limit %(most_activity)s
    ) as active
), (
    select count(*) from (
        select from ops.repository_events
        where repository = told.repository and author = told.author and kind = 'pull_request'
          and action = 'closed' limit %(most_contributions)s
    ) as closed
)
from unnest(%(repository)s::text[], %(since)s::timestamptz[], %(author)s::text[])
    with ordinality as told (repository, since, author, place)
order by place
"""


def _scores(connection: Connection, told: Sequence[Happening]) -> list[int]:
    """How urgent each is by what was logged before; what comes along with it does not count yet."""
    asked = [
        {
            "repository": _repository(happening),
            "since": happening.event.received_at - ACTIVE_FOR,
            "author": happening.subject.author,
        }
        for happening in told
    ]
    most = {
        "most_activity": priority.MOST_ACTIVITY,
        "most_contributions": priority.MOST_CONTRIBUTIONS,
    }
    found = connection.execute(CIRCUMSTANCES, columns(asked) | most).fetchall() if asked else []
    return [
        _score(happening, int(active), contributions)
        for happening, (active, contributions) in zip(told, found, strict=True)
    ]


def _score(happening: Happening, active: int, contributions: int) -> int:
    event, subject, action = happening
    circumstances = priority.Circumstances(
        action=action,
        activity=active,
        age=priority.age_of(subject.made_at, event.received_at),
        association=subject.association,
        contributions=contributions,
    )
    return priority.score(circumstances)


def _values(happening: Happening, score: int) -> dict[str, Any]:
    event, subject, action = happening
    key, settles_at = _window(happening)
    return {
        "id": new_id(),
        "source": event.source,
        "event_id": event.event_id,
        "debounce_key": key,
        "repository": _repository(happening),
        "installation_id": (event.payload.get("installation") or {}).get("id"),
        "kind": subject.kind,
        "action": action and storable(action)[:200],
        "object_id": storable(subject.object_id)[:500],
        "sender": text(event.payload.get("sender") or {}, "login"),
        "author": subject.author and storable(subject.author)[:100],
        "version_at": subject.version_at,
        "score": score,
        "settles_at": settles_at,
    }


def _window(happening: Happening) -> tuple[str, datetime]:
    """The key under which events collapse, and when no more of them are to be expected.

    Windows begin at whole multiples of the debounce, not with the first event: so the same events
    fall together in whatever order they arrive.
    """
    event, subject, action = happening
    if not event.debounce_seconds:
        return f"{event.source}|{event.event_id}", event.received_at
    seconds = event.debounce_seconds
    start = int(subject.version_at.timestamp()) // seconds * seconds
    about = (start, subject.repository, subject.kind, subject.object_id, action)
    end = datetime.fromtimestamp(start + seconds, UTC)
    return storable("|".join(map(str, about)))[:1000], max(end, event.received_at)


def _repository(happening: Happening) -> str:
    return storable(happening.subject.repository)[:300]


def text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return storable(value)[:100] if isinstance(value, str) else None

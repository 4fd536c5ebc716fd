"""What GitHub tells: a log of what happened in repositories, and how far each object is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.webhooks import priority, repository
from quotekit.webhooks.model import Event, Outcome, PermanentError
from quotekit.webhooks.moments import moment
from quotekit.webhooks.repository import Version, storable

DELETED: Final = {"deleted", "transferred"}
ACTIVE_FOR: Final = timedelta(days=7)

type Reader = Callable[[Event], Subject]


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

    @property
    def details(self) -> dict[str, Any]:
        return {"title": self.title, "author": self.author}


def on_github_event(connection: Connection, event: Event) -> Outcome:
    """Log the event and advance its object; a ping and what nobody reads is ignored."""
    reader = READERS.get(event.type)
    if reader is None:
        return Outcome("ignored", {"reason": "nobody reads this type"})
    subject = _read(reader, event)
    action = _text(event.payload, "action") or event.action
    version = Version(
        source=event.source,
        scope=subject.repository[:100],
        kind=subject.kind,
        object_id=subject.object_id,
        state=subject.state,
        at=subject.version_at,
        tie=event.event_id,
        rank=int(action in DELETED),
    )
    advanced = repository.advance(connection, version, subject.details)
    _record_repositories(connection, event, subject)
    score = _log(connection, event, subject, action)
    return Outcome("applied" if advanced else "stale", {"priority_score": score})


def _read(reader: Reader, event: Event) -> Subject:
    try:
        return reader(event)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PermanentError(f"not the shape of GitHub's {event.type}: {error!r}") from error


def _pull_request(event: Event) -> Subject:
    return _item(event, event.payload["pull_request"])


def _issue(event: Event) -> Subject:
    return _item(event, event.payload["issue"])


def _item(event: Event, item: Mapping[str, Any]) -> Subject:
    merged = item.get("merged") or item.get("merged_at")
    state = "merged" if merged else item.get("state") or "unknown"  # old GHES tells none
    deleted = event.payload.get("action") in DELETED
    return Subject(
        repository=event.payload["repository"]["full_name"],
        kind=event.type,
        object_id=str(item["number"]),
        state="deleted" if deleted else str(state),
        version_at=_known(item["updated_at"]),
        author=(item.get("user") or {}).get("login"),
        association=item.get("author_association"),
        made_at=_known(item["created_at"]),
        title=item.get("title"),
    )


def _push(event: Event) -> Subject:
    payload = event.payload
    pushed_at = payload["repository"].get("pushed_at")
    return Subject(
        repository=payload["repository"]["full_name"],
        kind="push",
        object_id=payload["ref"],
        state="deleted" if payload.get("deleted") else str(payload["after"]),
        version_at=_known(pushed_at) if pushed_at else event.happened_at,
        author=(payload.get("sender") or {}).get("login"),
    )


def _installation(event: Event) -> Subject:
    given = event.payload["installation"]
    suspended = "suspended" if given.get("suspended_at") else "active"
    deleted = event.payload.get("action") in DELETED
    return Subject(
        repository=_installed_at(given),
        kind="installation",
        object_id=str(given["id"]),
        state="deleted" if deleted else suspended,
        version_at=_known(given["updated_at"]),
    )


def _installation_repositories(event: Event) -> Subject:
    """GitHub gives these no time of their own, so they count in the order they reached us."""
    given = event.payload["installation"]
    return Subject(
        repository=_installed_at(given),
        kind="installation_repositories",
        object_id=str(given["id"]),
        state=str(event.payload["action"]),
        version_at=event.received_at,
    )


def _installed_at(installation: Mapping[str, Any]) -> str:
    account = installation.get("account") or {}
    return f"{account.get('login', '')}/*"


READERS: Final[Mapping[str, Reader]] = {
    "pull_request": _pull_request,
    "issues": _issue,
    "push": _push,
    "installation": _installation,
    "installation_repositories": _installation_repositories,
}

INSTALL: Final = """
insert into ops.webhook_objects as known (source, scope, kind, object_id, version_at, event_id,
    state, details)
select %(source)s, %(installation)s, 'installed_repository', name, %(at)s, %(tie)s, state, '{}'
from unnest(%(names)s::text[], %(states)s::text[]) as told (name, state)
order by name
on conflict (source, scope, kind, object_id) do update
set version_at = excluded.version_at, event_id = excluded.event_id, state = excluded.state,
    updated_at = now()
where (excluded.version_at, excluded.event_id collate "C")
    > (known.version_at, known.event_id collate "C")
"""


def _record_repositories(connection: Connection, event: Event, subject: Subject) -> None:
    """Which repositories an installation reaches; in the order of names, so nobody deadlocks."""
    if subject.kind != "installation_repositories":
        return
    lists = ("removed", "repositories_removed"), ("added", "repositories_added")
    told = {
        storable(str(item["full_name"]))[:500]: state
        for state, name in lists
        for item in event.payload.get(name) or ()
    }
    values = {
        "source": event.source,
        "installation": subject.object_id,
        "at": subject.version_at,
        "tie": event.event_id,
        "names": list(told),
        "states": list(told.values()),
    }
    connection.execute(INSTALL, values)


CIRCUMSTANCES: Final = """
select (
    select coalesce(sum(collapsed + 1), 0) from (
        select collapsed from ops.repository_events
        where repository = %(repository)s and version_at > %(since)s limit %(most_activity)s
    ) as active
), (
    select count(*) from (
        select from ops.repository_events
        where repository = %(repository)s and author = %(author)s and kind = 'pull_request'
          and action = 'closed' limit %(most_contributions)s
    ) as closed
)
"""


def _score(
    connection: Connection, event: Event, subject: Subject, repository_name: str, action: str | None
) -> int:
    values = {
        "repository": repository_name,
        "since": event.received_at - ACTIVE_FOR,
        "author": subject.author,
        "most_activity": priority.MOST_ACTIVITY,
        "most_contributions": priority.MOST_CONTRIBUTIONS,
    }
    row = connection.execute(CIRCUMSTANCES, values).fetchone() or (0, 0)
    circumstances = priority.Circumstances(
        action=action,
        activity=int(row[0]),
        age=priority.age_of(subject.made_at, event.received_at),
        association=subject.association,
        contributions=int(row[1]),
    )
    return priority.score(circumstances)


LOG: Final = """
insert into ops.repository_events as known (id, source, event_id, debounce_key, repository,
    installation_id, kind, action, object_id, sender, author, version_at, priority_score,
    settles_at)
values (%(id)s, %(source)s, %(event_id)s, %(debounce_key)s, %(repository)s, %(installation_id)s,
    %(kind)s, %(action)s, %(object_id)s, %(sender)s, %(author)s, %(version_at)s, %(score)s,
    %(settles_at)s)
on conflict (debounce_key) do update
set collapsed = known.collapsed + 1,
    priority_score = greatest(known.priority_score, excluded.priority_score)
"""
# What was handled before a later one came is work again.
REPLACE: Final = """
update ops.repository_events
set event_id = %(event_id)s, installation_id = %(installation_id)s, sender = %(sender)s,
    author = %(author)s, version_at = %(version_at)s, settles_at = %(settles_at)s, handled_at = null
where debounce_key = %(debounce_key)s
  and (version_at, event_id collate "C") < (%(version_at)s, %(event_id)s)
"""


def _log(connection: Connection, event: Event, subject: Subject, action: str | None) -> int:
    name = storable(subject.repository)[:300]
    score = _score(connection, event, subject, name, action)
    key, settles_at = _window(event, subject, action)
    values = {
        "id": new_id(),
        "source": event.source,
        "event_id": event.event_id,
        "debounce_key": key,
        "repository": name,
        "installation_id": (event.payload.get("installation") or {}).get("id"),
        "kind": subject.kind,
        "action": action and storable(action)[:200],
        "object_id": storable(subject.object_id)[:500],
        "sender": _text(event.payload.get("sender") or {}, "login"),
        "author": subject.author and storable(subject.author)[:100],
        "version_at": subject.version_at,
        "score": score,
        "settles_at": settles_at,
    }
    connection.defer(LOG, values)
    if event.debounce_seconds:
        connection.defer(REPLACE, values)
    return score


def _window(event: Event, subject: Subject, action: str | None) -> tuple[str, datetime]:
    """The key under which events collapse, and when no more of them are to be expected.

    Windows begin at whole multiples of the debounce, not with the first event: so the same events
    fall together in whatever order they arrive.
    """
    if not event.debounce_seconds:
        return f"{event.source}|{event.event_id}", event.received_at
    seconds = event.debounce_seconds
    start = int(subject.version_at.timestamp()) // seconds * seconds
    about = (start, subject.repository, subject.kind, subject.object_id, action)
    end = datetime.fromtimestamp(start + seconds, UTC)
    return storable("|".join(map(str, about)))[:1000], max(end, event.received_at)


def _known(value: object) -> datetime:
    """A time that GitHub always gives."""
    found = moment(value)
    if found is None:
        raise ValueError(f"no time: {value!r}")
    return found


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return storable(value)[:100] if isinstance(value, str) else None

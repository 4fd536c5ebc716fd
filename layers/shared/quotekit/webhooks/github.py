"""What GitHub tells: how far each object is, and a log of what happened in repositories."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from quotekit.database import Connection
from quotekit.webhooks import activity, objects
from quotekit.webhooks.activity import Happening, Subject, text
from quotekit.webhooks.model import Event, Outcome, PermanentError
from quotekit.webhooks.moments import moment
from quotekit.webhooks.objects import Version
from quotekit.webhooks.repository import storable

DELETED: Final = {"deleted", "transferred"}

type Reader = Callable[[Event], Subject]


def on_github_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Log events and advance their objects."""
    told = [Happening(event, _read(event), _action(event)) for event in events]
    advanced = objects.advance(connection, [_version(happening) for happening in told])
    for happening in told:
        _record_repositories(connection, happening)
    scores = activity.log(connection, told)
    return [
        Outcome("applied" if moved else "stale", {"priority_score": score})
        for moved, score in zip(advanced, scores, strict=True)
    ]


def _version(happening: Happening) -> Version:
    event, subject, action = happening
    return Version(
        source=event.source,
        scope=subject.repository[:100],
        kind=subject.kind,
        object_id=subject.object_id,
        state=subject.state,
        at=subject.version_at,
        tie=event.event_id,
        rank=int(action in DELETED),
        details={"title": subject.title, "author": subject.author},
    )


def _action(event: Event) -> str | None:
    return text(event.payload, "action") or event.action


def _read(event: Event) -> Subject:
    try:
        return READERS[event.type](event)
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


def _record_repositories(connection: Connection, happening: Happening) -> None:
    """Which repositories an installation reaches; in the order of names, so nobody deadlocks."""
    event, subject, _ = happening
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


def _known(value: object) -> datetime:
    """A time that GitHub always gives."""
    found = moment(value)
    if found is None:
        raise ValueError(f"no time: {value!r}")
    return found

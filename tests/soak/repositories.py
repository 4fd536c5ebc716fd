"""What GitHub tells: pull requests, issues and pushes of a few busy repositories."""

import hashlib
from typing import Final

from tests.soak.letters import Json, Letter, Place, Subject, encoded, iso, name

DEBOUNCE: Final = 5  # seconds, by the default rules
REPOSITORIES: Final = 25


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

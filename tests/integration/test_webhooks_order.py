"""In whatever order and however often events come, the end is that of the order of happening."""

import json
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quotekit import database as databases
from quotekit.webhooks import applying
from quotekit.webhooks.model import Event
from quotekit.webhooks.repository import Delivered, Delivery
from tests import deliveries
from tests.conftest import Database
from tests.deliveries import at, event, iso

type Owner = psycopg.Connection[Any]
type History = tuple[list[Event], list[Event]]

sizes = st.integers(1, 10)

OBJECTS = """
select source, scope, kind, object_id, rank, version_at, event_id, state, details
from ops.webhook_objects order by source, scope, kind, object_id
"""
REPOSITORY_EVENTS = """
select debounce_key, event_id, repository, installation_id, kind, action, object_id, sender, author,
    version_at, settles_at, collapsed from ops.repository_events order by debounce_key
"""
SCANS = """
select tracking_number, scanned_at, code, state from ops.tracking_events
order by tracking_number, scanned_at, code
"""
SHOP = "select event_id, kind, object_id, state, version_at from ops.shop_events order by event_id"
EMPTY = """
truncate ops.webhook_events, ops.webhook_attempts, ops.webhook_objects, ops.repository_events,
    ops.shop_events, ops.tracking_events cascade
"""
often = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def owner(database: Database) -> Iterator[Owner]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


def replay(owner: Owner, events: Sequence[Event], size: int = 1) -> dict[str, Any]:
    """What the database holds after these deliveries, so many at once, from nothing."""
    owner.execute(EMPTY)
    for batch in batched(events, size, strict=False):
        given = [Delivered(item, Delivery("webhooks", 1, item.received_at)) for item in batch]
        with databases.transaction(databases.SERVICE) as connection:
            applying.apply_together(connection, given)
    queries = {"objects": OBJECTS, "log": REPOSITORY_EVENTS, "scans": SCANS, "shop": SHOP}
    found: dict[str, Any] = {
        name: owner.execute(query.encode()).fetchall() for name, query in queries.items()
    }
    found["events"] = owner.execute("select count(*) from ops.webhook_events").fetchall()
    return found


@st.composite
def histories(draw: st.DrawFn, kinds: Sequence[str]) -> History:
    """Events in the order they happened, and deliveries: shuffled, some of them repeated."""
    times = sorted(draw(st.lists(st.integers(0, 12), min_size=1, max_size=8)))
    happened = [
        one(draw, draw(st.sampled_from(kinds)), seconds, f"id-{number}")
        for number, seconds in enumerate(times)
    ]
    again = draw(st.lists(st.sampled_from(happened), max_size=5))
    return happened, draw(st.permutations([*happened, *again]))


def one(draw: st.DrawFn, kind: str, seconds: int, event_id: str) -> Event:
    debounce = draw(st.sampled_from([None, 5, 5, 5]))
    number = draw(st.integers(1, 2))
    match kind:
        case "pull_request":
            state = draw(st.sampled_from(["open", "closed", "merged"]))
            action = draw(st.sampled_from(["edited", "synchronize"]))
            return deliveries.pull_request(
                *(state, seconds),
                action=action,
                number=number,
                event_id=event_id,
                debounce_seconds=debounce,
            )
        case "push":
            return deliveries.push(event_id, seconds, event_id=event_id, debounce_seconds=debounce)
        case "issues":
            action = draw(st.sampled_from(["opened", "closed", "deleted"]))
            return issue(action, number, seconds, event_id)
        case "installation_repositories":
            return installed(draw(st.sampled_from(["added", "removed"])), number, seconds, event_id)
        case "order":
            status = draw(st.sampled_from(["UNPAID", "AWAITING_SHIPMENT", "CANCEL", "DELIVERED"]))
            return deliveries.shop_order(status, seconds, order=str(number), event_id=event_id)
        case _:
            words = ["pre_transit", "in_transit", "delivered", "return_to_sender", "new_word"]
            codes = draw(st.lists(st.sampled_from(words), min_size=1, max_size=3))
            scans = [(seconds - place, code) for place, code in enumerate(codes)]
            return deliveries.tracker(*scans, event_id=event_id, number=str(number))


def issue(action: str, number: int, seconds: int, event_id: str) -> Event:
    payload = {
        "action": action,
        "issue": {
            "number": number,
            "state": "closed" if action == "closed" else "open",
            "updated_at": iso(seconds),
            "created_at": iso(0),
        },
        "repository": {"full_name": "acme/lawn"},
    }
    return event("github", "issues", payload, event_id)


def installed(action: str, number: int, seconds: int, event_id: str) -> Event:
    """It has no time of its own: what counts is when it reached us."""
    payload = {
        "action": action,
        "installation": {"id": 99, "account": {"login": "acme"}},
        f"repositories_{action}": [{"full_name": f"acme/{number}"}, {"full_name": "acme/all"}],
    }
    return event("github", "installation_repositories", payload, event_id, received_at=at(seconds))


GITHUB = ("pull_request", "push", "issues", "installation_repositories")


@often
@given(history=histories(GITHUB), size=sizes)
def test_github_ends_as_if_in_order(owner: Owner, history: History, size: int) -> None:
    happened, delivered = history

    assert replay(owner, delivered, size) == replay(owner, happened)


@often
@given(history=histories(("order",)), size=sizes)
def test_a_shop_ends_as_if_in_order(owner: Owner, history: History, size: int) -> None:
    happened, delivered = history

    assert replay(owner, delivered, size) == replay(owner, happened)


@often
@given(history=histories(("scan",)), size=sizes)
def test_parcels_end_as_if_in_order(owner: Owner, history: History, size: int) -> None:
    happened, delivered = history

    assert replay(owner, delivered, size) == replay(owner, happened)


@often
@given(history=histories(("pull_request", "issues", "order", "push")), size=sizes)
def test_an_object_is_what_its_last_event_said(owner: Owner, history: History, size: int) -> None:
    """Against a model that only knows the order things happened in."""
    happened, delivered = history
    last: dict[tuple[str, str], str] = {}
    for item in happened:
        key, state = said(item)
        if last.get(key) != "deleted":
            last[key] = state

    found = {(row[2], row[3]): row[7] for row in replay(owner, delivered, size)["objects"]}

    assert found == last


def said(item: Event) -> tuple[tuple[str, str], str]:
    """The object of an event and the state it tells, read without the product."""
    payload = json.loads(item.body)
    match item.type:
        case "pull_request":
            told = payload["pull_request"]
            state = "merged" if told["merged"] else told["state"]
            return ("pull_request", str(told["number"])), state
        case "issues":
            told = payload["issue"]
            deleted = payload["action"] == "deleted"
            return ("issues", str(told["number"])), "deleted" if deleted else told["state"]
        case "push":
            return ("push", payload["ref"]), payload["after"]
        case _:
            told = payload["data"]
            return ("order", told["order_id"]), told["order_status"]


@often
@given(history=histories(("scan",)))
def test_a_delivered_parcel_only_comes_back(owner: Owner, history: History) -> None:
    happened, delivered = history
    codes: dict[str, set[str]] = {}
    for item in happened:
        told = json.loads(item.body)["result"]
        scans = codes.setdefault(told["tracking_code"], set())
        scans |= {scan["status"] for scan in told["tracking_details"]}

    found = {row[3]: row[7] for row in replay(owner, delivered)["objects"]}

    for number, seen in codes.items():
        if "return_to_sender" in seen:
            assert found[number] == "returned"
        elif "delivered" in seen:
            assert found[number] == "delivered"
        else:
            assert found.get(number) in {None, "in_transit", "label_created"}


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_several_pushes_within_the_debounce_collapse_into_the_last(owner: Owner, size: int) -> None:
    told = [(1, "c1"), (4, "c4"), (2, "c2"), (3, "c3"), (5, "c5"), (9, "c9")]
    events = [
        deliveries.push(after, second, event_id=after, debounce_seconds=5) for second, after in told
    ]

    found = replay(owner, events, size)["log"]

    assert [(row[1], row[-1]) for row in found] == [("c4", 3), ("c9", 1)]


def test_what_was_handled_is_work_again_when_a_later_one_comes(owner: Owner) -> None:
    first, later, earlier = (
        deliveries.push(name, second, event_id=name, debounce_seconds=5)
        for second, name in [(2, "first"), (3, "later"), (1, "earlier")]
    )
    replay(owner, [first])
    handled = "update ops.repository_events set handled_at = now()"
    waiting = "select event_id from ops.repository_events where handled_at is null"

    owner.execute(handled)
    deliver(later)
    again = owner.execute(waiting).fetchall()
    owner.execute(handled)
    deliver(earlier)

    assert again == [("later",)]
    assert owner.execute(waiting).fetchall() == []


def deliver(item: Event) -> None:
    with databases.transaction(databases.SERVICE) as connection:
        applying.apply(connection, item, Delivery("webhooks", 1, item.received_at))


def test_an_opened_pull_request_of_a_busy_repository_is_critical(owner: Owner) -> None:
    crowd = [deliveries.push(str(number), number) for number in range(50)]
    opened = deliveries.pull_request("open", 0, action="opened", event_id="opened")

    replay(owner, [*crowd, opened])

    row = owner.execute(
        "select priority_score, priority from ops.repository_events where event_id = 'opened'"
    ).fetchone()
    assert row == (40 + 30 + 20 + 5, "critical")

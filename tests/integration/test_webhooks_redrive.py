"""Dead events sent again: by parts, stopped, resumed, killed, and none twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from quotekit import database as databases
from quotekit import outbox
from quotekit.connection import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.outbox import Promise
from quotekit.webhooks import applying, effects, repository, service
from quotekit.webhooks.model import Event, Outcome
from quotekit.webhooks.repository import Delivery
from quotekit.webhooks.service import Filter
from tests.conftest import Database
from tests.deliveries import NOON, at

type Owner = psycopg.Connection[Any]

DEAD = """
insert into ops.webhook_events (id, source, event_id, type, handler, queue, status, failures,
    category, error, received_at, bytes, is_json, body)
select gen_random_uuid(), %(source)s, %(source)s || n, %(type)s, 'any', 'webhooks', 'dead', 6,
    %(category)s, %(error)s, %(received_at)s, 2, true, '{}'
from generate_series(1, %(count)s) as n
"""


@pytest.fixture
def owner(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    def effect(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
        for event in events:
            connection.execute("insert into public.ledger values (%s)", [event.event_id])
        return [Outcome("applied")] * len(events)

    monkeypatch.setattr(effects, "effect_of", lambda _: effect)
    monkeypatch.setattr(effects, "unread", lambda _: None)
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("create table ledger (event_id text)")
        connection.execute("grant usage on schema public to service_role")
        connection.execute("grant insert on ledger to service_role")
        yield connection


def die(owner: Owner, count: int, source: str = "github", **given: Any) -> None:
    values = {"type": "push", "category": "external", "error": "boom", "received_at": NOON}
    owner.execute(DEAD, values | {"source": source, "count": count} | given)


def some_event(owner: Owner) -> UUID:
    row = owner.execute("select id from ops.webhook_events limit 1").fetchone()
    assert row
    found: UUID = row[0]
    return found


def service_do[T](work: Callable[[Connection], T]) -> T:
    with databases.transaction(databases.SERVICE) as connection:
        return work(connection)


def start(chosen: Filter | None = None, **given: Any) -> service.Redrive:
    given.setdefault("now", NOON)
    return service_do(lambda c: service.start_redrive(c, chosen or Filter(), **given))


def of(redrive: service.Redrive) -> UUID:
    assert redrive.id, "a dry run has none"
    return redrive.id


def part(seconds: float) -> list[Promise]:
    return service_do(lambda c: service.continue_redrives(c, at(seconds)))


def deliver(promises: Sequence[Promise]) -> list[str]:
    """What the worker does with the messages."""
    return [service_do(lambda c, p=promise: _apply(c, p)) for promise in promises]  # type: ignore[misc]


def _apply(connection: Connection, promise: Promise) -> str:
    event = repository.load(connection, UUID(promise.payload["stored"]))
    return applying.apply(connection, event, Delivery("webhooks", 1, NOON))


def killed_before_the_commit(connection: Connection) -> None:
    assert len(service.continue_redrives(connection, at(420))) == 100
    raise KeyboardInterrupt


def times(owner: Owner) -> Counter[int]:
    """How many events were applied how often, by the independent ledger."""
    rows = owner.execute("select count(*) from ledger group by event_id").fetchall()
    return Counter(row[0] for row in rows)


def test_a_thousand_cancelled_halfway_resumed_and_killed_are_applied_once_each(
    owner: Owner,
) -> None:
    die(owner, 1000)
    redrive = start(per_minute=100)
    sent = [part(60 * minute) for minute in range(5)]
    cancelled = service_do(lambda c: service.cancel_redrive(c, of(redrive)))
    nothing = part(360)
    resumed = service_do(lambda c: service.resume_redrive(c, of(redrive)))
    with pytest.raises(KeyboardInterrupt):
        service_do(killed_before_the_commit)
    sent += [part(60 * minute) for minute in range(7, 13)]

    came_to = [state for promises in sent for state in deliver(promises)]
    again = [state for promises in sent for state in deliver(promises)]

    assert [len(promises) for promises in sent] == [100] * 10 + [0]
    assert (cancelled.status, cancelled.promised, nothing) == ("cancelled", 500, [])
    assert (resumed.status, resumed.finished_at) == ("running", None)
    assert set(came_to) == {"applied"}
    assert set(again) == {"duplicate"}
    assert times(owner) == {1: 1000}
    done = service_do(lambda c: service.redrive_status(c, of(redrive)))
    assert (done.status, done.promised, done.matching) == ("done", 1000, 1000)
    assert done.outcomes == {"applied": 1000}


def test_two_sweepers_at_once_promise_no_event_twice(
    owner: Owner, configure: Callable[..., None]
) -> None:
    configure(pool_max=4)
    die(owner, 200)
    start(per_minute=600)

    with ThreadPoolExecutor(4) as pool:
        promises = [item for got in pool.map(part, [0] * 4) for item in got]

    stored = [promise.payload["stored"] for promise in promises]
    assert len(stored) == len(set(stored)) == 200


def test_the_rate_is_kept_however_often_it_is_asked(owner: Owner) -> None:
    die(owner, 300)
    start(per_minute=60)

    sizes = [len(part(second)) for second in (0, 0, 1, 31, 31.5, 61, 600)]

    assert sizes == [60, 0, 1, 30, 0, 30, 60]


def test_a_dry_run_counts_and_changes_nothing(owner: Owner) -> None:
    die(owner, 3)

    would = start(dry_run=True)

    assert (would.id, would.status, would.matching) == (None, "dry_run", 3)
    assert part(0) == []
    assert service_do(service.redrives) == []


@pytest.mark.parametrize(
    ("chosen", "source"),
    [
        (Filter(source="stripe"), "stripe"),
        (Filter(type="invoice.paid"), "stripe"),
        (Filter(category="timeout"), "stripe"),
        (Filter(error="BANG"), "stripe"),
        (Filter(received_since=at(1)), "stripe"),
        (Filter(received_until=at(1)), "github"),
    ],
)
def test_a_filter_chooses(chosen: Filter, source: str, owner: Owner) -> None:
    die(owner, 2)
    die(
        *(owner, 2, "stripe"),
        type="invoice.paid",
        category="timeout",
        error="a bang",
        received_at=at(1),
    )
    redrive = start(chosen)

    assert redrive.matching == 2
    assert Counter(deliver(part(0))) == {"applied": 2}
    ledger = owner.execute("select event_id from ledger").fetchall()
    assert {row[0] for row in ledger} == {f"{source}1", f"{source}2"}


def test_named_events_only(owner: Owner) -> None:
    die(owner, 3)
    chosen = some_event(owner)

    start(Filter(ids=[chosen]))

    assert [promise.payload["stored"] for promise in part(0)] == [str(chosen)]


def test_what_dies_again_during_a_redrive_is_not_sent_by_it_again(owner: Owner) -> None:
    die(owner, 10)
    redrive = start(per_minute=10)
    part(0)
    owner.execute("update ops.webhook_events set status = 'dead'")

    assert part(60) == []
    assert service_do(lambda c: service.redrive_status(c, of(redrive))).outcomes == {"dead": 10}


def test_what_died_after_it_began_is_left_to_the_next(owner: Owner) -> None:
    die(owner, 1)
    start()
    die(owner, 1, "stripe")

    assert len(part(0)) == 1


def test_one_event_is_sent_again_unless_it_took_effect(owner: Owner) -> None:
    die(owner, 1)
    webhook_id = some_event(owner)

    promise = service_do(lambda c: service.retry_event(c, webhook_id))
    with pytest.raises(ConflictError):
        service_do(lambda c: service.retry_event(c, webhook_id))
    came_to = deliver([promise, promise])
    with pytest.raises(ConflictError):
        service_do(lambda c: service.retry_event(c, webhook_id))

    assert came_to == ["applied", "duplicate"]
    assert promise.topic == "webhooks"


def test_what_is_not_there_is_said_to_be_missing(owner: Owner) -> None:
    asked = (service.retry_event, service.cancel_redrive, service.resume_redrive)
    for work in (*asked, service.redrive_status):
        with pytest.raises(NotFoundError):
            service_do(lambda c, work=work: work(c, uuid4()))  # type: ignore[misc]


def test_tenants_promise_no_webhooks(owner: Owner) -> None:
    claims = {"sub": str(uuid4()), "account_id": str(uuid4())}

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        promise_as(databases.Actor("authenticated", claims, b"select auth.admit()"), "webhooks")
    promise_as(databases.Actor("authenticated", claims, b"select auth.admit()"), "mail")


def promise_as(actor: databases.Actor, topic: str) -> None:
    with databases.transaction(actor) as connection:
        outbox.promise(connection, topic, {})


def test_a_redrive_goes_on_by_itself_each_minute(owner: Owner) -> None:
    """Its own clock decides, so a sweeper that missed minutes sends one minute's worth."""
    die(owner, 30)
    start(per_minute=10)

    assert [len(part(moment)) for moment in (0, timedelta(hours=2).total_seconds())] == [10, 10]

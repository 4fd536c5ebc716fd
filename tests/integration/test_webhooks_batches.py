"""Batches of events: all in one transaction, and nobody in anybody's way."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from quotekit import database as databases
from quotekit.connection import Connection
from quotekit.errors import DatabaseUnavailableError
from quotekit.webhooks import applying, effects
from quotekit.webhooks.applying import Came
from quotekit.webhooks.model import Event, Outcome
from quotekit.webhooks.repository import Delivered, Delivery
from tests import deliveries
from tests.conftest import Database
from tests.vendors import stripe_objects as of

type Owner = psycopg.Connection[Any]
type During = Callable[[Connection], None]

ACCOUNT = UUID("01900000-0000-7000-8000-0000000000a1")


@pytest.fixture
def owner(database: Database) -> Iterator[Owner]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        connection.execute("create table ledger (event_id text)")
        connection.execute("grant usage on schema public to service_role")
        connection.execute("grant insert on ledger to service_role")
        yield connection


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> list[During]:
    """What happens after the effects' writes to an independent ledger, in turn."""
    left: list[During] = []

    def effect(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
        for event in events:
            connection.execute("insert into public.ledger values (%s)", [event.event_id])
        if left:
            left.pop(0)(connection)
        return [Outcome("applied")] * len(events)

    monkeypatch.setattr(effects, "effect_of", lambda _: effect)
    return left


def deliver(events: Sequence[Event]) -> list[Came]:
    given = [Delivered(event, Delivery("webhooks", 1, event.received_at)) for event in events]
    with databases.transaction(databases.SERVICE) as connection:
        return applying.apply_together(connection, given)


def tried(events: Sequence[Event]) -> list[Came] | str:
    try:
        return deliver(events)
    except psycopg.errors.LockNotAvailable:
        return "gave way"


def recorded(owner: Owner) -> Any:
    query = "select event_id, status, attempts from ops.webhook_events order by event_id"
    return owner.execute(query).fetchall()


def ledger(owner: Owner) -> list[str]:
    return [row[0] for row in owner.execute("select event_id from ledger order by event_id")]


def pull_requests(*names: str) -> list[Event]:
    return [deliveries.pull_request("open", 10, event_id=name) for name in names]


def test_two_workers_with_the_same_batch_apply_it_once(
    owner: Owner, during: list[During], configure: Callable[..., None]
) -> None:
    configure(pool_max=2)
    rounds = 10
    names = [[f"event-{number}-{place}" for place in range(10)] for number in range(rounds)]
    start = Barrier(2)

    def worker(orders: Sequence[Sequence[str]]) -> list[list[Came] | str]:
        answers = []
        for order in orders:
            start.wait()
            answers.append(tried(pull_requests(*order)))
        return answers

    with ThreadPoolExecutor(2) as pool:
        came = pool.map(worker, [names, [order[::-1] for order in names]])

    for answers in zip(*came, strict=True):
        assert sorted(answers) == [["applied"] * 10, ["duplicate"] * 10]
    assert ledger(owner) == sorted(chain(*names))
    assert recorded(owner) == [(name, "applied", 1) for name in sorted(chain(*names))]


def test_a_batch_that_overlaps_another_applies_the_rest(owner: Owner, during: list[During]) -> None:
    deliver(pull_requests("a", "b", "c"))

    came = deliver(pull_requests("d", "b", "e", "d"))

    assert came == ["applied", "duplicate", "applied", "duplicate"]
    assert ledger(owner) == ["a", "b", "c", "d", "e"]


def test_a_batch_gives_way_instead_of_waiting_for_long(
    owner: Owner, during: list[During], configure: Callable[..., None]
) -> None:
    configure(pool_max=2)
    answers: list[list[Came] | str] = []

    def meanwhile(_: Connection) -> None:
        with ThreadPoolExecutor(1) as pool:
            answers.append(pool.submit(tried, pull_requests("a", "c")).result(timeout=10))

    during.append(meanwhile)

    came = deliver(pull_requests("a", "b"))

    assert answers == ["gave way"]
    assert came == ["applied", "applied"]
    assert ledger(owner) == ["a", "b"]


def test_a_connection_that_dies_before_the_commit_leaves_nothing_of_the_batch(
    owner: Owner, during: list[During]
) -> None:
    def die(connection: Connection) -> None:
        (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])

    during.append(die)

    with pytest.raises(DatabaseUnavailableError):
        deliver(pull_requests("a", "b"))
    after_the_kill = (ledger(owner), recorded(owner))
    came = deliver(pull_requests("a", "b"))

    assert after_the_kill == ([], [])
    assert came == ["applied", "applied"]
    assert ledger(owner) == ["a", "b"]


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each time the connection waited for the server."""
    counted: list[None] = []
    wait = Connection.wait

    def counting(connection: Connection, *given: Any) -> Any:
        counted.append(None)
        return wait(connection, *given)

    monkeypatch.setattr(Connection, "wait", counting)
    return counted


def test_a_batch_of_many_senders_is_applied_in_a_few_trips(owner: Owner, trips: list[None]) -> None:
    endpoint = uuid4()
    customer = of.customer(ACCOUNT)
    paid = of.event("invoice.paid", of.invoice(customer["id"]), of.EPOCH)
    known = of.event("customer.created", customer, of.EPOCH)
    events = [
        deliveries.pull_request("open", 10),
        deliveries.push("c1", 5),
        *(stripe(known), stripe(paid)),
        deliveries.shop_order("UNPAID", 5),
        deliveries.tracker((1, "in_transit"), (2, "delivered")),
        deliveries.event("standard", "t", {}, account_id=ACCOUNT, endpoint_id=endpoint),
        deliveries.event("github", "ping", {"zen": "Keep it"}),
        deliveries.event("somebody", "something", {}, handler="nobody-wrote-it"),
    ]
    deliver(events[:1])  # connects
    trips.clear()

    came = deliver(events)

    assert came == ["duplicate", *["applied"] * 6, "ignored", "ignored"]
    assert len(trips) <= 12
    counts = {
        table: (owner.execute(f"select from {table}".encode()).rowcount)
        for table in (
            *("ops.webhook_events", "ops.webhook_attempts", "ops.repository_events"),
            *("ops.shop_events", "ops.tracking_events", "app.webhook_inbox"),
            *("app.stripe_customers", "app.billing_history"),
        )
    }
    assert list(counts.values()) == [9, 9, 2, 1, 2, 1, 1, 1]


def stripe(payload: of.Json) -> Event:
    return deliveries.event("stripe", payload["type"], json.dumps(payload), payload["id"])

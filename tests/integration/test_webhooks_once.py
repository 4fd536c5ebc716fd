"""Applied once: under duplicates at the same time, and when a connection dies before its commit."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from quotekit import database as databases
from quotekit.connection import Connection
from quotekit.errors import DatabaseUnavailableError
from quotekit.webhooks import applying, effects, repository
from quotekit.webhooks.model import Event, Outcome
from quotekit.webhooks.repository import Delivered, Delivery
from tests import deliveries
from tests.conftest import Database

type Owner = psycopg.Connection[Any]
type During = Callable[[Connection], None]

GIVEN = deliveries.pull_request("open", 10, event_id="delivery-1")
DELIVERY = Delivery("webhooks", 1, GIVEN.received_at)
TWINS = 8


@pytest.fixture
def owner(database: Database) -> Iterator[Owner]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("create table ledger (event_id text, backend int)")
        connection.execute("grant usage on schema public to service_role")
        connection.execute("grant insert on ledger to service_role")
        yield connection


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> list[During]:
    """What happens after each effect's write to an independent ledger, in turn."""
    left: list[During] = []

    def effect(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
        for event in events:
            connection.execute(
                "insert into public.ledger values (%s, pg_backend_pid())", [event.event_id]
            )
            if left:
                left.pop(0)(connection)
        return [Outcome("applied")] * len(events)

    monkeypatch.setattr(effects, "effect_of", lambda _: effect)
    return left


def deliver(event: Event = GIVEN) -> str:
    with databases.transaction(databases.SERVICE) as connection:
        return applying.apply(connection, event, DELIVERY)


def ledger(owner: Owner) -> int:
    return owner.execute("select from ledger").rowcount


def test_parallel_duplicates_are_applied_once(
    owner: Owner, during: list[During], configure: Callable[..., None]
) -> None:
    configure(pool_max=TWINS)
    start = Barrier(TWINS)

    def twin(_: int) -> str:
        start.wait()
        return deliver()

    with ThreadPoolExecutor(TWINS) as pool:
        came_to = sorted(pool.map(twin, range(TWINS)))

    assert came_to == ["applied", *["duplicate"] * (TWINS - 1)]
    assert ledger(owner) == 1


def test_a_twin_takes_over_what_the_first_rolled_back(
    owner: Owner, during: list[During], configure: Callable[..., None]
) -> None:
    configure(pool_max=TWINS)
    start = Barrier(TWINS)
    during.append(fail)

    def twin(_: int) -> str:
        start.wait()
        try:
            return deliver()
        except RuntimeError:
            return "failed"

    with ThreadPoolExecutor(TWINS) as pool:
        came_to = sorted(pool.map(twin, range(TWINS)))

    assert came_to == ["applied", *["duplicate"] * (TWINS - 2), "failed"]
    assert ledger(owner) == 1


def fail(_: Connection) -> None:
    raise RuntimeError("a bug")


def terminate(owner: Owner) -> During:
    """The database ends the worker's connection, as a failover does."""

    def during(connection: Connection) -> None:
        (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])

    return during


def test_a_connection_killed_between_effect_and_commit_applies_nothing_and_the_next_once(
    owner: Owner, during: list[During]
) -> None:
    during += [terminate(owner), terminate(owner)]

    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            deliver()
    after_the_kills = ledger(owner)
    came_to = [deliver(), deliver()]

    assert after_the_kills == 0
    assert came_to == ["applied", "duplicate"]
    assert ledger(owner) == 1
    assert owner.execute("select count(*) from ops.webhook_attempts").fetchone() == (1,)


def test_a_failure_written_down_by_one_does_not_undo_what_its_twin_applied(
    owner: Owner, during: list[During]
) -> None:
    deliver()

    with databases.transaction(databases.SERVICE) as connection:
        failure = applying.fail(connection, GIVEN, DELIVERY, RuntimeError("late"), most=6)

    assert failure is None
    status = owner.execute("select status from ops.webhook_events").fetchone()
    assert status == ("applied",)


def test_attempts_are_never_changed(owner: Owner, during: list[During]) -> None:
    deliver()

    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        databases.transaction(databases.SERVICE) as connection,
    ):
        connection.execute("update ops.webhook_attempts set outcome = 'ignored'")


def test_an_event_stored_and_loaded_is_the_same(owner: Owner, during: list[During]) -> None:
    given = deliveries.shop_order("UNPAID", 5, event_id="n-1", created_at=deliveries.at(5))
    with databases.transaction(databases.SERVICE) as connection:
        (claimed,) = repository.claim(connection, [Delivered(given, DELIVERY)])
        assert claimed

        assert repository.load(connection, claimed.id) == given
    assert Event.of(given.message) == given

"""Leases: never more than the tier allows, and none that a dead holder keeps."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from quotekit import database as databases
from quotekit.database import Actor
from quotekit.errors import DatabaseUnavailableError, InvalidInputError, NotFoundError
from quotekit.resilience import leases
from quotekit.resilience.leases import AtCapacityError
from tests.conftest import Database, forget

USER = "01900000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def limits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier without burst beside the seeded ones."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "insert into ops.tiers (key, maximum, burst, cooldown_ms) values ('small', 2, 2, 1000)"
        )


def take_all(resource: str, tier: str, *, seconds: float = 60) -> int:
    """Take leases until one is refused."""
    taken = 0
    while True:
        try:
            leases.take(resource, seconds=seconds, tier=tier)
        except AtCapacityError:
            return taken
        taken += 1


def rows(database: Database, query: str) -> list[Any]:
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute(query.encode()).fetchall()


@pytest.mark.parametrize(("tier", "burst"), [("free", 15), ("pro", 50), ("enterprise", 150)])
def test_a_tier_allows_its_maximum_and_one_burst(database, tier, burst):
    assert take_all("dependency:stripe", tier) == burst


def test_a_refusal_is_429_and_says_when_a_burst_token_comes_back(database):
    take_all("dependency:stripe", "free")

    with pytest.raises(AtCapacityError) as refused:
        leases.take("dependency:stripe", seconds=60)

    assert (refused.value.status, refused.value.retry_after) == (429, 5)


def test_a_burst_is_not_had_again_at_once(database):
    held: list[leases.Lease] = []
    while len(held) < 15:
        held.append(leases.take("tenant:a", seconds=60))
    for lease in held:
        leases.give_back(lease)

    again = take_all("tenant:a", "free")

    assert again == 10


def test_burst_tokens_come_back_one_a_cool_down(database):
    take_all("tenant:a", "free")
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("delete from ops.leases")
        owner.execute(
            "update ops.lease_pools set refilled_at = refilled_at - interval '11 seconds'"
        )

    assert take_all("tenant:a", "free") == 12


def test_resources_do_not_take_from_each_other(database):
    assert take_all("tenant:a", "small") == 2

    assert take_all("tenant:b", "small") == 2


def test_what_is_held_comes_back_after_success_and_after_failure(database):
    for _ in range(5):
        with leases.held("tenant:a", seconds=60, tier="small"):
            pass
        with pytest.raises(ValueError), leases.held("tenant:a", seconds=60, tier="small"):
            raise ValueError

    assert rows(database, "select from ops.leases") == []


def test_fifty_takers_at_once_never_hold_more_than_the_limit(
    database: Database, configure: Callable[..., None]
) -> None:
    configure(pool_max=50)
    together = Barrier(50)

    def rounds() -> list[bool]:
        """Whether a lease was had, in four rounds; each is held until everybody has tried."""
        had = []
        for _ in range(4):
            together.wait()
            try:
                lease = leases.take("dependency:stripe", seconds=60, tier="free")
            except AtCapacityError:
                lease = None
            together.wait()
            had.append(lease is not None)
            if lease:
                leases.give_back(lease)
        return had

    with ThreadPoolExecutor(50) as pool:
        takers = [done.result() for done in [pool.submit(rounds) for _ in range(50)]]

    first, *others = [sum(held) for held in zip(*takers, strict=True)]
    assert first == 15
    assert all(10 <= held <= 15 for held in others)
    assert sum(others) <= 30 + 4  # tokens of a burst come back one in five seconds
    assert rows(database, "select from ops.leases") == []


def test_the_lease_of_a_holder_that_died_comes_back_when_it_expires(database):
    assert take_all("tenant:a", "small", seconds=0.4) == 2  # and nobody gives them back
    started = time.monotonic()

    while True:
        try:
            leases.take("tenant:a", seconds=60)
            break
        except AtCapacityError:
            assert time.monotonic() - started < 5

    assert time.monotonic() - started > 0.2


def test_a_lease_that_was_outlived_is_told_and_takes_nobody_elses(database, caplog):
    lease = leases.take("tenant:a", seconds=0.01, tier="small")
    while rows(database, "select from ops.leases where expires_at > clock_timestamp()"):
        pass
    take_all("tenant:a", "small")

    leases.give_back(lease)

    assert len(rows(database, "select from ops.leases")) == 2


def operator() -> Actor:
    return Actor("service_role", {"role": "service_role", "sub": USER, "account_id": USER})


def test_another_tier_holds_from_the_next_lease_on_and_is_audited(database):
    take_all("tenant:a", "small")

    with databases.transaction(operator()) as connection:
        leases.set_tier(connection, "tenant:a", "pro")

    assert take_all("tenant:a", "small") == 48
    assert rows(
        database, "select action, details ->> 'tier', actor_id::text from app.audit_events"
    ) == [("lease_pool.tier_set", "pro", USER)]
    with databases.reading(operator()) as connection:
        (use,) = leases.in_use(connection)
    assert (use.tier, use.live, use.maximum, use.burst) == ("pro", 50, 40, 50)


def test_an_unknown_tier_or_resource_is_refused(database):
    take_all("tenant:a", "small")

    with databases.transaction(operator()) as connection:
        with pytest.raises(InvalidInputError):
            leases.set_tier(connection, "tenant:a", "huge")
        with pytest.raises(NotFoundError):
            leases.set_tier(connection, "tenant:b", "pro")


def test_a_lease_cannot_be_had_of_a_tier_that_does_not_exist(database):
    with pytest.raises(psycopg.errors.NoDataFound):
        leases.take("tenant:a", seconds=60, tier="huge")


def test_without_a_database_there_are_no_leases(database, monkeypatch):
    lease = leases.take("tenant:a", seconds=60)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    forget()

    with pytest.raises(DatabaseUnavailableError):
        leases.take("tenant:a", seconds=60)
    leases.give_back(lease)  # left to expire, no error of its own

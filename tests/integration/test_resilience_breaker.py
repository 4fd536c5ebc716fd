"""Breakers that processes share: opening, probes, overrides, and a database that is away."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Self

import psycopg
import pytest

from quotekit import database as databases
from quotekit.database import Actor, counters
from quotekit.errors import ConflictError, NotFoundError
from quotekit.resilience import breaker as breaker_module
from quotekit.resilience import breakers, machine, repository
from quotekit.resilience.breaker import Breaker, CircuitOpenError
from tests.conftest import Database, forget

MOVES = "select to_phase, reason, calls, failures from ops.breaker_transitions"
USER = "01900000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    breakers.forget()
    yield
    breakers.forget()


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(TimeoutError), breaker.guard():
            raise TimeoutError


def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker.guard():
            pass


def is_open(breaker: Breaker) -> bool:
    try:
        succeed(breaker)
    except CircuitOpenError:
        return True
    return False


def later(breaker: Breaker) -> None:
    """Let the cache's time be over."""
    breaker._looked_at = float("-inf")


def rows(database: Database, query: str) -> list[Any]:
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute(query.encode()).fetchall()


def age(database: Database, seconds: float) -> None:
    """Let time pass for every breaker in the database."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "update ops.breakers set since = since - make_interval(secs => %s)", [seconds]
        )


def test_a_call_through_a_closed_breaker_costs_no_query(database: Database) -> None:
    breaker = Breaker("stripe")
    succeed(breaker)
    counters.reset()

    succeed(breaker, 100)

    assert counters.queries == 0


def test_what_was_counted_is_told_with_the_next_look(database: Database) -> None:
    breaker = Breaker("stripe")
    succeed(breaker, 7)

    later(breaker)
    succeed(breaker)

    (buckets,) = rows(database, "select buckets from ops.breakers")[0]
    assert sum(calls for calls, _ in buckets.values()) == 7


CHILD = """
import sys
from quotekit.resilience.breaker import Breaker, CircuitOpenError
breaker = Breaker("stripe")
for line in sys.stdin:
    try:
        with breaker.guard():
            if line.strip() == "fail":
                raise TimeoutError
        answer = "went"
    except TimeoutError:
        answer = "failed"
    except CircuitOpenError as error:
        answer = f"refused {error.retry_after}"
    print(answer, file=sys.stderr, flush=True)  # the metrics go to stdout
"""


class Child:
    """A process with a breaker and a pool of its own, as a sandbox has."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def __call__(self, order: str) -> str:
        assert self.process.stdin
        assert self.process.stderr
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.process.stderr.readline().strip()


def test_what_one_process_opens_is_open_for_another_within_the_caches_time(
    database: Database,
) -> None:
    with Child() as one, Child() as other:
        assert other("call") == "went"
        assert [one("fail") for _ in range(5)] == ["failed"] * 5
        assert one("call").startswith("refused")

        started = time.monotonic()
        while not other("call").startswith("refused"):
            assert time.monotonic() - started < breaker_module.CACHE_SECONDS + 1

    assert rows(database, MOVES) == [("open", "calls", 5, 5)]


def test_failures_of_several_processes_add_up(database: Database) -> None:
    processes = [Breaker("stripe") for _ in range(5)]

    for process in processes:
        fail(process)

    assert is_open(processes[-1])
    (moved,) = rows(
        database, "select to_phase, reason, calls, failures from ops.breaker_transitions"
    )
    assert moved == ("open", "calls", 5, 5)


def test_successes_of_one_process_keep_the_failures_of_others_below_half(
    database: Database,
) -> None:
    good, bad = Breaker("stripe"), Breaker("stripe")
    for _ in range(4):
        succeed(good, 5)
        later(good)
        succeed(good)
        fail(bad, 4)

    assert rows(database, "select phase from ops.breakers") == [("closed",)]


def test_a_refusal_is_503_and_says_when_to_come_back(database: Database) -> None:
    breaker = Breaker("stripe")
    fail(breaker, 5)

    with pytest.raises(CircuitOpenError) as refused:
        succeed(breaker)

    assert refused.value.status == 503
    assert 55 <= refused.value.retry_after <= 60


def test_half_open_lets_exactly_three_probes_through_of_twenty_at_once(
    database: Database, configure: Callable[..., None]
) -> None:
    configure(pool_max=20)
    processes = [Breaker("stripe") for _ in range(20)]
    fail(processes[0], 5)
    for process in processes:
        assert is_open(process)
    age(database, 61)
    for process in processes:
        later(process)
    together, over = Barrier(20), threading.Event()
    probing = threading.Semaphore(0)

    def call(process: Breaker) -> bool:
        together.wait()
        try:
            with process.guard():
                probing.release()
                assert over.wait(30)
        except CircuitOpenError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(call, process) for process in processes]
        refused = 0
        while refused < 17:  # nobody ends before all others were refused
            refused = sum(one.done() for one in calls)
        over.set()
        went = sum(one.result() for one in calls)

    assert went == 3
    assert rows(database, "select phase from ops.breakers") == [("closed",)]
    moves = rows(database, "select from_phase, to_phase from ops.breaker_transitions order by id")
    assert moves == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_a_bad_probe_opens_it_again_for_everybody(database: Database) -> None:
    one, other = Breaker("stripe"), Breaker("stripe")
    fail(one, 5)
    age(database, 61)
    later(one)

    fail(one)

    assert is_open(one)
    assert is_open(other)


def test_the_slot_of_a_probe_whose_process_died_comes_back(database: Database) -> None:
    breaker = Breaker("stripe")
    fail(breaker, 5)
    age(database, 61)
    for _ in range(3):
        died = Breaker("stripe")
        died.enter(seconds=0.3)  # and never leaves

    assert is_open(Breaker("stripe"))
    started = time.monotonic()
    while is_open(Breaker("stripe")):
        assert time.monotonic() - started < 5


def test_an_error_of_our_own_gives_a_probe_back_without_a_verdict(database: Database) -> None:
    breaker = Breaker("stripe")
    fail(breaker, 5)
    age(database, 61)
    later(breaker)

    with pytest.raises(ValueError, match="ours"), breaker.guard():
        raise ValueError("ours")

    assert rows(database, "select phase, good, probes from ops.breakers") == [("half_open", 0, {})]


def test_a_result_from_before_the_opening_does_not_count_after_it(database: Database) -> None:
    breaker, slow = Breaker("stripe"), Breaker("stripe")
    ticket = slow.enter()
    fail(breaker, 5)

    slow.leave(ticket, ok=False)

    assert rows(database, "select generation from ops.breakers") == [(1,)]


def test_hiring_lets_a_tenth_of_the_calls_back_first(database: Database) -> None:
    breaker = Breaker("matching", machine.HIRING)
    fail(breaker, 5)
    age(database, 301)
    later(breaker)

    went = 0
    for _ in range(300):
        try:
            breaker.enter()
            went += 1
        except CircuitOpenError:
            pass

    assert 10 <= went <= 60  # 30 expected; four standard deviations are 21
    assert rows(database, "select phase, step from ops.breakers") == [("half_open", 0)]


def operator() -> Actor:
    return Actor("service_role", {"role": "service_role", "sub": USER, "account_id": USER})


def decide(phase, *, seconds: float = 60.0) -> None:
    with databases.transaction(operator()) as connection:
        breakers.override(connection, "stripe", phase, seconds=seconds, reason="maintenance")


def test_an_operator_may_close_it_and_the_audit_says_who_and_why(database: Database) -> None:
    breaker = Breaker("stripe")
    fail(breaker, 5)

    decide("closed")
    later(breaker)

    assert not is_open(breaker)
    (audit,) = rows(database, "select action, actor_id::text, details from app.audit_events")
    assert audit[:2] == ("breaker.overridden", USER)
    assert audit[2]["reason"] == "maintenance"


def test_an_override_ends_by_itself(database: Database) -> None:
    breaker = Breaker("stripe")
    decide("open", seconds=0.5)
    assert is_open(breaker)

    started = time.monotonic()
    while is_open(breaker):
        assert time.monotonic() - started < 3

    succeed(breaker)


def test_an_override_that_would_be_forgotten_is_refused(database: Database) -> None:
    with pytest.raises(ConflictError):
        decide("open", seconds=90_000)


def test_lifting_closes_it_and_forgets_what_it_counted(database: Database) -> None:
    breaker = Breaker("stripe")
    fail(breaker, 5)
    decide("open")

    with databases.transaction(operator()) as connection:
        breakers.lift(connection, "stripe")
    later(breaker)

    assert not is_open(breaker)
    fail(breaker, 4)
    assert not is_open(breaker)
    last = "select to_phase, reason from ops.breaker_transitions order by occurred_at desc limit 1"
    assert rows(database, last) == [("closed", "operator")]


def test_an_unknown_breaker_cannot_be_lifted(database: Database) -> None:
    with databases.transaction(operator()) as connection, pytest.raises(NotFoundError):
        breakers.lift(connection, "unknown")


def test_operators_see_every_breaker(database: Database) -> None:
    fail(Breaker("stripe"), 5)
    decide("closed")

    with databases.reading(Actor("ops_admin", {"sub": USER})) as connection:
        (known,) = repository.known(connection)

    assert (known.dependency, known.phase, known.opened_last_24_hours) == ("stripe", "open", 1)
    assert (known.override, known.override_reason) == ("closed", "maintenance")


@pytest.fixture
def database_address(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def be(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        forget()

    return be


NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def test_without_its_database_calls_pass_until_this_process_saw_enough_fail(
    database: Database, database_address: Callable[[str], None]
) -> None:
    breaker = Breaker("stripe")
    succeed(breaker)
    database_address(NOWHERE)

    later(breaker)
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)  # with the two successes ten calls, eight of them failed

    assert is_open(breaker)


def test_what_was_counted_meanwhile_is_told_when_the_database_is_back(
    database: Database, database_address: Callable[[str], None]
) -> None:
    breaker = Breaker("stripe")
    succeed(breaker)
    database_address(NOWHERE)
    fail(breaker, 5)
    assert rows(database, "select from ops.breakers") == []

    database_address(database.url)
    breaker._away_until = 0.0
    later(breaker)

    assert is_open(breaker)

    assert rows(database, "select phase from ops.breakers") == [("open",)]


def test_a_breaker_that_hangs_in_another_process_keeps_nobody_waiting(
    database: Database,
) -> None:
    breaker = Breaker("stripe")
    fail(breaker)
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("select from ops.breakers for update")
        started = time.monotonic()

        fail(breaker)

        assert time.monotonic() - started < 2


def test_a_transition_is_one_metric_by_dependency(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(Breaker("stripe"), 5)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    told = [line for line in lines if "BreakerTransitions" in line]
    opened = [line for line in lines if "BreakerOpened" in line]
    assert len(told) == len(opened) == 1
    metrics = told[0]["_aws"]["CloudWatchMetrics"][0]
    assert (metrics["Namespace"], told[0]["dependency"]) == ("QuoteKit", "stripe")
    assert metrics["Dimensions"] == [["dependency"], ["service"], []]
    assert metrics["Metrics"] == [{"Name": "BreakerTransitions", "Unit": "Count"}]

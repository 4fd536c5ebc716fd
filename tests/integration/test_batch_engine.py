"""What a worker does with chunks: who gets them, what is committed, what stops it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest

from quotekit import database as databases
from quotekit import outbox, storage
from quotekit.batches import claims, engine, slices
from quotekit.batches.claims import Claim
from quotekit.batches.model import Operation, Outcome, Produced, Result, Work
from quotekit.errors import ConflictError, DatabaseUnavailableError
from tests.batching import (
    ACCOUNT,
    WRITE_ENTRIES,
    WRITE_ENTRY,
    Desk,
    Entry,
    entries,
    register,
    unregister,
    write_entry,
)
from tests.conftest import Database, forget

OTHER = UUID("01900000-0000-7000-8000-0000000000a2")


@pytest.fixture
def desk(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr(outbox, "deliver", len)
    slices.forget_pace()
    register(WRITE_ENTRIES, WRITE_ENTRY)
    desk = Desk(database.owner_url)
    desk.prepare(ACCOUNT, OTHER)
    yield desk
    unregister(WRITE_ENTRIES, WRITE_ENTRY)
    desk.connection.close()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_them(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        forget()

    return set_them


def work(job: UUID | None = None, priority: Any = "normal", seconds: float = 60) -> engine.Turn:
    """One worker's turn, with so many seconds left."""
    deadline = time.monotonic() + seconds
    return engine.serve(priority, job or uuid4(), lambda: deadline - time.monotonic())


PROGRESS: Final = """
select (select sum(succeeded + failed + skipped) from app.batch_chunks where job_id = %(id)s),
    (select count(*) from app.ledger where job_id = %(id)s)
"""


def take(priority: Any = "normal") -> Claim:
    found = claims.claim(priority, seconds=60)
    assert found is not None
    return found


def expire(desk: Desk) -> None:
    desk.connection.execute(
        "update app.batch_chunks set leased_until = now() - interval '1 second' where lease > 0"
    )


# ---- what is done ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["write_entries", "write_entry"])
def test_every_item_is_done_once_and_has_its_outcome(desk: Desk, operation: str) -> None:
    items = entries(30)
    items[7] = {"n": 7, "fault": "missing"}
    job = desk.submit(operation, items)

    turn = work(job)

    found = desk.job(job)
    assert desk.entries(job) == [n for n in range(30) if n != 7]
    assert (found.status, found.succeeded, found.failed) == ("completed_with_errors", 29, 1)
    assert found.results[7] == {"code": "missing"}
    assert turn.counts.items == Counter(succeeded=29, failed=1)
    tallies = desk.value("select tallies from app.batch_chunks where number = 0")
    assert tallies == {"created": 9, "missing": 1}


def test_when_together_fails_only_the_culprits_do(desk: Desk) -> None:
    items = entries(40)
    items[3] = {"n": 3, "fault": "boom"}
    items[31] = {"n": 31, "fault": "boom"}
    job = desk.submit("write_entries", items, chunk=20)

    work(job)

    found = desk.job(job)
    assert desk.entries(job) == [n for n in range(40) if n not in {3, 31}]
    assert found.codes == {"created": 38, "error": 2}
    assert found.results[31] == {"code": "error", "message": "Something went wrong on our side."}


def test_an_error_of_the_house_is_the_items_outcome_and_its_effect_is_undone(desk: Desk) -> None:
    def refuse(connection: databases.Connection, work: Work, item: Entry) -> Outcome:
        outcome = write_entry(connection, work, item)
        connection.defer(
            "insert into app.ledger (job_id, item) values (%(job)s, -1)", {"job": work.job_id}
        )
        if item.n == 1:
            raise ConflictError("It is taken.")
        return outcome

    operation = Operation(name="refuse", item=Entry, apply_one=refuse)
    register(operation)
    job = desk.submit("refuse", entries(3))

    work(job)

    unregister(operation)
    assert desk.job(job).results[1] == {"code": "conflict", "message": "It is taken."}
    assert desk.entries(job) == [-1, -1, 0, 2]


def test_a_deferred_statement_that_fails_fails_its_own_item(desk: Desk) -> None:
    def defer(connection: databases.Connection, work: Work, item: Entry) -> Outcome:
        values = {"job": work.job_id, "n": None if item.n == 1 else item.n}
        connection.defer("insert into app.ledger (job_id, item) values (%(job)s, %(n)s)", values)
        return Outcome("created")

    operation = Operation(name="defer", item=Entry, apply_one=defer)
    register(operation)
    job = desk.submit("defer", entries(3))

    work(job)

    unregister(operation)
    assert [one["code"] for one in desk.job(job).results] == ["created", "error", "created"]
    assert desk.entries(job) == [0, 2]


@pytest.mark.parametrize("operation", ["write_entries", "write_entry"])
def test_a_dry_run_says_what_would_happen_and_does_nothing(desk: Desk, operation: str) -> None:
    items = [*entries(10), {"n": 10, "fault": "boom"}]
    job = desk.submit(operation, items, chunk=20, dry_run=True)

    work(job)

    assert desk.job(job).codes == {"created": 10, "error": 1}
    assert desk.entries(job) == []


def test_the_effect_acts_for_whoever_asked_and_not_for_the_house(desk: Desk) -> None:
    seen: list[Any] = []

    def look(connection: databases.Connection, work: Work, items: Any) -> list[Outcome]:
        query = "select auth.role(), auth.account_id(), auth.uid()"
        seen.extend(connection.execute(query).fetchone() or ())
        return [Outcome("unchanged")] * len(items)

    operation = Operation(name="look", item=Entry, apply=look)
    register(operation)
    job = desk.submit("look", entries(1), account=OTHER)

    work(job)

    unregister(operation)
    assert seen[:2] == ["authenticated", OTHER]
    assert desk.job(job).status == "completed"


def test_an_export_is_made_of_parts_in_order_and_finished_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: dict[str, bytes] = {}
    monkeypatch.setenv("DOCUMENTS_BUCKET", "documents")
    forget()
    monkeypatch.setattr(
        storage, "put", lambda _bucket, key, content, _kind: stored.update({key: content})
    )

    def produce(work: Work, items: Any) -> Produced:
        if any(item.fault == "boom" for item in items):
            raise ValueError
        some = items[:3]  # ends early, as an export of large things may
        text = "".join(f"{item.n} " for item in some)
        return Produced([Outcome("exported")] * len(some), text.encode())

    def finish(work: Work, parts: Any, key: str) -> Result:
        stored[key] = b"".join(stored[part] for part in parts)
        return Result(key, len(stored[key]), "text/plain")

    operation = Operation(name="produce", item=Entry, produce=produce, finish=finish)
    register(operation)
    items = entries(20)
    items[11] = {"n": 11, "fault": "boom"}
    job = desk.submit("produce", items)

    work(job)

    unregister(operation)
    query = "select result_key from app.batch_jobs where id = %s"
    result = stored[desk.value(query, job)].decode().split()
    assert result == [str(n) for n in range(20) if n != 11]
    assert desk.job(job).codes == {"exported": 19, "error": 1}
    assert desk.job(job).status == "completed_with_errors"


# ---- who gets what --------------------------------------------------------------------------


def test_two_workers_never_have_the_same_chunk(desk: Desk, configure: Callable[..., None]) -> None:
    configure(DATABASE_POOL_MAX=8)
    job = desk.submit("write_entries", entries(400), chunk=10)

    with ThreadPoolExecutor(8) as pool:
        turns = [pool.submit(work, job) for _ in range(8)]
        done = [turn.result() for turn in turns]

    assert desk.entries(job) == list(range(400))
    assert sum(turn.counts.items["succeeded"] for turn in done) == 400
    assert desk.value("select max(leases) from app.batch_chunks") == 1


def test_a_worker_does_only_its_own_priority(desk: Desk) -> None:
    low = desk.submit("write_entries", entries(10), priority="low")

    work(low, "high")
    work(low, "normal")
    assert desk.entries(low) == []
    work(low, "low")

    assert len(desk.entries(low)) == 10


def test_the_account_with_fewer_leases_comes_first(desk: Desk) -> None:
    desk.submit("write_entries", entries(1_000))
    small = desk.submit("write_entries", entries(10), account=OTHER)

    taken = [take().account_id for _ in range(4)]

    assert sorted(taken[:2]) == [ACCOUNT, OTHER]
    assert taken[2:] == [ACCOUNT, ACCOUNT]
    assert desk.job(small).total == 10


def test_one_worker_alone_serves_accounts_in_turns_not_in_order(desk: Desk) -> None:
    big = desk.submit("write_entries", entries(2_000))
    small = desk.submit("write_entries", entries(100), account=OTHER)

    work(small)

    order = desk.connection.execute(
        "select job_id from (select job_id, min(at) as at from app.ledger "
        "group by job_id, item / 10) as chunk order by at"
    ).fetchall()
    place = [row[0] for row in order]
    assert (place.count(small), place.count(big)) == (10, 200)
    # By lot of two: that ten turns take more than fifty has a chance of 10⁻⁶.
    assert max(n for n, job in enumerate(place) if job == small) < 50


def test_of_an_account_the_oldest_job_comes_first(desk: Desk) -> None:
    first = desk.submit("write_entries", entries(20))
    second = desk.submit("write_entries", entries(20))

    assert [take().id for _ in range(4)] == [first, first, second, second]


def test_chunks_of_a_job_come_in_order(desk: Desk) -> None:
    desk.submit("write_entries", entries(50))

    assert [take().number for _ in range(5)] == list(range(5))


# ---- leases ---------------------------------------------------------------------------------


def test_a_lease_that_expired_is_taken_over_where_its_holder_left_off(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))
    dead = take()
    chunk = slices.Chunk.of(dead, WRITE_ENTRIES, slices.Counts())
    slices.advance(chunk, [0, 1, 2])
    expire(desk)

    turn = work(job)

    assert desk.entries(job) == list(range(10))
    assert turn.counts.leases_lost == 1
    assert turn.counts.items["succeeded"] == 7
    assert desk.job(job).status == "completed"


def test_a_zombies_late_commit_is_refused(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))
    zombie = slices.Chunk.of(take(), WRITE_ENTRIES, slices.Counts())
    slices.advance(zombie, [0, 1])
    expire(desk)
    work(job)

    with pytest.raises(claims.LeaseLostError):
        slices.advance(zombie, [2, 3])
    claims.hand_back(zombie.claim, "late")

    assert desk.entries(job) == list(range(10))
    assert desk.job(job).status == "completed"


def test_a_zombie_that_wakes_within_its_transaction_commits_before_anybody_takes_over(
    desk: Desk, configure: Callable[..., None]
) -> None:
    configure(DATABASE_POOL_MAX=2, BATCH_LEASE_SECONDS=0.2)
    job = desk.submit("write_entries", entries(10))
    asleep, wake = threading.Event(), threading.Event()

    def sleepy(connection: databases.Connection, work: Work, items: Any) -> list[Outcome]:
        outcomes = WRITE_ENTRIES.apply(connection, work, items)  # type: ignore[misc]
        asleep.set()
        wake.wait(10)
        return list(outcomes)

    operation = Operation(name="write_entries", item=Entry, apply=sleepy)
    chunk = slices.Chunk.of(take(), operation, slices.Counts())
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slices.advance, chunk, list(range(10)))
        assert asleep.wait(10)
        while not desk.value("select leased_until < now() from app.batch_chunks"):
            time.sleep(0.01)
        work(job)  # finds the row locked, and passes it by
        wake.set()
        assert late.result() == 10

    work(job)
    assert desk.entries(job) == list(range(10))
    assert desk.job(job).status == "completed"


def test_idle_in_a_transaction_cannot_hold_a_chunk_for_ever(
    desk: Desk, configure: Callable[..., None]
) -> None:
    configure(DATABASE_POOL_MAX=2, DATABASE_TRANSACTION_IDLE_TIMEOUT=0.5, BATCH_LEASE_SECONDS=0.2)
    job = desk.submit("write_entries", entries(10))
    asleep, wake = threading.Event(), threading.Event()

    def sleepy(connection: databases.Connection, work: Work, items: Any) -> list[Outcome]:
        outcomes = WRITE_ENTRIES.apply(connection, work, items)  # type: ignore[misc]
        asleep.set()
        wake.wait(30)
        return list(outcomes)

    operation = Operation(name="write_entries", item=Entry, apply=sleepy)
    chunk = slices.Chunk.of(take(), operation, slices.Counts())
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slices.advance, chunk, list(range(10)))
        assert asleep.wait(10)
        deadline = time.monotonic() + 10
        while desk.job(job).status != "completed" and time.monotonic() < deadline:
            work(job)
        wake.set()
        with pytest.raises(DatabaseUnavailableError):
            late.result()

    assert desk.entries(job) == list(range(10))


def test_items_that_kill_every_worker_are_given_up_one_by_one(
    desk: Desk, configure: Callable[..., None]
) -> None:
    configure(BATCH_ATTEMPTS=3)
    job = desk.submit("write_entries", entries(10))
    for _ in range(3):
        take()
        expire(desk)

    work(job)

    found = desk.job(job)
    assert found.results[0] == {"code": "error", "message": "Every worker that tried it died."}
    assert desk.entries(job) == list(range(1, 10))


def test_after_failures_fewer_items_are_tried_at_a_time(desk: Desk) -> None:
    desk.submit("write_entries", entries(100), chunk=100)
    sizes = []
    for _ in range(4):
        sizes.append(len(slices.Chunk.of(take(), WRITE_ENTRIES, slices.Counts()).next()))
        expire(desk)

    assert sizes == [100, 100, 15, 1]


# ---- failures -------------------------------------------------------------------------------


def test_what_is_no_items_fault_lets_the_chunk_rest_and_fails_none(
    desk: Desk, configure: Callable[..., None]
) -> None:
    failures = iter([psycopg.errors.DeadlockDetected(), OSError()])

    def fail(connection: databases.Connection, work: Work, items: Any) -> Any:
        for error in failures:
            raise error
        return WRITE_ENTRIES.apply(connection, work, items)  # type: ignore[misc]

    operation = Operation(name="fail", item=Entry, apply=fail)
    register(operation)
    job = desk.submit("fail", entries(10))

    turn = work(job)
    assert turn.ticket_after == 1
    assert desk.entries(job) == []
    query = "select error, failures, due_at > now() from app.batch_chunks"
    assert desk.connection.execute(query).fetchone() == ("DeadlockDetected", 1, True)
    for _ in range(2):
        desk.connection.execute("update app.batch_chunks set due_at = now()")
        work(job)

    unregister(operation)
    assert desk.entries(job) == list(range(10))
    assert desk.value("select failures from app.batch_chunks") == 0


def test_a_chunk_that_always_fails_is_given_up_and_the_job_ends(
    desk: Desk, configure: Callable[..., None]
) -> None:
    configure(BATCH_ATTEMPTS=3)

    def fail(connection: databases.Connection, work: Work, items: Any) -> Any:
        raise OSError

    operation = Operation(name="fail", item=Entry, apply=fail)
    register(operation)
    job = desk.submit("fail", entries(10))

    for _ in range(3):
        work(job)
        desk.connection.execute("update app.batch_chunks set due_at = now()")

    unregister(operation)
    found = desk.job(job)
    assert (found.status, found.failed) == ("completed_with_errors", 10)
    assert found.results[0] == {"code": "error", "message": "It was tried 3 times in vain."}


def test_a_job_of_an_operation_that_is_gone_ends_and_says_that_it_failed(
    desk: Desk, configure: Callable[..., None]
) -> None:
    configure(BATCH_ATTEMPTS=2)
    job = desk.submit("gone", entries(10), parameters={"of": "yore"})

    for _ in range(2):
        work(job)
        desk.connection.execute("update app.batch_chunks set due_at = now()")

    assert (desk.job(job).status, desk.job(job).codes) == ("completed_with_errors", {"error": 10})


def produce(work: Work, items: Any) -> Produced:
    return Produced([Outcome("exported")] * len(items), b"")


def test_a_job_that_cannot_be_finished_fails(desk: Desk, configure: Callable[..., None]) -> None:
    configure(BATCH_ATTEMPTS=2)

    def finish(work: Work, parts: Any, key: str) -> Result:
        raise OSError

    operation = Operation(name="produce", item=Entry, produce=produce, finish=finish)
    register(operation)
    job = desk.submit("produce", entries(3))

    for _ in range(3):
        work(job)
        desk.connection.execute("update app.batch_jobs set leased_until = now() where lease > 0")

    unregister(operation)
    found = desk.job(job)
    assert (found.status, found.error) == ("failed", "It was tried 2 times in vain.")
    assert found.codes == {"exported": 3}


def test_a_job_that_is_cancelled_while_it_is_finished_has_no_result(desk: Desk) -> None:
    def finish(work: Work, parts: Any, key: str) -> Result:
        desk.set(work.job_id, "cancelling")
        return Result(key, 1, "text/plain")

    operation = Operation(name="produce", item=Entry, produce=produce, finish=finish)
    register(operation)
    job = desk.submit("produce", entries(3))

    work(job)

    unregister(operation)
    assert desk.job(job).status == "cancelled"
    assert desk.value("select result_key from app.batch_jobs where id = %s", job) is None


def test_only_one_delayed_ticket_waits_for_a_job(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))
    desk.connection.execute("update app.batch_chunks set due_at = now() + interval '90 seconds'")

    assert [work(job).ticket_after for _ in range(3)] == [90, None, None]


# ---- progress ----


@pytest.mark.parametrize("operation", ["write_entries", "write_entry"])
def test_progress_is_what_is_committed_and_no_commit_holds_back_a_second(
    desk: Desk, operation: str
) -> None:
    """The ledger's rows become visible with the commit that counts them, not before or after."""
    job = desk.submit(operation, entries(400, seconds=0.005), chunk=200)
    looks = [0]

    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(work, job)
        while not turn.done():
            counted, written = desk.connection.execute(PROGRESS, {"id": job}).fetchone() or (0, 0)
            assert counted == written
            looks.append(counted)

    assert looks == sorted(looks)
    assert max(after - before for before, after in pairwise(looks)) * 0.005 <= 1


# ---- stopping -------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["write_entries", "write_entry"])
def test_no_item_starts_later_than_a_second_after_a_cancel(desk: Desk, operation: str) -> None:
    job = desk.submit(operation, entries(1_000, seconds=0.01), chunk=500)

    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(work, job)
        while not desk.entries(job):
            time.sleep(0.01)
        desk.set(job, "cancelling")
        at = desk.value("select clock_timestamp()")
        turn.result()

    found = desk.job(job)
    last = desk.value("select max(at) from app.ledger")
    assert (last - at).total_seconds() < 1
    assert (found.status, found.succeeded + found.skipped) == ("cancelled", 1_000)
    assert len(desk.entries(job)) == found.succeeded < 1_000


def test_a_cancelled_job_ends_before_its_ticket_is_spent_on_others(desk: Desk) -> None:
    desk.submit("write_entry", entries(10))
    job = desk.submit("write_entry", entries(10))
    desk.set(job, "cancelling")

    engine.serve("normal", job, lambda: 0.0)

    found = desk.job(job)
    assert (found.status, found.skipped) == ("cancelled", 10)
    assert desk.entries(job) == []


def test_a_paused_job_goes_on_where_it_was(desk: Desk) -> None:
    job = desk.submit("write_entry", entries(200, seconds=0.005), chunk=100)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(work, job)
        while not desk.entries(job):
            time.sleep(0.01)
        desk.set(job, "paused")
        turn.result()
    done = desk.entries(job)
    assert 0 < len(done) < 200
    work(job)
    assert desk.entries(job) == done

    desk.set(job, "running")
    work(job)

    assert desk.entries(job) == list(range(200))
    assert desk.job(job).status == "completed"


@pytest.mark.parametrize(("percent", "most"), [(0, 5), (10, 15)])
def test_a_job_stops_within_a_slice_of_too_many_failures(
    desk: Desk, percent: int, most: int
) -> None:
    items = [{"n": n, "fault": "missing" if n % 2 else ""} for n in range(1_000)]
    job = desk.submit("write_entries", items, chunk=10, stop=percent)

    work(job)

    found = desk.job(job)
    assert found.status == "failed"
    assert found.error == f"More than {percent} % of the items failed."
    assert found.failed <= most
    assert found.skipped == 1_000 - found.failed - found.succeeded
    assert len(desk.entries(job)) == found.succeeded


def test_few_failures_do_not_stop_a_job(desk: Desk) -> None:
    items = [{"n": n, "fault": "missing" if n % 10 == 0 else ""} for n in range(300)]
    job = desk.submit("write_entries", items, stop=20)

    work(job)

    assert (desk.job(job).status, desk.job(job).failed) == ("completed_with_errors", 30)


# ---- time -----------------------------------------------------------------------------------


def test_a_worker_that_runs_out_of_time_hands_back_and_asks_for_another(desk: Desk) -> None:
    job = desk.submit("write_entry", entries(200, seconds=0.01), chunk=200)

    turn = work(job, seconds=engine.LEAST_TIME + 0.6)

    assert turn.ticket_after == 0
    done = desk.entries(job)
    assert 0 < len(done) < 200
    state = "select state, lease, failures from app.batch_chunks"
    assert desk.connection.execute(state).fetchone() == ("pending", None, 0)
    work(job)
    assert desk.entries(job) == list(range(200))


def test_a_rate_limit_holds_across_workers(desk: Desk, configure: Callable[..., None]) -> None:
    configure(DATABASE_POOL_MAX=4)
    rate, seconds = 200, 3.0
    job = desk.submit("write_entries", entries(5_000), chunk=50, rate=rate)
    deadline = time.monotonic() + seconds

    def keep_working() -> None:
        while time.monotonic() < deadline:
            work(job, seconds=engine.LEAST_TIME + deadline - time.monotonic())

    with ThreadPoolExecutor(4) as pool:
        for turn in [pool.submit(keep_working) for _ in range(4)]:
            turn.result()

    done = len(desk.entries(job))
    span = float(desk.value("select extract(epoch from max(at) - min(at)) from app.ledger"))
    assert rate * (seconds - 1) * 0.8 < done <= rate * (span + 1)
    widest = desk.value(
        "select max(n) from (select count(*) over (order by at range between current row and "
        "interval '1 second' following) as n from app.ledger) as windows"
    )
    assert widest <= 2 * rate


def test_a_job_above_its_rate_keeps_no_worker_from_others(desk: Desk) -> None:
    slow = desk.submit("write_entries", entries(100), rate=1)
    other = desk.submit("write_entries", entries(100))

    turn = work(slow)

    assert len(desk.entries(slow)) <= 2
    assert len(desk.entries(other)) == 100
    assert turn.ticket_after == 1


def test_low_never_starves_while_high_and_normal_are_saturated(
    desk: Desk, configure: Callable[..., None]
) -> None:
    """Each priority has workers of its own: 4, 4 and 2, as template.yaml maps the queues."""
    configure(DATABASE_POOL_MAX=10)
    jobs = {
        name: desk.submit("write_entries", entries(20_000), chunk=20, priority=name)
        for name in ("high", "normal", "low")
    }
    deadline = time.monotonic() + 3

    def keep_working(priority: str) -> None:
        work(jobs[priority], priority, engine.LEAST_TIME + deadline - time.monotonic())

    with ThreadPoolExecutor(10) as pool:
        turns = [
            pool.submit(keep_working, priority)
            for priority, count in (("high", 4), ("normal", 4), ("low", 2))
            for _ in range(count)
        ]
        for turn in turns:
            turn.result()

    done = {name: len(desk.entries(job)) for name, job in jobs.items()}
    assert max(done.values()) < 20_000
    assert done["low"] / sum(done.values()) >= 0.05

"""What the sweeper makes up for: dead workers, lost tickets, jobs nobody settled, and age."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from quotekit import outbox
from quotekit.batches import claims, engine, sweeping
from quotekit.batches.sweeping import Swept
from quotekit.outbox import Promise
from tests.batching import WRITE_ENTRIES, Desk, entries, register, unregister
from tests.conftest import Database, forget


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Promise]:
    """What went to queues, which are none here."""
    found: list[Promise] = []
    monkeypatch.setattr(outbox, "deliver", lambda these: found.extend(these) or len(these))
    return found


@pytest.fixture
def desk(
    database: Database, monkeypatch: pytest.MonkeyPatch, sent: list[Promise]
) -> Iterator[Desk]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    register(WRITE_ENTRIES)
    desk = Desk(database.owner_url)
    desk.prepare()
    yield desk
    unregister(WRITE_ENTRIES)
    desk.connection.close()


def expire(desk: Desk) -> None:
    desk.connection.execute(
        "update app.batch_chunks set leased_until = now() - interval '1 second' where lease > 0"
    )


def work(job: UUID) -> engine.Turn:
    return engine.serve("normal", job, lambda: 60.0)


def test_a_job_whose_tickets_were_lost_gets_new_ones(desk: Desk, sent: list[Promise]) -> None:
    job = desk.submit("write_entries", entries(100))

    swept = sweeping.sweep()

    assert swept == Swept(leases=0, settled=0, tickets=4, forgotten=0)
    assert [(one.topic, one.payload["job_id"]) for one in sent] == [("batch", str(job))] * 4


def test_work_that_is_in_good_hands_gets_no_tickets(desk: Desk) -> None:
    desk.submit("write_entries", entries(10))
    claims.claim("normal", seconds=60)

    assert sweeping.sweep() == Swept(leases=0, settled=0, tickets=0, forgotten=0)


def test_a_dead_workers_lease_is_taken_off_and_its_failure_counted(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))
    claims.claim("normal", seconds=60)
    expire(desk)

    swept = sweeping.sweep()

    assert (swept.leases, swept.tickets) == (1, 1)
    assert desk.value("select failures from app.batch_chunks") == 1
    work(job)
    assert desk.job(job).status == "completed"


def test_a_job_whose_last_worker_died_before_settling_is_settled(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(10))
    claim = claims.claim("normal", seconds=60)
    assert claim is not None
    desk.connection.execute(
        "update app.batch_chunks set state = 'done', lease = null, leased_until = null, "
        'succeeded = size, results = (select jsonb_agg(\'{"code": "created"}\'::jsonb) '
        "from generate_series(1, size))"
    )

    assert sweeping.sweep().settled == 1

    assert desk.job(job).status == "completed"


@pytest.mark.parametrize(("status", "end"), [("cancelling", "cancelled"), ("stopping", "failed")])
def test_what_nobody_works_at_is_skipped_when_a_job_shall_end(
    desk: Desk, status: str, end: str
) -> None:
    job = desk.submit("write_entries", entries(1_205), chunk=10)
    desk.connection.execute("update app.batch_jobs set status = %s, error = 'why'", [status])

    assert sweeping.sweep().settled == 1

    found = desk.job(job)
    assert (found.status, found.skipped, found.codes) == (end, 1_205, {"skipped": 1_205})
    assert desk.entries(job) == []


def test_a_job_that_shall_end_waits_for_whom_works_at_it(desk: Desk) -> None:
    job = desk.submit("write_entries", entries(20))
    claims.claim("normal", seconds=60)
    desk.set(job, "cancelling")

    assert sweeping.sweep().settled == 0
    assert desk.job(job).status == "cancelling"
    expire(desk)
    assert sweeping.sweep().settled == 1
    assert desk.job(job).status == "cancelled"


def test_batches_go_when_they_are_over_for_long_and_not_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_RETENTION_DAYS", "7")
    forget()
    old, new = (desk.submit("write_entries", entries(10)) for _ in range(2))
    work(new)
    open_one = desk.submit("write_entries", entries(10))
    desk.connection.execute(
        "update app.batch_jobs set created_at = now() - interval '30 days', finished_at = "
        "case when id = %s then now() - interval '8 days' else finished_at end",
        [old],
    )

    assert sweeping.sweep().forgotten == 1

    assert {row[0] for row in desk.connection.execute("select id from app.batch_jobs")} == {
        new,
        open_one,
    }
    assert desk.value("select count(*) from app.batch_chunks where job_id = %s", old) == 0

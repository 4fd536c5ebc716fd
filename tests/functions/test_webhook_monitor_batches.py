"""HTTP /v1/webhook-monitor/batch-jobs and its alerts: batches of all accounts, as they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest

from bench.monitor import fill_batches
from functions.webhook_monitor.app import lambda_handler
from quotekit import database as house
from quotekit.batches import watching
from quotekit.database import SERVICE
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Client, Issuer

ROUTE: Final = "ANY /v1/webhook-monitor/{proxy+}"
STRANGER: Final = UUID("01900000-0000-7000-8000-0000000000a9")
JOB: Final = """
insert into app.batch_jobs (id, account_id, created_by, operation, status, total, created_at,
    started_at, updated_at)
values (%(id)s, %(account)s, %(user)s, %(operation)s, 'running', %(total)s, %(at)s, %(at)s, %(at)s)
"""
CHUNK: Final = """
insert into app.batch_chunks (job_id, number, account_id, state, first_position, size, items,
    results, succeeded, failed, skipped, due_at)
values (%(id)s, %(number)s, %(account)s, %(state)s, 1 + 100 * %(number)s, 100,
    to_jsonb(array_fill(1, array[100])), '[]', %(succeeded)s, %(failed)s, %(skipped)s, %(at)s)
"""
END: Final = """
update app.batch_jobs set status = %(status)s, error = 'none', finished_at = created_at + %(took)s
where id = %(id)s
"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(
            "insert into app.user_roles (user_id, role) values (%s, 'admin')", [USER]
        )
        for account in (ACCOUNT, STRANGER):
            connection.execute("insert into app.accounts (id) values (%s)", [account])
        yield connection


@pytest.fixture
def door(owner: psycopg.Connection[Any], webhook_queues: dict[str, str], issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), ROUTE)


def ask(door: Client, path: str, query: str = "") -> Any:
    answer = door("GET", f"/v1/webhook-monitor/{path}", query=query)
    assert answer.status == 200, answer.text
    return answer.json


def job(
    owner: psycopg.Connection[Any],
    *chunks: tuple[int, int, int],
    operation: str = "delete_clients",
    account: UUID = ACCOUNT,
    age: timedelta = timedelta(minutes=30),
    total: int | None = None,
) -> UUID:
    """A running job; each chunk is what succeeded, failed and was skipped of its hundred items."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "account": account,
        "user": USER,
        "operation": operation,
    }
    values |= {"at": datetime.now(UTC) - age, "total": total or 100 * len(chunks)}
    owner.execute(JOB, values)
    for number, (succeeded, failed, skipped) in enumerate(chunks):
        state = "done" if succeeded + failed + skipped == 100 else "pending"
        more = {"number": number, "state": state, "succeeded": succeeded, "failed": failed}
        owner.execute(CHUNK, values | more | {"skipped": skipped})
    made: UUID = values["id"]
    return made


def end(owner: psycopg.Connection[Any], job_id: UUID, status: str, seconds: float) -> None:
    owner.execute(END, {"id": job_id, "status": status, "took": timedelta(seconds=seconds)})


def test_without_jobs_there_are_none_and_no_average(door: Client) -> None:
    answer = ask(door, "batch-jobs")

    assert answer["recent_jobs"] == []
    assert answer["statistics"] == {
        "total": 0,
        "by_status": {},
        "by_operation": {},
        "total_items_processed": 0,
        "total_items_failed": 0,
        "total_execution_time": 0,
        "jobs_with_timing": 0,
        "average_execution_time_ms": None,
    }
    assert "statistics.average_execution_time_ms" in answer["unknown"]


def test_jobs_of_all_accounts_are_shown_newest_first_with_their_committed_counts(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    older = job(owner, (100, 0, 0), (20, 5, 0), age=timedelta(hours=2))
    newer = job(owner, (60, 30, 10), operation="delete_quotes", account=STRANGER)
    end(owner, newer, "completed_with_errors", 1.5)

    first, second = ask(door, "batch-jobs")["recent_jobs"]

    assert (first["id"], second["id"]) == (str(newer), str(older))
    assert first["account_id"] == str(STRANGER)
    counts = ("processed_items", "succeeded_items", "failed_items", "skipped_items")
    assert [first[name] for name in counts] == [100, 60, 30, 10]
    assert [second[name] for name in counts] == [125, 120, 5, 0]
    assert (first["progress_percent"], second["progress_percent"]) == (100, 62.5)
    assert (first["status"], second["status"]) == ("completed_with_errors", "running")
    assert (first["execution_time_ms"], second["execution_time_ms"]) == (1500, None)
    assert second["completed_at"] is None


def test_the_statistics_are_of_the_whole_period(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    end(owner, job(owner, (100, 0, 0)), "completed", 2)
    end(owner, job(owner, (50, 50, 0), operation="delete_quotes"), "completed_with_errors", 4)
    job(owner, (10, 1, 0))
    end(owner, job(owner, (0, 100, 0), age=timedelta(days=20)), "failed", 60)

    week, month = ask(door, "batch-jobs"), ask(door, "batch-jobs", "days_back=30")

    assert week["statistics"] == {
        "total": 3,
        "by_status": {"completed": 1, "completed_with_errors": 1, "running": 1},
        "by_operation": {"delete_clients": 2, "delete_quotes": 1},
        "total_items_processed": 211,
        "total_items_failed": 51,
        "total_execution_time": 6000,
        "jobs_with_timing": 2,
        "average_execution_time_ms": 3000,
    }
    assert week["filter"] == {"days_back": 7, "limit": 100}
    assert month["statistics"]["total"] == 4
    assert month["statistics"]["total_items_failed"] == 151


def test_a_job_that_is_tried_again_is_counted_from_its_chunks_again(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    again = job(owner, (50, 50, 0))
    end(owner, again, "completed_with_errors", 1)
    owner.execute(
        "update app.batch_jobs set status = 'running', finished_at = null, retries = 1"
        " where id = %s",
        [again],
    )
    owner.execute(
        "update app.batch_chunks set failed = 0, state = 'pending' where job_id = %s", [again]
    )

    (found,) = ask(door, "batch-jobs")["recent_jobs"]

    assert (found["status"], found["failed_items"], found["processed_items"]) == ("running", 0, 50)


def test_a_hundred_jobs_are_shown_and_all_are_counted(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill_batches(owner, 250, days=5)

    answer = ask(door, "batch-jobs")

    assert len(answer["recent_jobs"]) == 100
    assert answer["statistics"]["total"] == 250
    made = [found["created_at"] for found in answer["recent_jobs"]]
    assert made == sorted(made, reverse=True)
    summed = owner.execute("select sum(failed) from app.batch_chunks").fetchone()
    assert answer["statistics"]["total_items_failed"] == summed[0]


def test_what_tenants_sent_is_not_for_operators(database: Database) -> None:
    with (
        house.reading(house.Actor("ops_admin", {"role": "ops_admin"})) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select items from app.batch_chunks")


def test_an_operation_whose_items_fail_is_an_alert_by_its_threshold(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    end(owner, job(owner, (70, 30, 0)), "completed_with_errors", 1)
    end(owner, job(owner, (0, 9, 0), operation="delete_quotes"), "cancelled", 1)

    (alert,) = ask(door, "alerts")["alerts"]
    owner.execute("update ops.webhook_thresholds set critical = 25 where kind = 'batch_failures'")
    (worse,) = ask(door, "alerts")["alerts"]

    named = ("type", "severity", "source", "event_type", "value", "threshold")
    assert [alert[name] for name in named] == [
        *("batch_failures", "warning", "batches", "delete_clients", 30, 20)
    ]
    assert (worse["severity"], worse["threshold"]) == ("critical", 25)


def waited() -> float:
    with house.reading(SERVICE) as connection:
        return watching.longest_wait(connection)


def test_a_batch_that_could_go_on_and_does_not_is_an_alert(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    job(owner, (0, 0, 0), age=timedelta(minutes=20))

    (alert,) = ask(door, "alerts")["alerts"]

    assert (alert["type"], alert["severity"]) == ("batch_wait", "critical")
    assert 1199 <= alert["value"] <= 1260
    assert 1199 <= waited() <= 1260


RESTING: Final = {
    "is being worked on": (
        "update app.batch_chunks set state = 'running', lease = 1,"
        " leased_until = now() + interval '30 seconds'"
    ),
    "rests after a failure": "update app.batch_chunks set due_at = now() + interval '1 minute'",
    "waits for its rate limit": (
        "update app.batch_jobs set awaited_until = now() + interval '1 minute'"
    ),
    "is paused": "update app.batch_jobs set status = 'paused'",
    "is over": "update app.batch_jobs set status = 'cancelled', finished_at = now()",
    "is being prepared": (
        "update app.batch_jobs set status = 'preparing', lease = 1,"
        " leased_until = now() + interval '30 seconds'"
    ),
}


@pytest.mark.parametrize("change", RESTING.values(), ids=RESTING.keys())
def test_nobody_waits_for_a_batch_that_is_worked_on_or_rests(
    change: str, owner: psycopg.Connection[Any]
) -> None:
    job(owner, (0, 0, 0), age=timedelta(minutes=20))
    before = waited()

    owner.execute(change.encode())

    assert before > 1000
    assert waited() == 0


def test_a_chunk_whose_worker_died_waits_since_it_was_begun(
    owner: psycopg.Connection[Any],
) -> None:
    job(owner, (0, 0, 0), age=timedelta(minutes=20))
    owner.execute(
        "update app.batch_chunks set state = 'running', lease = 1,"
        " leased_until = now() - interval '1 minute'"
    )

    assert waited() > 1000

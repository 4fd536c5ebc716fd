"""Batches on the whole stack: the urgent pass those that can wait; a pause outlives a restart."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.stacks import Stack, eventually

MANY = 100_000
PLAN = """
insert into app.plans (key, name, quotes_per_month, clients, watermark, bulk_operations, analytics,
    monthly_price, yearly_price)
values ('batches', 'Test', null, null, false, true, true, 1, 1) on conflict do nothing
"""
SUBSCRIBE = """
insert into app.subscriptions (account_id, plan_key, status)
select account_id, 'batches', 'active' from app.members
on conflict (account_id) do update set plan_key = 'batches', status = 'active'
"""


@pytest.fixture(autouse=True)
def plan(stack: Stack) -> Iterator[None]:
    """Bulk operations for everybody, and the plans of before afterwards."""
    with psycopg.connect(stack.facts["database_url"], autocommit=True) as owner:
        before = owner.execute("select account_id, plan_key from app.subscriptions").fetchall()
        owner.execute(PLAN)
        owner.execute(SUBSCRIBE)
        yield
    with psycopg.connect(stack.facts["database_url"], autocommit=True) as owner:
        owner.execute("delete from app.subscriptions where plan_key = 'batches'")
        for account, key in before:
            owner.execute(
                "insert into app.subscriptions (account_id, plan_key, status) "
                "values (%s, %s, 'active')",
                [account, key],
            )


def submit(api: httpx.Client, operation: str, items: list[Any], **options: Any) -> dict[str, Any]:
    body = {"operation": operation, "items": items, "options": options}
    answer = api.post("/v1/batches", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def submit_file(api: httpx.Client, operation: str, items: list[Any], **options: Any) -> str:
    """A file of items, uploaded and submitted; the job's id."""
    content = "\n".join(json.dumps(item) for item in items).encode()
    offer = api.post("/v1/batches/uploads", json={"format": "ndjson", "bytes": len(content)}).json()
    sent = httpx.post(offer["url"], data=offer["fields"], files={"file": ("items", content)})
    assert sent.status_code < 300, sent.text
    body = {"operation": operation, "upload": offer["id"], "options": options}
    answer = api.post("/v1/batches", json=body)
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    return job


def job(api: httpx.Client, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/batches/{job_id}").json()
    return found


def is_over(api: httpx.Client, job_id: str) -> dict[str, Any] | None:
    found = job(api, job_id)
    return found if found["finished_at"] else None


def priced(count: int) -> list[dict[str, Any]]:
    mark = uuid4().hex[:8]
    return [{"name": f"Item {mark} {n}", "unit": "h", "unit_cost": "10"} for n in range(count)]


def test_an_urgent_batch_starts_within_a_second_behind_100_000_items_that_can_wait(
    stack: Stack, api: httpx.Client
) -> None:
    low = submit_file(api, "bulk_create_items", priced(MANY), priority="low")
    eventually(lambda: job(api, low)["started_at"], seconds=60)
    first = submit(api, "delete_clients", [str(uuid4())], priority="high")
    eventually(lambda: is_over(api, first["id"]))  # a cold start is Lambda's, not the queues'

    asked = time.time()
    urgent = submit(api, "delete_clients", [str(uuid4()) for _ in range(100)], priority="high")
    done = eventually(lambda: is_over(api, urgent["id"]))

    with psycopg.connect(stack.facts["database_url"]) as owner:
        query = "select extract(epoch from started_at)::float8 from app.batch_jobs where id = %s"
        ((started,),) = owner.execute(query, [urgent["id"]]).fetchall()
    waiting = job(api, low)
    assert started - asked < 1
    assert done["counts"]["failed"] == 100
    assert waiting["status"] == "running"
    assert waiting["counts"]["pending"] > 0
    assert api.post(f"/v1/batches/{low}/cancel").is_success
    eventually(lambda: is_over(api, low), seconds=60)


@pytest.mark.slow
def test_a_paused_batch_outlives_a_restart_and_goes_on_where_it_was(stack: Stack) -> None:
    with stack.http() as api:
        paused = submit_file(api, "bulk_create_items", priced(20_000))
        eventually(lambda: job(api, paused)["counts"]["succeeded"] > 0, seconds=60)
        assert api.post(f"/v1/batches/{paused}/pause").is_success
        before = eventually(lambda: at_rest(api, paused))

    stack.stop()
    stack.start()

    with stack.http() as api:
        after = job(api, paused)
        assert (after["status"], after["counts"]) == ("paused", before["counts"])
        assert 0 < after["counts"]["succeeded"] < 20_000
        assert api.post(f"/v1/batches/{paused}/resume").is_success
        done = eventually(lambda: is_over(api, paused), seconds=90)
    assert (done["status"], done["counts"]["succeeded"]) == ("completed", 20_000)
    with psycopg.connect(stack.facts["database_url"]) as owner:
        query = "select count(*) from app.audit_events where details ->> 'batch' = %s"
        assert owner.execute(query, [paused]).fetchone() == (20_000,)


def at_rest(api: httpx.Client, job_id: str) -> dict[str, Any] | None:
    """The job when no worker has a chunk of it any more."""
    found = job(api, job_id)
    return None if found["chunks"]["running"] else found

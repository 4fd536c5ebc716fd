"""HTTP /v1/webhook-monitor: what it reports is in the tables, and what it mends is mended."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.monitor import fill
from functions.outbox_sweeper.app import lambda_handler as sweeper
from functions.webhook_monitor.app import lambda_handler
from quotekit import database as databases
from quotekit import exchange
from quotekit.database import SERVICE
from quotekit.operations.webhooks import counts, search
from quotekit.resilience import breakers
from quotekit.webhooks import applying
from quotekit.webhooks.model import Event, PermanentError
from quotekit.webhooks.repository import Delivery
from tests.conftest import Database, forget
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    UNKNOWN,
    USER,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

BASE = "/v1/webhook-monitor"
ROUTE = "ANY /v1/webhook-monitor/{proxy+}"
SIX = ("overview", "performance", "dead-letter-queue", "audit-trail", "batch-jobs", "alerts")
GRANT = "insert into app.user_roles (user_id, role) values (%s, %s)"


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(GRANT, [USER, "admin"])
        connection.execute(GRANT, [USER, "moderator"])  # further roles do not shut him out
        yield connection


@pytest.fixture
def door(owner: psycopg.Connection[Any], webhook_queues: dict[str, str], issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), ROUTE)


def ask(door: Client, path: str, query: str = "") -> Any:
    answer = door("GET", f"{BASE}/{path}", query=query)
    assert answer.status == 200, answer.text
    return answer.json


def event(number: int, kind: str = "nothing.known", **more: Any) -> Event:
    values: dict[str, Any] = {
        "source": "stripe",
        "event_id": f"evt_{number}",
        "type": kind,
        "handler": "ignore",
        "received_at": datetime.now(UTC),
        "body": json.dumps({"id": f"evt_{number}", "data": {"items": [{"n": number}]}}),
        "signature_key": 0,
    }
    return Event(**values | more)


def delivery() -> Delivery:
    return Delivery("webhooks", 1, datetime.now(UTC))


def applied(arrived: Event) -> None:
    with databases.transaction(SERVICE) as connection:
        applying.apply(connection, arrived, delivery())


def failed(arrived: Event, error: Exception, *, most: int = 6) -> UUID:
    with databases.transaction(SERVICE) as connection:
        failure = applying.fail(connection, arrived, delivery(), error, most=most)
    assert failure
    return failure.id


def messages(queue_url: str) -> list[dict[str, Any]]:
    answer = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


# ---- who ----


@pytest.mark.parametrize("path", [*SIX, "events", f"events/{UNKNOWN}", "routes", "breakers"])
def test_only_an_admin_in_the_database_may_look(door: Client, issuer: Issuer, path: str) -> None:
    claimed = issuer.token(OTHER_USER, ACCOUNT, role="admin", scope="admin")

    answer = Client(lambda_handler, claimed, ROUTE)("GET", f"{BASE}/{path}")

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")


CHANGES = [
    ("POST", f"events/{UNKNOWN}/retry", None),
    ("POST", "redrive", {"all": True}),
    ("POST", f"redrive/{UNKNOWN}/cancel", None),
    ("PUT", "routes", {"rules": [{"source": "stripe", "queue": "bulk", "handler": "stripe"}]}),
    ("POST", "routes/publish", None),
    ("POST", f"redrive/{UNKNOWN}/resume", None),
    ("POST", f"dead-letter-queue/{UNKNOWN}/resolve", {"resolution": "x"}),
    ("PUT", "breakers/stripe", {"phase": "open", "reason": "why not"}),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[1].rpartition("/")[2])
def test_only_an_admin_in_the_database_may_change(
    door: Client, issuer: Issuer, owner: psycopg.Connection[Any], change: tuple[str, str, Any]
) -> None:
    method, path, body = change
    anyone = Client(lambda_handler, issuer.token(OTHER_USER), ROUTE)

    answer = anyone(method, f"{BASE}/{path}", body)

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")
    assert owner.execute("select count(*) from ops.webhook_redrives").fetchone() == (0,)


def test_a_role_that_has_ended_no_longer_opens_it(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    owner.execute("update app.user_roles set expires_at = now() - interval '1 second'")

    assert door("GET", f"{BASE}/overview").status == 403


# ---- the six ----


@pytest.mark.parametrize("path", SIX)
def test_nothing_stored_is_zero_and_never_a_made_up_figure(door: Client, path: str) -> None:
    answer = ask(door, path)

    assert datetime.fromisoformat(answer["observed_at"]) <= datetime.now(UTC)
    assert answer["source"]


def test_an_empty_overview_says_why_its_rate_is_null(door: Client) -> None:
    answer = ask(door, "overview")

    assert answer["summary"]["total_events"] == 0
    assert answer["summary"]["success_rate"] is None
    assert answer["unknown"]["summary.success_rate"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *[(path, f"days_back={value}") for path in SIX if path != "dead-letter-queue"
          for value in ("0", "91", "-1", "x", "1.5")],
        ("audit-trail", "limit=501"),
        ("audit-trail", "limit=0"),
        ("dead-letter-queue", "limit=501"),
        ("events", "limit=101"),
        ("events", "type=push"),
        ("events", "path=a.b"),
        ("events", "status=lost"),
        ("events", "since=2026-01-01T00:00:00"),
        ("events", "cursor=!!"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_422(door: Client, path: str, query: str) -> None:
    answer = door("GET", f"{BASE}/{path}", query=query)

    assert (answer.status, answer.json["code"]) == (422, "VALIDATION_ERROR")


def test_what_waits_in_sqs_is_told_as_sqs_tells_it(
    door: Client, webhook_queues: dict[str, str], sqs_over_http: Aws
) -> None:
    message = {"MessageBody": "{}"}
    sqs_over_http.queues[webhook_queues["webhooks"]] = [message, message, message | {"taken": True}]

    found = ask(door, "overview")["queues"]

    queue = found["webhooks"]
    assert (queue["waiting"], queue["in_flight"], queue["reason"]) == (2, 1, None)
    assert queue["source"] == "sqs:GetQueueAttributes"
    assert datetime.fromisoformat(queue["observed_at"]) <= datetime.now(UTC)
    assert (found["webhooks_critical"]["waiting"], found["webhooks_bulk"]["waiting"]) == (0, 0)


def test_viewers_at_once_ask_sqs_once(door: Client, sqs_over_http: Aws) -> None:
    first, second = (ask(door, "overview")["queues"]["webhooks"] for _ in range(2))

    assert first == second
    assert sqs_over_http.count("GetQueueAttributes") == 3


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("denied", "GetQueueAttributes: AccessDeniedException"),
        ("wrong", "SQS's answer could not be read"),
        ("drop", "AmazonSQS.GetQueueAttributes: RemoteDisconnected"),
        ("late", "AmazonSQS.GetQueueAttributes: TimeoutError"),
    ],
)
def test_what_sqs_does_not_say_is_null_with_a_reason(
    door: Client,
    environment: pytest.MonkeyPatch,
    sqs_over_http: Aws,
    trouble: str,
    reason: str,
) -> None:
    environment.setenv("WEBHOOK_TIMEOUT", "0.2")
    environment.setattr(exchange, "PAUSE", 0)
    sqs_over_http.delay = 0.5
    sqs_over_http.trouble("sqs", *[trouble] * 9)

    answer = ask(door, "overview")

    queue = answer["queues"]["webhooks"]
    assert (queue["waiting"], queue["in_flight"], queue["reason"]) == (None, None, reason)
    assert answer["unknown"]["queues.webhooks"] == reason
    assert answer["summary"]["total_events"] == 0  # the rest is told all the same


def test_the_overview_counts_what_became_of_each_event(door: Client) -> None:
    for number in range(6):
        applied(event(number))
    failed(event(6), TimeoutError())
    failed(event(7), PermanentError("bad"), most=1)
    retried = event(8)
    failed(retried, TimeoutError())
    applied(retried)

    answer = ask(door, "overview")

    summary = answer["summary"]
    assert (summary["total_events"], summary["processed_events"], summary["failed_events"]) == (
        *(9, 7, 2),
    )
    assert summary["success_rate"] == 77.78
    assert answer["event_type_breakdown"] == {
        "stripe": {"nothing.known": {"total": 9, "processed": 7, "failed": 2, "pending": 0}}
    }
    (row,) = answer["performance_summary"]
    assert (row["retry_rate"], row["dead_letter_rate"]) == (11.11, 11.11)
    assert 0 < row["avg_processing_time_ms"] < 5000
    (target,) = answer["target_achievement"]
    assert (target["target_achieved"], target["reason"]) == (
        *(None, "no target is set for this type"),
    )


def slice_by_slice(owner: psycopg.Connection[Any]) -> int:
    """Roll up all that there is; how many slices that took."""
    # One moment for all: against the moving clock each call has a little more to do, for ever.
    now, before, rounds = datetime.now(UTC), None, 0
    while True:
        until = counts.roll_up(now)
        rounds += 1
        if until == before:
            return rounds
        before = until


EXACT = """
select event.type, count(distinct event.id), count(attempt.number),
    count(*) filter (where attempt.outcome = 'failed'), count(*) filter (where number = 2),
    round(avg(milliseconds) filter (where outcome <> 'failed'), 3)::float8,
    (percentile_disc(0.95) within group (order by milliseconds)
        filter (where outcome <> 'failed'))::float8
from ops.webhook_events as event
join ops.webhook_attempts as attempt on attempt.webhook_id = event.id
where event.source = 'stripe'
  and recorded_at >= (date_trunc('day', now() at time zone 'UTC') - interval '7 days')
      at time zone 'UTC'
group by 1
"""


@pytest.mark.parametrize("roll_up", ["all", "nothing", "part"])
def test_figures_are_those_of_the_events_however_far_the_roll_up_is(
    door: Client, owner: psycopg.Connection[Any], roll_up: str
) -> None:
    fill(owner, 3000, days=12)
    if roll_up == "all":
        slice_by_slice(owner)
    elif roll_up == "part":
        slice_by_slice(owner)  # and then events that came later
        fill_later(owner)

    answer = ask(door, "overview")

    rows = {row["event_type"]: row for row in answer["performance_summary"]
            if row["source"] == "stripe"}  # fmt: skip
    exact = owner.execute(EXACT).fetchall()
    assert len(exact) > 10
    for kind, events, _, _, retried, average, p95 in exact:
        row = rows[kind]
        assert row["total_events"] == events
        assert row["retry_rate"] == round(100 * retried / events, 2)
        if average is None:
            assert (row["avg_processing_time_ms"], row["p95_processing_time_ms"]) == (None, None)
            continue
        assert row["avg_processing_time_ms"] == pytest.approx(average, abs=0.01)
        assert row["p95_processing_time_ms"] == pytest.approx(p95, rel=0.05)


LATER = """
with chosen as (
    select * from ops.webhook_events order by id desc limit 20
), made as (
    insert into ops.webhook_events (id, source, event_id, type, handler, queue, status, received_at,
        bytes, is_json, body)
    select (substr(ops.id_floor(now())::text, 1, 14) || substr(gen_random_uuid()::text, 15))::uuid,
        source, event_id || '-later', type, handler, queue, 'applied', now(), bytes, is_json, body
    from chosen returning id
)
insert into ops.webhook_attempts (webhook_id, number, receives, started_at, milliseconds, outcome)
select id, 1, 1, now(), 12, 'applied' from made
"""


OLD_ENOUGH = """
select count(*) from ops.webhook_events, ops.webhook_rollup where id < ops.id_floor(rolled_until)
"""


def fill_later(owner: psycopg.Connection[Any]) -> None:
    owner.execute(LATER)


def test_rolling_up_twice_counts_nothing_twice(
    owner: psycopg.Connection[Any],
) -> None:
    fill(owner, 500, days=3)
    slice_by_slice(owner)
    once = owner.execute("select sum(events), sum(failed) from ops.webhook_days").fetchone()

    counts.roll_up(datetime.now(UTC))

    assert owner.execute("select sum(events), sum(failed) from ops.webhook_days").fetchone() == once
    hours = "select sum(events) from ops.webhook_hours where source = '*'"
    stored = owner.execute(OLD_ENOUGH).fetchone()
    assert owner.execute(hours).fetchone() == stored == (once[0],)


def test_two_that_roll_up_at_once_count_nothing_twice(
    owner: psycopg.Connection[Any], environment: pytest.MonkeyPatch
) -> None:
    fill(owner, 500, days=1)
    environment.setenv("DATABASE_POOL_MAX", "4")
    forget()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: counts.roll_up(datetime.now(UTC)), range(4)))
    slice_by_slice(owner)

    counted = owner.execute("select sum(events) from ops.webhook_days").fetchone()
    assert counted == owner.execute(OLD_ENOUGH).fetchone()


def test_performance_by_the_hour_adds_up_and_ascends(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill(owner, 2000, days=5)
    slice_by_slice(owner)

    answer = ask(door, "performance", "days_back=10")

    hours = answer["hourly_trends"]
    assert sum(hour["total_events"] for hour in hours) == 2000
    assert [hour["hour"] for hour in hours] == sorted(hour["hour"] for hour in hours)
    gains = [row["improvement_percentage"] for row in answer["benchmarks"]]
    assert len(gains) > 5
    assert gains == sorted(gains, reverse=True)


def test_performance_of_one_type_is_of_that_type_alone(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill(owner, 2000, days=5)
    slice_by_slice(owner)

    answer = ask(door, "performance", "days_back=10&event_type=push&source=github")

    pushes = owner.execute(
        "select count(*) from ops.webhook_events where type = 'push'"
    ).fetchone()[0]
    assert [row["event_type"] for row in answer["performance_summary"]] == ["push"]
    assert sum(hour["total_events"] for hour in answer["hourly_trends"]) == pushes
    assert answer["filter"] == {"source": "github", "event_type": "push", "days_back": 10}


def test_a_target_is_met_or_missed_by_the_average(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill(owner, 3000, days=5)

    answer = ask(door, "overview")

    found = {row["event_type"]: row for row in answer["target_achievement"]}
    assert found["customer.subscription.updated"]["target_achieved"] is True
    assert found["checkout.session.completed"]["target_achieved"] is False
    assert answer["goals"]["event_types_with_target"] == 12
    assert answer["goals"]["total_event_types"] == len(found)


def test_dead_letters_are_counted_by_reason_and_the_urgent_ones_named(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill(owner, 4000, days=2)
    owner.execute(
        "update ops.webhook_dead_letters set resolved_at = now(), resolution = 'seen' "
        "where id = (select id from ops.webhook_dead_letters limit 1)"
    )

    answer = ask(door, "dead-letter-queue", "limit=5")

    assert answer["unresolved_count"] == 19 == sum(answer["failure_reasons"].values())
    failed_at = [row["last_failed_at"] for row in answer["unresolved_entries"]]
    assert len(failed_at) == 5
    assert failed_at == sorted(failed_at, reverse=True)
    urgent = owner.execute(
        "select count(*) from ops.webhook_dead_letters where resolved_at is null "
        "and (category = 'validation' or count >= 5)"
    ).fetchone()
    assert urgent == (answer["high_priority_count"],)
    assert all(row["requires_manual_review"] or row["failure_count"] >= 5
               for row in answer["high_priority_items"])  # fmt: skip


def test_the_audit_trail_shows_attempts_and_what_it_cannot_know(door: Client) -> None:
    applied(event(1))
    failed(event(2), TimeoutError("slow"))
    applied(event(3, signature_key=None))

    answer = ask(door, "audit-trail", "limit=2")

    latest, before = answer["audit_entries"]
    assert (latest["event_id"], latest["signature_validated"]) == ("evt_3", False)
    assert (before["outcome"], before["handler_matched"]) == ("failed", None)
    assert before["error"] == "TimeoutError: slow"
    assert answer["validation_stats"] == {
        "total": 3,
        "signature_validated": 2,
        "idempotency_checked": 3,
        "handler_matched": 0,
        "successful": 2,
    }
    nulls = ("response_status", "user_id", "ip_address")
    assert all(latest[name] is None for name in nulls)
    assert all(f"audit_entries[].{name}" in answer["unknown"] for name in nulls)


def test_without_the_unique_key_the_audit_trail_would_say_so(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    applied(event(1))
    owner.execute("alter table ops.webhook_events drop constraint webhook_events_once")

    answer = ask(door, "audit-trail")

    assert answer["audit_entries"][0]["idempotency_checked"] is False
    assert answer["validation_stats"]["idempotency_checked"] == 0


def test_alerts_follow_their_thresholds(door: Client, owner: psycopg.Connection[Any]) -> None:
    fill(owner, 3000, days=2)

    answer = ask(door, "alerts")

    found = {(row["type"], row["event_type"]): row for row in answer["alerts"]}
    slow = found["slow_processing", "checkout.session.completed"]
    assert (slow["severity"], slow["threshold"]) == ("warning", 250.0)
    assert found["dlq_buildup", None]["value"] == 15
    assert found["dlq_buildup", None]["severity"] == "warning"
    assert found["stale_webhooks", None]["severity"] == "warning"
    order = [row["severity"] for row in answer["alerts"]]
    assert order == sorted(order, key=["critical", "warning", "info"].index)
    assert answer["alert_counts"]["total"] == len(order)


def test_a_threshold_is_a_row(door: Client, owner: psycopg.Connection[Any]) -> None:
    for number in range(3):
        failed(event(number), PermanentError("bad"), most=1)
    owner.execute(
        "update ops.webhook_thresholds set warning = 1, critical = 2 where kind like 'h%'"
    )
    assert ask(door, "alerts")["alerts"] == []

    owner.execute(
        "update ops.webhook_thresholds set warning = 95, critical = 90 where kind like 'h%'"
    )

    (alert,) = ask(door, "alerts")["alerts"]
    assert (alert["type"], alert["severity"], alert["value"]) == (
        "high_failure_rate",
        "critical",
        0,
    )


# ---- searching ----


def all_pages(door: Client, query: str) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while True:
        answer = ask(door, "events", f"{query}{cursor}")
        found += answer["data"]
        if answer["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer['next_cursor']}"


SEARCHES = [
    ("source=github", "source = 'github'"),
    ("source=stripe&type=invoice.payment_failed", "type = 'invoice.payment_failed'"),
    ("source=stripe&object_id=obj_7", "source = 'stripe' and object_id = 'obj_7'"),
    ("source=stripe&event_id=EVENT", "source = 'stripe' and event_id = 'EVENT'"),
    ("status=dead", "status = 'dead'"),
    ("status=stale", "status = 'stale'"),
    ("status=failed&error=SHARD%2021", "status = 'failed' and error like '%shard 21%'"),
    ("error=no%20answer", "error like '%no answer%'"),
    (
        "path=data.object.customer&value=cus_42",
        "body::jsonb #>> '{data,object,customer}' = 'cus_42'",
    ),
    ("path=data.object.amount&value=42", "body::jsonb #>> '{data,object,amount}' = '42'"),
    ("since=SINCE&until=UNTIL", "recorded_at >= 'SINCE' and recorded_at < 'UNTIL'"),
]


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a search of a thousand events takes several looks."""
    monkeypatch.setattr(search, "MOST_LOOKED_AT", 400)
    monkeypatch.setattr(search, "MOST_BODIES", 300)


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize(("query", "condition"), SEARCHES)
def test_a_search_finds_exactly_what_a_scan_finds_the_newest_first(
    door: Client, owner: psycopg.Connection[Any], query: str, condition: str
) -> None:
    fill(owner, 1000, days=10)
    some = owner.execute("select max(event_id) from ops.webhook_events where source = 'stripe'")
    now = datetime.now(UTC)
    texts = {
        "SINCE": f"{now - timedelta(days=6):%Y-%m-%dT%H:%M:%SZ}",
        "UNTIL": f"{now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}",
        "EVENT": some.fetchone()[0],
    }
    for name, text in texts.items():
        query, condition = query.replace(name, text), condition.replace(name, text)

    found = all_pages(door, f"limit=7&{query}")

    exact = owner.execute(
        f"select id::text from ops.webhook_events where {condition} order by id desc".encode()
    ).fetchall()
    assert [row["id"] for row in found] == [row[0] for row in exact]
    assert exact or "amount" in query


def test_a_body_that_is_no_json_is_passed_over(door: Client) -> None:
    applied(event(1, body="a=b&c=d"))
    applied(event(2))

    (found,) = ask(door, "events", "path=data.items.0.n&value=2")["data"]

    assert found["event_id"] == "evt_2"


def test_an_event_is_shown_with_all_that_was_tried(door: Client) -> None:
    tried = event(1)
    webhook_id = failed(tried, TimeoutError("slow"))
    applied(tried)

    shown = ask(door, f"events/{webhook_id}")

    assert json.loads(shown["event"]["body"])["id"] == "evt_1"
    assert [(row["number"], row["outcome"]) for row in shown["attempts"]] == [
        *((1, "failed"), (2, "ignored")),
    ]
    assert shown["attempts"][0]["error"] == "TimeoutError: slow"
    assert (shown["dead_letter"], shown["redrives"]) == (None, [])


def test_an_unknown_event_is_404(door: Client) -> None:
    assert door("GET", f"{BASE}/events/{uuid4()}").status == 404


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            ["source", "type", "object_id", "status", "since", "error", "path", "value", "cursor"]
        ),
        TEXTS | st.sampled_from(["stripe", "push", "dead", "2026-01-01T00:00:00Z", "a.b", "%00"]),
    )
)
def test_no_search_fails_for_what_strangers_write(door: Client, asked: dict[str, str]) -> None:
    from urllib.parse import quote

    query = "&".join(f"{name}={quote(value)}" for name, value in asked.items())

    assert door("GET", f"{BASE}/events", query=query).status in {200, 422}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["all", "ids", "source", "type", "category", "error", "received_since", "per_minute"]
FIELDS += ["reason", "dry_run", "rules", "version", "phase", "minutes", "resolution"]
BODIES = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON | TEXTS)
PLACES = [
    "redrive",
    "routes",
    "routes/publish",
    "breakers/stripe",
    "breakers/%00",
    "events/x/retry",
]
PLACES += [*SIX, f"redrive/{UNKNOWN}/cancel", f"dead-letter-queue/{UNKNOWN}/resolve", "redrive/x"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "POST", "PUT", "DELETE"]), st.sampled_from(PLACES), BODIES)
def test_no_request_fails_for_what_strangers_send(
    door: Client, method: str, path: str, body: Any
) -> None:
    answer = door(method, f"{BASE}/{path}", body)

    assert answer.status < 500, answer.text


def test_every_minute_the_sweeper_counts_what_came(
    owner: psycopg.Connection[Any], webhook_queues: dict[str, str]
) -> None:
    fill(owner, 300, days=0.5)

    sweeper(load_event("outbox_sweeper"), LambdaContext())

    counted = owner.execute("select sum(events) from ops.webhook_days").fetchone()
    assert counted == owner.execute(OLD_ENOUGH).fetchone()
    assert counted[0] > 200


# ---- mending ----


def test_a_dead_event_is_sent_again_once_for_one_key(
    door: Client, webhook_queues: dict[str, str], owner: psycopg.Connection[Any]
) -> None:
    webhook_id = failed(event(1), PermanentError("bad"))
    key = {"idempotency-key": "again-1"}

    first = door("POST", f"{BASE}/events/{webhook_id}/retry", headers=key)
    second = door("POST", f"{BASE}/events/{webhook_id}/retry", headers=key)

    assert (first.status, first.json["status"]) == (202, "queued"), first.text
    assert second.json == first.json
    (message,) = messages(webhook_queues["webhooks"])
    assert message["stored"] == str(webhook_id)
    audit = "select action, actor_id, object_id from app.audit_events"
    assert owner.execute(audit).fetchall() == [("webhook.retried", USER, webhook_id)]


def test_an_event_that_took_effect_is_not_sent_again(
    door: Client, webhook_queues: dict[str, str]
) -> None:
    applied(event(1))
    (found,) = ask(door, "events")["data"]

    answer = door("POST", f"{BASE}/events/{found['id']}/retry")

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert messages(webhook_queues["webhooks"]) == []


def test_a_dry_run_counts_and_changes_nothing(door: Client, owner: psycopg.Connection[Any]) -> None:
    for number in range(3):
        failed(event(number), PermanentError("bad"))
    failed(event(9, "other"), PermanentError("bad"))

    answer = door("POST", f"{BASE}/redrive", {"source": "stripe", "type": "other", "dry_run": True})

    assert (answer.status, answer.json["matching"], answer.json["status"]) == (202, 1, "dry_run")
    assert owner.execute("select count(*) from ops.webhook_redrives").fetchone() == (0,)
    assert owner.execute("select count(*) from app.audit_events").fetchone() == (0,)


def test_a_redrive_is_begun_watched_and_cancelled(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    for number in range(3):
        failed(event(number), PermanentError("bad"))

    begun = door("POST", f"{BASE}/redrive", {"all": True, "reason": "fixed", "per_minute": 1})
    redrive_id = begun.json["id"]
    shown = ask(door, f"redrive/{redrive_id}")
    cancelled = door("POST", f"{BASE}/redrive/{redrive_id}/cancel")
    again = door("POST", f"{BASE}/redrive/{redrive_id}/cancel")

    assert (begun.status, begun.json["matching"], begun.json["created_by"]) == (202, 3, str(USER))
    assert shown["status"] == "running"
    assert [cancelled.json["status"], again.json["status"]] == ["cancelled", "cancelled"]
    assert door("POST", f"{BASE}/redrive/{redrive_id}/resume").json["status"] == "running"
    actions = owner.execute("select action from app.audit_events order by occurred_at").fetchall()
    assert [action for (action,) in actions] == [
        f"webhook_redrive.{verb}" for verb in ("started", "cancelled", "resumed")
    ]


def test_a_dead_letter_is_settled_once_and_by_name(
    door: Client, owner: psycopg.Connection[Any]
) -> None:
    fill(owner, 400, days=1)
    (letter, *_) = ask(door, "dead-letter-queue")["unresolved_entries"]
    place = f"{BASE}/dead-letter-queue/{letter['id']}/resolve"

    settled = door("POST", place, {"resolution": "the customer was called"})
    twice = door("POST", place, {"resolution": "again"})

    assert (settled.status, settled.json["resolved_by"]) == (200, str(USER)), settled.text
    assert (twice.status, twice.json["code"]) == (409, "CONFLICT")
    assert ask(door, "dead-letter-queue")["unresolved_count"] == 1
    unknown = door("POST", place.replace(letter["id"], str(uuid4())), {"resolution": "x"})
    assert unknown.status == 404
    actions = owner.execute("select action, actor_id from app.audit_events").fetchall()
    assert actions == [("webhook_dead_letter.resolved", USER)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"all": True, "source": "stripe"},
        {"ids": []},
        {"ids": ["x"]},
        {"all": True, "per_minute": 0},
        {"all": True, "unknown": 1},
    ],
)
def test_a_redrive_says_what_it_is_about(door: Client, body: dict[str, Any]) -> None:
    assert door("POST", f"{BASE}/redrive", body).status == 422


def test_an_unknown_redrive_is_404(door: Client) -> None:
    assert door("GET", f"{BASE}/redrive/{uuid4()}").status == 404
    assert door("POST", f"{BASE}/redrive/{uuid4()}/cancel").status == 404


def test_rules_are_shown_and_replaced_as_a_whole(door: Client) -> None:
    known = ask(door, "routes")
    rules = [{"source": "stripe", "queue": "bulk", "handler": "stripe"}]

    replaced = door("PUT", f"{BASE}/routes", {"rules": rules})
    stale = door("PUT", f"{BASE}/routes", {"rules": rules, "version": 0})

    assert len(known["rules"]) > 10
    assert known["newest"] is None
    assert replaced.status == 200, replaced.text
    assert stale.status == 409
    shown = ask(door, "routes")
    assert [rule["queue"] for rule in shown["rules"]] == ["bulk"]
    assert shown["newest"]["version"] == replaced.json["version"]


def test_a_wrong_rule_is_named(door: Client) -> None:
    rules = [{"source": "stripe", "queue": "bulk", "handler": "nobody"}]

    answer = door("PUT", f"{BASE}/routes", {"rules": rules})

    assert answer.status == 422
    assert answer.json["details"][0]["field"] == "rules.0.handler"


def test_defaults_that_were_never_changed_need_no_publishing(door: Client) -> None:
    answer = door("POST", f"{BASE}/routes/publish")

    assert (answer.status, answer.json["version"], answer.json["published_at"]) == (200, 0, None)


@pytest.fixture
def storage(door: Client, environment: pytest.MonkeyPatch) -> Iterator[Aws]:
    """S3 as the handler's own client of AWS sees it."""
    with vendor.serve() as aws:
        variables = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": vendor.REGION,
            "AWS_ACCESS_KEY_ID": vendor.KEY,
            "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
            "ROUTING_BUCKET": "documents",
            "ROUTING_KEY": "routing/webhooks.json",
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        environment.delenv("AWS_SESSION_TOKEN", raising=False)
        environment.setattr(exchange, "PAUSE", 0)
        exchange.forget()
        yield aws
        exchange.forget()


def test_what_is_published_is_what_the_handler_reads(
    door: Client, storage: Aws, owner: psycopg.Connection[Any]
) -> None:
    rules = [{"source": "stripe", "queue": "bulk", "handler": "stripe"}]
    stored = door("PUT", f"{BASE}/routes", {"rules": rules})

    published = door("POST", f"{BASE}/routes/publish")

    assert (published.status, published.json["rules"]) == (200, 1), published.text
    assert published.json["version"] == stored.json["version"]
    (document,) = storage.objects.values()
    assert json.loads(document)["rules"][0]["queue"] == "bulk"
    actions = owner.execute("select action from app.audit_events order by occurred_at").fetchall()
    assert actions == [("webhook_routing.replaced",), ("webhook_routing.published",)]


def test_rules_that_s3_does_not_take_stay_unpublished(door: Client, storage: Aws) -> None:
    door("PUT", f"{BASE}/routes", {"rules": [{"source": "stripe", "queue": "bulk",
                                              "handler": "stripe"}]})  # fmt: skip
    storage.trouble("s3", *["denied"] * 9)

    answer = door("POST", f"{BASE}/routes/publish")

    assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert ask(door, "routes")["newest"]["published_at"] is None


def test_breakers_are_shown_and_decided_for(door: Client, owner: psycopg.Connection[Any]) -> None:
    breakers.forget()
    for _ in range(5):
        with pytest.raises(TimeoutError), breakers.guard("stripe"):
            raise TimeoutError
    breakers.forget()

    (shown,) = ask(door, "breakers")["data"]
    closed = door("PUT", f"{BASE}/breakers/stripe", {"phase": "closed", "reason": "they are back"})
    lifted = door("PUT", f"{BASE}/breakers/stripe", {"phase": "automatic", "reason": "done"})

    assert (shown["phase"], shown["override"]) == ("open", None)
    assert (closed.json["override"], closed.json["override_reason"]) == ("closed", "they are back")
    assert (lifted.json["phase"], lifted.json["override"]) == ("closed", None)
    assert door("PUT", f"{BASE}/breakers/x", {"phase": "open", "reason": "?"}).status == 404
    actions = owner.execute("select action from app.audit_events order by occurred_at").fetchall()
    assert actions == [("breaker.overridden",), ("breaker.lifted",)]

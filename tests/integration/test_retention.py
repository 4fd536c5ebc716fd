"""What is old goes, and what is not done, not settled or not counted stays however old it is."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from bench.monitor import fill
from quotekit import database as databases
from quotekit.environment import RetentionSettings, SettingsError
from quotekit.operations import retention
from quotekit.operations.webhooks import counts, overview, requests
from tests.conftest import Database

EVENTS = 2000
DAYS = 120
SETTLE = """
update ops.webhook_dead_letters
set resolution = 'settled', resolved_at = last_failed_at + interval '1 hour'
where abs(hashtext(event_id)) % 2 = 0
"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def history(owner: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Four months of webhooks, counted; of the dead letters about half are settled."""
    fill(owner, EVENTS, DAYS)
    owner.execute(SETTLE)
    owner.execute("update ops.webhook_rollup set rolled_until = %s", [now()])
    return owner


def now() -> datetime:
    return datetime.now(UTC)


def purge(at: datetime | None = None) -> retention.Purge:
    return retention.purge(at or now(), until=time.monotonic() + 60)


def ids(owner: psycopg.Connection[Any], query: str) -> set[Any]:
    return {row["id"] for row in owner.execute(query.encode())}


def test_what_is_done_goes_after_its_days_and_what_is_not_stays(
    history: psycopg.Connection[Any],
) -> None:
    before, reported = (now() - timedelta(days=days) for days in (90, 92))
    letters = {
        row["webhook_id"]: row["resolved_at"]
        for row in history.execute("select webhook_id, resolved_at from ops.webhook_dead_letters")
    }
    stored = history.execute("select id, status, finished_at from ops.webhook_events").fetchall()
    done = {"applied", "stale", "ignored"}
    going = {
        row["id"]
        for row in stored
        if (row["status"] in done and row["finished_at"] < before)
        or (row["status"] == "dead" and (letters[row["id"]] or before) < reported)
    }

    purged = purge()

    left = ids(history, "select id from ops.webhook_events")
    assert {row["id"] for row in stored} - left == going
    assert purged.deleted["webhook_events"] > EVENTS / 6
    assert purged.deleted["webhook_events_settled"] > 0
    old = [row for row in stored if row["id"] in left and row["finished_at"] < before]
    assert {row["status"] for row in old} == {"queued", "failed", "dead"}
    of_nothing = """select webhook_id as id from ops.webhook_attempts as attempt
        where not exists (select from ops.webhook_events where id = attempt.webhook_id)"""
    assert ids(history, of_nothing) == set()


def test_dead_letters_go_when_they_were_settled_long_ago_and_never_before(
    history: psycopg.Connection[Any],
) -> None:
    query = "select id from ops.webhook_dead_letters where {}"
    old = "resolved_at < now() - interval '90 days'"
    going, staying = (
        ids(history, query.format(old)),
        ids(history, query.format(f"({old}) is not true")),
    )

    purge()

    left = ids(history, query.format("true"))
    assert (left, bool(going)) == (staying, True)
    unsettled = "resolved_at is null and last_failed_at < now() - interval '100 days'"
    assert ids(history, query.format(unsettled))


def figures(view: Any, asked: Any, at: datetime) -> dict[str, Any]:
    with databases.reading(databases.SERVICE) as connection:
        found = view(connection, asked, at)
    wanted = ("summary", "event_type_breakdown", "performance_summary", "hourly_trends")
    return {name: getattr(found, name, None) for name in wanted}


def test_the_figures_of_ninety_days_are_the_same_before_and_after(
    owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(owner, 800, 100)
    owner.execute(SETTLE)
    while counts.roll_up(now()) < now() - timedelta(minutes=20):
        continue
    monkeypatch.setenv("RETENTION_WEBHOOK_EVENTS", "30")
    at = now()
    views = (
        (overview.overview, requests.Period(days_back=90)),
        (overview.performance, requests.OfTypes(days_back=90)),
        (overview.performance, requests.OfTypes(days_back=90, source="github")),
    )
    told = [figures(view, asked, at) for view, asked in views]

    purged = purge(at)

    assert purged.deleted["webhook_events"] > 400
    assert [figures(view, asked, at) for view, asked in views] == told


def test_what_is_not_counted_yet_stays(history: psycopg.Connection[Any]) -> None:
    history.execute("update ops.webhook_rollup set rolled_until = to_timestamp(0)")

    assert purge().deleted["webhook_events"] == 0


def test_an_event_that_was_redriven_is_as_old_as_its_last_attempt(
    history: psycopg.Connection[Any],
) -> None:
    redriven = """update ops.webhook_events set finished_at = now() - interval '1 hour'
        where id in (select id from ops.webhook_events where status = 'applied' order by id limit 3)
        returning id"""
    fresh = ids(history, redriven)

    purge()

    assert fresh <= ids(history, "select id from ops.webhook_events")


def aged(owner: psycopg.Connection[Any]) -> None:
    """Of each kind one that is old and over, one that is old and not over, and one that is new."""
    account = uuid4()
    owner.execute("insert into app.accounts (id) values (%s)", [account])
    for days, sent in ((15, True), (15, False), (13, True)):
        owner.execute(
            """insert into app.outbox (id, account_id, topic, payload, created_at, sent_at)
            values (gen_random_uuid(), %s, 'mail', '{}', now() - make_interval(days => %s),
                case when %s then now() - make_interval(days => %s) end)""",
            [account, days, sent, days],
        )
    for hours in (-49, -20, 20):
        owner.execute(
            """insert into app.idempotency_keys (account_id, key, request_hash, status, body,
                expires_at) values (%s, %s, sha256(''), 200, '', now() + make_interval(hours => %s))
            """,
            [account, str(hours), hours],
        )
        owner.execute(
            """insert into ops.revoked_tokens (jti, expires_at)
            values (%s, now() + make_interval(hours => %s))""",
            [str(hours), hours],
        )
    for days, handled in ((91, True), (91, False), (89, True)):
        owner.execute(
            """insert into ops.tracking_events (id, source, event_id, carrier, tracking_number,
                scanned_at, code, handled_at)
            values (ops.id_floor(now() - make_interval(days => %(days)s, secs => %(n)s)),
                'easypost', 'e', 'c', %(number)s, now(), 'c',
                case when %(handled)s then now() - make_interval(days => %(days)s) end)""",
            {"days": days, "n": int(handled), "number": f"{days} {handled}", "handled": handled},
        )
    for days in (91, 89):
        owner.execute(
            """insert into app.webhook_inbox (id, account_id, endpoint_id, event_id, type, body,
                occurred_at, received_at, created_at)
            values (ops.id_floor(now() - make_interval(days => %(days)s)), %(account)s,
                gen_random_uuid(), 'e', 't', '{}', now(), now(),
                now() - make_interval(days => %(days)s))""",
            {"days": days, "account": account},
        )
    for days in (31, 29):
        owner.execute(
            """insert into ops.webhook_refusals (id, source, reason, sample, received_at)
            values (gen_random_uuid(), 's', 'r', '{}', now() - make_interval(days => %s))""",
            [days],
        )
    for days in (401, 399):
        owner.execute(
            """insert into ops.webhook_hours values
            ('s', 't', now() - make_interval(days => %s), 0, 0, 0, 0, 0, 0, 0, 0)""",
            [days],
        )


def test_each_kind_is_kept_for_its_own_days(owner: psycopg.Connection[Any]) -> None:
    aged(owner)
    owner.execute(
        """insert into app.audit_events (id, account_id, action, object_id, occurred_at)
        values (gen_random_uuid(), gen_random_uuid(), 'thing.done', gen_random_uuid(),
            now() - interval '10 years')"""
    )

    purged = purge()

    assert purged.finished
    assert {name: count for name, count in purged.deleted.items() if count} == {
        **dict.fromkeys(["outbox", "idempotency_keys", "revoked_tokens", "tracking_events"], 1),
        **dict.fromkeys(["webhook_inbox", "webhook_refusals", "webhook_hours"], 1),
    }
    left = {
        table: owner.execute(f"select count(*) from {table}".encode()).fetchone()
        for table in ("app.outbox", "app.idempotency_keys", "ops.tracking_events")
    }
    assert {table: row and row["count"] for table, row in left.items()} == dict.fromkeys(left, 2)
    assert owner.execute("select count(*) from app.audit_events").fetchone() == {"count": 1}
    unsent = owner.execute("select count(*) from app.outbox where sent_at is null").fetchone()
    assert unsent == {"count": 1}


def test_a_purge_goes_in_parts_and_ends_with_its_time(
    history: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 50)
    clock = iter(range(100))
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    first = retention.purge(now(), until=3)
    monkeypatch.undo()
    rest = purge()

    assert first == retention.Purge({"webhook_events": 150}, finished=False)
    assert rest.finished
    assert rest.deleted["webhook_events"] > 0


def test_events_are_not_forgotten_while_their_senders_may_repeat_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETENTION_WEBHOOK_EVENTS", "29")

    with pytest.raises(SettingsError, match="RETENTION_WEBHOOK_EVENTS"):
        assert RetentionSettings.webhook_events

"""The monitor over 1,000,000 webhooks and 20,000 batches: `python -m bench.monitor [events]`.

Events, attempts and dead letters are made by set-based SQL, in the shapes the worker leaves, and
rolled up by the function that the schedule calls. Then each request goes through the door in this
process, token and role check included, over one connection to PostgreSQL 18 on 127.0.0.1.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final, LiteralString
from uuid import UUID

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import psycopg  # noqa: E402

from local.postgres import Server  # noqa: E402

EVENTS: Final = 1_000_000
JOBS: Final = 20_000
DAYS: Final = 90
ROUNDS: Final = 60
ADMIN: Final = UUID("01900000-0000-7000-8000-000000000001")
BASE: Final = "/v1/webhook-monitor"

# How often each type comes, and how long it takes on average.
TYPES: Final = """
create temporary table kinds (source text, type text, handler text, queue text, weight int,
    mean float8, first int, last int);
insert into kinds values
    ('stripe', 'invoice.payment_succeeded', 'stripe', 'webhooks_critical', 120, 20),
    ('stripe', 'invoice.finalized', 'stripe', 'webhooks_critical', 110, 15),
    ('stripe', 'customer.subscription.updated', 'stripe', 'webhooks_critical', 90, 30),
    ('stripe', 'customer.subscription.created', 'stripe', 'webhooks_critical', 30, 40),
    ('stripe', 'customer.subscription.deleted', 'stripe', 'webhooks_critical', 20, 35),
    ('stripe', 'invoice.payment_failed', 'stripe', 'webhooks_critical', 20, 25),
    ('stripe', 'invoice.voided', 'stripe', 'webhooks_critical', 3, 15),
    ('stripe', 'checkout.session.completed', 'stripe', 'webhooks_critical', 25, 300),
    ('stripe', 'setup_intent.succeeded', 'stripe', 'webhooks_critical', 15, 20),
    ('stripe', 'payment_method.attached', 'stripe', 'webhooks_critical', 20, 18),
    ('stripe', 'payment_method.detached', 'stripe', 'webhooks_critical', 5, 18),
    ('stripe', 'customer.created', 'stripe', 'webhooks', 30, 9),
    ('stripe', 'customer.updated', 'stripe', 'webhooks', 40, 9),
    ('stripe', 'customer.deleted', 'stripe', 'webhooks', 3, 9),
    ('stripe', 'product.created', 'stripe', 'webhooks', 2, 12),
    ('stripe', 'product.updated', 'stripe', 'webhooks', 4, 12),
    ('stripe', 'price.created', 'stripe', 'webhooks', 2, 12),
    ('stripe', 'price.updated', 'stripe', 'webhooks', 4, 12),
    ('stripe', 'charge.dispute.created', 'stripe', 'webhooks_critical', 1, 20),
    ('stripe', 'charge.refunded', 'stripe', 'webhooks_critical', 4, 20),
    ('github', 'pull_request', 'github', 'webhooks', 90, 14),
    ('github', 'push', 'github', 'webhooks', 80, 14),
    ('github', 'issues', 'github', 'webhooks', 50, 12),
    ('github', 'installation', 'github', 'webhooks_critical', 2, 12),
    ('github', 'check_run', 'github', 'webhooks_bulk', 60, 3),
    ('github', 'ping', 'github', 'webhooks_bulk', 1, 2),
    ('tiktok-shop', '1', 'tiktok-shop', 'webhooks_critical', 80, 10),
    ('tiktok-shop', '4', 'tiktok-shop', 'webhooks', 40, 10),
    ('tiktok-shop', '5', 'tiktok-shop', 'webhooks', 10, 10),
    ('tiktok-shop', '27', 'tiktok-shop', 'webhooks', 10, 10),
    ('easypost', 'tracker.updated', 'carrier', 'webhooks', 50, 16),
    ('shippo', 'track_updated', 'carrier', 'webhooks', 30, 16),
    ('standard', 'order.created', 'standard', 'webhooks', 20, 6),
    ('standard', 'order.updated', 'standard', 'webhooks', 20, 6);
update kinds set first = placed.before, last = placed.before + weight - 1
from (select source as s, type as t, (sum(weight) over (order by source, type) - weight)::int
        as before from kinds) as placed
where placed.s = source and placed.t = type
"""
EVENTS_MADE: Final = """
insert into ops.webhook_events (id, source, event_id, type, object_id, handler, queue,
    signature_key, status, attempts, failures, category, error, sent_at, received_at, recorded_at,
    finished_at, bytes, is_json, body)
select (substr(ops.id_floor(at)::text, 1, 14) || '7' || lpad(to_hex(n % 4096), 3, '0') || '-8'
        || lpad(to_hex((random() * 4095)::int), 3, '0') || '-'
        || lpad(to_hex((random() * 281474976710655)::bigint), 12, '0'))::uuid,
    source, 'evt_' || n, type, 'obj_' || (n % ({events} / 4 + 1)), handler, queue, 0, status,
    case when tried_twice then 2 else 1 end,
    case status when 'dead' then 6 when 'failed' then 1 else 0 end,
    case when status in ('dead', 'failed') then
        (array['external', 'timeout', 'validation', 'rate_limit'])[1 + n % 4] end,
    case when status in ('dead', 'failed') then 'TimeoutError: no answer from shard ' || n % 97 end,
    at - interval '2 seconds', at - interval '1 second', at, at, length(body), true, body
from (
    select made.*, kinds.*, n % 33 = 0 as tried_twice,
        case when n % 200 = 7 then 'dead' when n % 400 = 9 then 'failed' when n % 2000 = 11 then
            'queued' when n % 50 = 13 then 'ignored' when n % 100 = 17 then 'stale'
            else 'applied' end as status,
        jsonb_build_object('id', 'evt_' || n, 'type', type, 'data', jsonb_build_object('object',
            jsonb_build_object('id', 'obj_' || (n % ({events} / 4 + 1)), 'amount', n % 100000,
                'customer', 'cus_' || n % 5000, 'note', repeat('lorem ipsum ', 60))))::text as body
    from (
        select n, now() - make_interval(secs => {days} * 86400.0 * (1 - n / {events}::float8))
            as at, (hashint4(n)::bigint & 2147483647) % total as draw
        from generate_series(1, {events}) as n, (select sum(weight)::int as total from kinds) as t
    ) as made
    join kinds on draw between first and last
    order by n
) as event
"""
ATTEMPTS_MADE: Final = """
insert into ops.webhook_attempts (webhook_id, number, receives, started_at, milliseconds, outcome,
    category, error)
select event.id, number, number, event.recorded_at + (number - 1) * interval '1 second',
    (mean * exp(random_normal(0, 0.5)))::numeric(12, 3),
    case when fails then 'failed' else event.status end,
    case when fails then coalesce(event.category, 'external') end,
    case when fails then coalesce(event.error, 'ConnectionError: reset') end
from ops.webhook_events as event
join kinds using (source, type)
cross join lateral generate_series(1, event.attempts) as number
cross join lateral (select event.status in ('dead', 'failed', 'queued') or number < event.attempts
    as fails) as judged
order by event.id
"""
LETTERS_MADE: Final = """
insert into ops.webhook_dead_letters (id, webhook_id, source, event_id, type, queue, body, reason,
    category, message_id, count, first_failed_at, last_failed_at)
select gen_random_uuid(), id, source, event_id, type, queue, body, error, category,
    'm-' || event_id, 1 + (abs(hashtext(event_id)) % 7), recorded_at, recorded_at
from ops.webhook_events where status = 'dead'
"""
REFUSALS: Final = """
insert into ops.webhook_refusals (id, source, reason, sample, received_at)
select gen_random_uuid(), 'stripe', (array['signature', 'too_old', 'unreadable'])[1 + n % 3], '{}',
    now() - n * interval '10 minutes' from generate_series(1, {events} / 200) as n
"""

# Evenly over the days up to now; the newest five are running, and one of these has 1,000 chunks.
JOBS_MADE: Final = """
insert into app.batch_jobs (id, account_id, created_by, operation, priority, status, total,
    created_at, started_at, updated_at)
select gen_random_uuid(), account.id, gen_random_uuid(),
    (array['delete_clients', 'update_quote_status', 'send_quotes', 'import_clients'])[1 + n % 4],
    (array['high', 'normal', 'normal', 'low'])[1 + n % 4], 'running',
    case when n = {jobs} then 100000 else 100 * (1 + n % 5) end, at, at, at
from (
    select n, now() - make_interval(secs => {days} * 86400.0 * (1 - n / {jobs}::float8)) as at
    from generate_series(1, {jobs}) as n
) as made
cross join lateral (
    select id from app.accounts order by id offset made.n % (select count(*) from app.accounts)
    limit 1
) as account
"""
CHUNKS_MADE: Final = """
insert into app.batch_chunks (job_id, number, account_id, state, first_position, size, items,
    results, succeeded, failed, started_at, finished_at, milliseconds)
select job.id, number, job.account_id, case when is_open then 'pending' else 'done' end,
    1 + number * 100, 100, items.items, '[]',
    case when is_open then 0 else 97 end, case when is_open then 0 else 3 end,
    job.created_at, job.created_at + interval '2 seconds', 1800
from app.batch_jobs as job
cross join (select to_jsonb(array_fill(1, array[100])) as items) as items
cross join lateral generate_series(0, job.total / 100 - 1) as number
cross join lateral (select number > job.total / 200
    and job.created_at > now() - make_interval(secs => {days} * 86400.0 * 5 / {jobs}) as is_open
) as judged
"""
JOBS_ENDED: Final = """
update app.batch_jobs as job set status = 'completed_with_errors',
    finished_at = created_at + interval '1 second' * (total / 100)
where not exists (select from app.batch_chunks where job_id = job.id and state <> 'done')
"""


def fill_batches(owner: psycopg.Connection[Any], jobs: int, days: float = DAYS) -> None:
    """So many batches of the accounts there are, with their chunks."""
    for statement in (JOBS_MADE, CHUNKS_MADE, JOBS_ENDED):
        sized = statement.replace("{jobs}", str(jobs)).replace("{days}", str(days))
        owner.execute(sized.encode())


def fill(owner: psycopg.Connection[Any], events: int, days: float = DAYS) -> None:
    """So many events, evenly over so many days up to now, with all that belongs to them."""
    for statement in (*TYPES.split(";"), EVENTS_MADE, ATTEMPTS_MADE, LETTERS_MADE, REFUSALS):
        sized = statement.replace("{events}", str(events)).replace("{days}", str(days))
        owner.execute(sized.encode())
    owner.execute("drop table kinds")


SETTINGS: Final = {"max_wal_size": "8GB", "shared_buffers": "512MB"}
REQUESTS: Final = {
    "overview, 7 days": "overview",
    "overview, 90 days": "overview?days_back=90",
    "performance, 7 days": "performance",
    "performance, 90 days": "performance?days_back=90",
    "performance of one type, 30 days": "performance?days_back=30&event_type=push",
    "dead-letter-queue": "dead-letter-queue",
    "dead-letter-queue, 500 rows": "dead-letter-queue?limit=500",
    "audit-trail": "audit-trail",
    "audit-trail, 90 days, 500 rows": "audit-trail?days_back=90&limit=500",
    "batch-jobs, 7 days": "batch-jobs",
    "batch-jobs, 90 days": "batch-jobs?days_back=90",
    "alerts, 7 days": "alerts",
    "alerts, 90 days": "alerts?days_back=90",
}
SEARCHES: Final = {
    "newest events": "events",
    "one type": "events?source=stripe&type=invoice.payment_failed",
    "one object": "events?source=stripe&object_id=obj_777",
    "dead events": "events?status=dead",
    "stale events": "events?status=stale",
    "a text in the error": "events?error=shard%2021",
    "a text that is in none": "events?error=nowhere",
    "a value in the body, first look": "events?path=data.object.customer&value=cus_42",
    "a value in one type's body": (
        "events?source=stripe&type=invoice.voided&path=data.object.customer&value=cus_42"
    ),
    "one day, two months ago": "events?since={since}&until={until}",
}


@contextmanager
def stored(events: int) -> Iterator[str]:
    """A migrated PostgreSQL with so many events; yields the functions' address of it."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        with Server(Path(place) / "data", settings=SETTINGS) as server:
            arguments = ["--migrations-dir", str(ROOT / "migrations"), "--no-dump-schema", "up"]
            dbmate = ROOT / ".venv/bin/dbmate"
            subprocess.run(
                [dbmate, "--url", f"{server.url}?sslmode=disable", *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            with psycopg.connect(server.url, autocommit=True) as owner:
                prepare(owner, events)
            host = server.url.rpartition("@")[2]
            yield f"postgresql://quotekit_functions:bench@{host}"


def prepare(owner: psycopg.Connection[Any], events: int) -> None:
    owner.execute("alter role quotekit_functions password 'bench'")
    owner.execute("insert into app.user_roles (user_id, role) values (%s, 'admin')", [ADMIN])
    started = time.perf_counter()
    fill(owner, events)
    owner.execute(
        "insert into app.accounts (id) select gen_random_uuid() from generate_series(1, 50)"
    )
    fill_batches(owner, JOBS)
    made = time.perf_counter()
    slices = roll_up(owner)
    rolled = time.perf_counter()
    owner.execute("vacuum (analyze)")
    size = value(owner, "select pg_size_pretty(pg_database_size(current_database()))")
    print(
        f"{events:,} events and {JOBS:,} batches over {DAYS} days ({size}):"
        f" made in {made - started:.0f} s, rolled up in"
        f" {slices:,} slices of ten minutes, {(rolled - made) * 1000 / slices:.1f} ms each.\n"
    )


def value(owner: psycopg.Connection[Any], query: LiteralString) -> Any:
    row = owner.execute(query).fetchone()
    return row and row[0]


def roll_up(owner: psycopg.Connection[Any]) -> int:
    before, slices = None, 0
    while True:
        until = value(owner, "select ops.roll_up_webhooks_v1(now())")
        if until == before:
            return slices
        before, slices = until, slices + 1


def door(url: str, folder: Path) -> Callable[[str], float]:
    """Milliseconds that a GET takes through webhook-monitor in this process."""
    from tests.functions.conftest import AUDIENCE, ISSUER, Client, Issuer

    issuer = Issuer()
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks))
    os.environ |= {
        "DATABASE_URL": url,
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS_URL": (folder / "jwks.json").as_uri(),
        "LOG_LEVEL": "ERROR",
    }
    from functions.webhook_monitor.app import lambda_handler

    client = Client(lambda_handler, issuer.token(ADMIN, exp=int(time.time()) + 7200), "ANY")

    def get(request: str) -> float:
        path, _, query = request.partition("?")
        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            answer = client("GET", f"{BASE}/{path}", query=query)
        if answer.status != 200:
            raise SystemExit(f"{request}: {answer.status} {answer.text[:500]}")
        return (time.perf_counter() - started) * 1000

    return get


def table(get: Callable[[str], float], requests: dict[str, str], rounds: int) -> str:
    """Rounds take turns, so that a noisy moment of the machine hits all alike."""
    for request in requests.values():
        get(request)
    times: dict[str, list[float]] = {name: [] for name in requests}
    for _ in range(rounds):
        for name, request in requests.items():
            times[name].append(get(request))
    rows = [
        f"| {name} | {statistics.median(found):.1f} | {statistics.quantiles(found, n=20)[-1]:.1f} |"
        for name, found in times.items()
    ]
    return "\n".join(["| | p50 ms | p95 ms |", "|---|---:|---:|", *rows])


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    now = datetime.now(UTC)
    since, until = (f"{now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (60, 59))
    searches = {k: v.format(since=since, until=until) for k, v in SEARCHES.items()}
    with stored(events) as url, tempfile.TemporaryDirectory() as folder:
        get = door(url, Path(folder))
        print(table(get, REQUESTS, ROUNDS), end="\n\n")
        print(table(get, searches, ROUNDS // 2))


if __name__ == "__main__":
    main()

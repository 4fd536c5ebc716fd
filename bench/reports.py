"""Reports over 100,000 quotes of one account: `python -m bench.reports [quotes]`.

The quotes, with three lines each, are made by set-based SQL over two years and three currencies,
2,000 clients and 300 items. Each request goes through the door in this process, token and plan
checked, over one connection to PostgreSQL 18 on 127.0.0.1; every one asks for other days. CPU is
that of all processes of PostgreSQL, on average over the reports of any days and of all days.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final
from uuid import UUID

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import psycopg  # noqa: E402

from bench import stages  # noqa: E402
from local.postgres import Server  # noqa: E402

QUOTES: Final = 100_000
ROUNDS: Final = 60
LIMIT: Final = 200  # ms
ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")
FIRST: Final = date(2025, 1, 1)
DAYS: Final = 730
type Times = tuple[list[float], list[float], list[float]]  # ms: any days, all days, CPU
REPORTS: Final = (
    "quotes",
    "acceptance",
    "revenue?by=client",
    "revenue?by=item",
    "pipeline",
)
# Set-based and without triggers: what they check holds by how the rows are made.
FILL: Final = (
    "set session_replication_role = replica",
    "insert into app.accounts (id) values (%(account)s)",
    """insert into app.members (account_id, user_id, role)
    values (%(account)s, %(account)s, 'owner')""",
    """insert into app.subscriptions (account_id, plan_key, status)
    values (%(account)s, 'premium', 'active')""",
    """insert into app.company_settings (account_id, time_zone)
    values (%(account)s, 'America/New_York')""",
    """insert into app.clients (id, account_id, name)
    select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, %(account)s,
        'Client ' || n from generate_series(0, 1999) as n""",
    """insert into app.items (id, account_id, name, unit, unit_cost)
    select ('00000000-0000-7000-9000-' || lpad(n::text, 12, '0'))::uuid, %(account)s,
        'Item ' || n, 'h', 1 from generate_series(0, 299) as n""",
    """insert into app.quotes (id, account_id, client_id, status, number, created_by, created_at,
        sent_at, decided_at, title)
    select ('00000000-0000-7000-a000-' || lpad(n::text, 12, '0'))::uuid, %(account)s,
        ('00000000-0000-7000-8000-' || lpad((n %% 2000)::text, 12, '0'))::uuid, status,
        case when status <> 'draft' then 'Q-' || n end, %(account)s, at - interval '1 day',
        case when status <> 'draft' then at end,
        case when status in ('accepted', 'converted', 'declined') then
            at + random() * interval '20 days' end, 'Client and its lines ' || n
    from (
        select n, (array['draft', 'sent', 'viewed', 'accepted', 'accepted', 'converted',
                'converted', 'declined', 'expired', 'superseded'])[1 + (random() * 9)::int]
            as status,
            timestamptz '2025-01-01' + random() * make_interval(days => %(days)s) as at
        from generate_series(1, %(quotes)s) as n
    ) as made""",
    """insert into app.quote_versions (id, account_id, quote_id, client_name, currency, language,
        tax_rate, tax_inclusive, tax_rounding, markup_rate, subtotal, markup_amount,
        discount_amount, tax_amount, tax_breakdown, total, deposit_amount, frozen_at, created_at)
    select ('00000000-0000-7000-b000-' || substr(id::text, 25))::uuid, account_id, id, 'Client',
        (array['USD', 'USD', 'USD', 'USD', 'EUR', 'JPY'])[1 + (random() * 5)::int], 'en', 10,
        false, 'document', 0, 3 * price, 0, 0, 0.3 * price, '[]', 3.3 * price, 0, sent_at,
        created_at
    from app.quotes, lateral (select (random() * 1000)::int * 10 as price where id is not null)""",
    """insert into app.quote_lines (account_id, version_id, position, item_id, name, description,
        quantity, unit_cost, unit_price, gross, discount_amount, line_total, net, tax_amount)
    select account_id, id, position,
        ('00000000-0000-7000-9000-' || lpad((random() * 299)::int::text, 12, '0'))::uuid,
        'Line', repeat('as described ', 6), 1, subtotal / 3, subtotal / 3, subtotal / 3, 0,
        subtotal / 3, subtotal / 3, tax_amount / 3
    from app.quote_versions, generate_series(1, 3) as position""",
    "select app.count_quotes(array_agg(id)) from app.quotes",
    "reset session_replication_role",
)


@contextmanager
def stored(quotes: int) -> Iterator[tuple[str, int]]:
    """A migrated PostgreSQL with so many quotes; yields the functions' address of it, and its
    first process."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        with Server(Path(place) / "data", settings={"max_wal_size": "4GB"}) as server:
            command = ["--migrations-dir", str(ROOT / "migrations"), "--no-dump-schema", "up"]
            dbmate = ROOT / ".venv/bin/dbmate"
            subprocess.run(
                [dbmate, "--url", f"{server.url}?sslmode=disable", *command],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            with psycopg.connect(server.url, autocommit=True) as owner:
                fill(owner, quotes)
            host = server.url.rpartition("@")[2]
            assert server.process
            yield f"postgresql://quotekit_functions:bench@{host}", server.process.pid


def fill(owner: psycopg.Connection[Any], quotes: int) -> None:
    started = time.perf_counter()
    owner.execute("alter role quotekit_functions password 'bench'")
    for statement in FILL:
        values = {"account": ACCOUNT, "quotes": quotes, "days": DAYS}
        owner.execute(statement.encode(), values if "%" in statement else None)
    owner.execute("vacuum (analyze)")
    row = owner.execute("select pg_size_pretty(pg_database_size(current_database()))").fetchone()
    took = time.perf_counter() - started
    print(
        f"{quotes:,} quotes of one account, {3 * quotes:,} lines ({row and row[0]}), made in",
        end="",
    )
    print(f" {took:.0f} s.\n")


def ranges(chance: random.Random) -> Iterator[tuple[date, date]]:
    """All of it now and then, else any days."""
    yield FIRST, FIRST + timedelta(days=DAYS)
    while True:
        ends = sorted(FIRST + timedelta(days=chance.randrange(DAYS)) for _ in range(2))
        yield ends[0], ends[1]


def main() -> None:
    quotes = int(sys.argv[1]) if len(sys.argv) > 1 else QUOTES
    with stored(quotes) as (url, first), tempfile.TemporaryDirectory() as folder:
        times = asked(url, Path(folder), first)
        print(f"Load average while it was measured: {os.getloadavg()[0]:.1f}.\n")
    print(
        f"| | p50 ms | p95 ms | all days, p50 ms | CPU of PostgreSQL, ms | p95 within {LIMIT} ms |"
    )
    print("|---|---:|---:|---:|---:|---|")
    for report, (any_days, all_days, processor) in times.items():
        p95 = statistics.quantiles(any_days, n=20)[-1]
        middle, whole = statistics.median(any_days), statistics.median(all_days)
        kept = "yes" if p95 <= LIMIT else "no"
        cpu = statistics.fmean(processor)
        print(f"| {report} | {middle:.1f} | {p95:.1f} | {whole:.1f} | {cpu:.0f} | {kept} |")


def asked(url: str, folder: Path, first: int) -> dict[str, Times]:
    """Milliseconds of each report, for random days and for all days; they take turns."""
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
    from functions.quote_reporter.app import lambda_handler

    times: dict[str, Times] = {name: ([], [], []) for name in REPORTS}
    token = issuer.token(ACCOUNT, exp=int(time.time()) + 7200)
    client = Client(lambda_handler, token, "ANY")

    def get(report: str, days: tuple[date, date]) -> float:
        path, _, query = report.partition("?")
        query = f"from={days[0]}&to={days[1]}&{query}".rstrip("&")
        before, started = stages.processor(*stages.with_children(first)), time.perf_counter()
        with redirect_stdout(StringIO()):
            answer = client("GET", f"/v1/reports/{path}", query=query)
        took = (time.perf_counter() - started) * 1000
        used = stages.processor(*stages.with_children(first)) - before
        times[report][2].append(used * 1000)
        if answer.status != 200:
            raise SystemExit(f"{report}: {answer.status} {answer.text[:500]}")
        return took

    chosen = ranges(random.Random(1))
    whole = next(chosen)
    for report in REPORTS:
        get(report, whole)
    for turn in range(ROUNDS):
        days = next(chosen)
        for report in REPORTS:
            times[report][0].append(get(report, days))
            if turn % 4 == 0:
                times[report][1].append(get(report, whole))
    return times


if __name__ == "__main__":
    main()

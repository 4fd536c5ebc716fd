"""What row level security costs a request: `python bench/rls.py`.

The same query, one after the other in each round: bare on a connection that already is the role and
has the claims; by `reading` and `transaction`; by psycopg's own means; and by one trip for each
step. First with 1 ms added to each flight by a proxy in a process of its own, then without, where
the processor's time counts. Last, what a connection costs that is open already: our pool beside
psycopg_pool, and what each says of a database that is down.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import psycopg  # noqa: E402
from psycopg import ClientCursor  # noqa: E402

from local.postgres import Server  # noqa: E402

DELAY: Final = 0.001
ACCOUNT: Final = "01900000-0000-7000-8000-00000000000a"
CLAIMS: Final = {"sub": ACCOUNT, "account_id": ACCOUNT, "email": "amelia@example.com"}
SCHEMA: Final = """
create role authenticated;
create role quotekit_functions login noinherit password 'bench';
grant authenticated to quotekit_functions;
create schema auth;
create function auth.account_id() returns uuid language sql stable
    as $$ select (current_setting('request.jwt.claims')::json ->> 'account_id')::uuid $$;
create table notes (
    id int primary key, account_id uuid not null default auth.account_id(), text text not null
);
alter table notes enable row level security, force row level security;
create policy notes_account on notes to authenticated
    using (account_id = (select auth.account_id()));
create index on notes (account_id);
insert into notes select g, '01900000-0000-7000-8000-00000000000a', 'note ' || g
    from generate_series(1, 1000) g;
grant select on notes to authenticated;
grant usage on schema auth to authenticated;
analyze notes;
"""
QUERY: Final = "select id, text from notes where id = %(id)s"
BECOME: Final = """
select set_config('role', 'authenticated', true),
       set_config('request.jwt.claims', %(claims)s, true),
       set_config('statement_timeout', '30000', true)
"""
BECOME_FOR_GOOD: Final = """
select set_config('role', 'authenticated', false), set_config('request.jwt.claims', %s, false)
"""

type Way = Callable[[int], object]


def ways(url: str) -> dict[str, tuple[str, Way]]:
    """Name → trips and the function that asks for one row."""
    os.environ["DATABASE_URL"] = url
    from quotekit.database import Actor, reading, transaction

    claims = json.dumps(CLAIMS)
    actor = Actor("authenticated", CLAIMS)
    connect = {"autocommit": True, "prepare_threshold": None}
    bound = psycopg.connect(url, **connect)  # type: ignore[arg-type]
    bound.execute(BECOME_FOR_GOOD, (claims,))
    free = psycopg.connect(url, **connect)  # type: ignore[arg-type]

    def bare(number: int) -> Any:
        return bound.execute(QUERY, {"id": number}).fetchone()

    def by_reading(number: int) -> Any:
        with reading(actor) as connection:
            return connection.execute(QUERY, {"id": number}).fetchone()

    def by_transaction(number: int) -> Any:
        with transaction(actor) as connection:
            return connection.execute(QUERY, {"id": number}).fetchone()

    def by_pipeline(number: int) -> Any:
        with free.pipeline() as pipeline:
            free.execute("begin")
            free.execute(BECOME, {"claims": claims})
            cursor = free.execute(QUERY, {"id": number})
            pipeline.sync()
            row = cursor.fetchone()
        free.commit()
        return row

    def by_client_cursor(number: int) -> Any:
        with ClientCursor(free) as cursor:
            script = f"begin; {BECOME}; {QUERY}"
            cursor.execute(script.encode(), {"claims": claims, "id": number}).set_result(-1)
            row = cursor.fetchone()
        free.commit()
        return row

    def by_steps(number: int) -> Any:
        with free.transaction():
            free.execute(BECOME, {"claims": claims})
            return free.execute(QUERY, {"id": number}).fetchone()

    return {
        "bare query": ("1", bare),
        "reading()": ("1", by_reading),
        "transaction()": ("2", by_transaction),
        "ClientCursor, one script, commit": ("2", by_client_cursor),
        "psycopg pipeline, commit": ("3", by_pipeline),
        "begin, claims, query, commit": ("4", by_steps),
    }


def measure(url: str, rounds: int) -> None:
    rows = ways(url)
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    processor = dict.fromkeys(rows, 0.0)
    for turn in range(-20, rounds):
        for name, (_, way) in rows.items():
            started, used = time.perf_counter(), time.process_time()
            row = way(turn % 1000 + 1)
            if turn >= 0:
                processor[name] += time.process_time() - used
                seconds[name].append(time.perf_counter() - started)
            assert row == (turn % 1000 + 1, f"note {turn % 1000 + 1}")
    bare = statistics.median(seconds["bare query"])
    print("| way | trips | p50 ms | p95 ms | to bare | CPU µs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (trips, _) in rows.items():
        p50 = statistics.median(seconds[name])
        p95 = statistics.quantiles(seconds[name], n=20)[-1]
        cpu = processor[name] / rounds * 1e6
        figures = f"{p50 * 1e3:.3f} | {p95 * 1e3:.3f} | {p50 / bare:.2f} | {cpu:.0f}"
        print(f"| {name} | {trips} | {figures} |")


def measure_pools(url: str) -> None:
    sys.path += map(str, ROOT.glob(".local/tools/bench/lib/python3*/site-packages"))
    peer: Any = importlib.import_module("psycopg_pool")
    from quotekit import database, settings
    from quotekit.errors import DatabaseUnavailableError

    options = {"autocommit": True, "prepare_threshold": None}
    limits: dict[str, Any] = {"min_size": 0, "max_size": 1, "num_workers": 1, "timeout": 10}
    theirs = peer.ConnectionPool(url, kwargs=options, open=False, **limits)
    theirs.open()
    ours = database._pool()  # noqa: SLF001
    spent: dict[str, list[float]] = {"ours": [], "psycopg_pool": []}
    for _ in range(5000):
        for name, pool in (("ours", ours), ("psycopg_pool", theirs)):
            started = time.perf_counter()
            with pool.connection():
                pass
            spent[name].append(time.perf_counter() - started)
    theirs.close()
    down = {}
    database.forget()
    settings.forget()
    os.environ["DATABASE_URL"] = "postgresql://quotekit_functions@127.0.0.1:1/postgres"
    started = time.perf_counter()
    try:
        with database.transaction(database.SERVICE):
            pass
    except DatabaseUnavailableError:
        down["ours"] = time.perf_counter() - started
    with peer.ConnectionPool(os.environ["DATABASE_URL"], open=False, **limits) as silent:
        started = time.perf_counter()
        try:
            silent.getconn()
        except peer.PoolTimeout:
            down["psycopg_pool"] = time.perf_counter() - started
    print("| pool | borrow and give back, µs | threads | database down, seconds to the error |")
    print("| --- | ---: | ---: | ---: |")
    for name, threads in (("ours", 0), ("psycopg_pool", 2)):
        cost = statistics.median(spent[name]) * 1e6
        print(f"| {name} | {cost:.1f} | {threads} | {down[name]:.2f} |")


def delayed(server: Server) -> tuple[subprocess.Popen[str], int]:
    code = (
        "import sys; from tests.wire import Proxy\n"
        f"with Proxy({server.port}, {DELAY}) as proxy:\n"
        "    print(proxy.port, flush=True)\n    sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="quotekit-bench-") as folder,
        Server(Path(folder, "data")) as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute(SCHEMA)
        host = "postgresql://quotekit_functions:bench@127.0.0.1"
        process, port = delayed(server)
        try:
            versions = f"Python {platform.python_version()}, psycopg {psycopg.__version__}"
            print(f"{versions}, {os.cpu_count()} cores\n")
            print(f"{DELAY * 1e3:g} ms added to each flight:\n")
            measure(f"{host}:{port}/postgres", rounds=300)
        finally:
            process.communicate()
        from quotekit import database, settings

        database.forget()
        settings.forget()
        print("\nNothing added:\n")
        measure(f"{host}:{server.port}/postgres", rounds=2000)
        print()
        measure_pools(f"{host}:{server.port}/postgres")


if __name__ == "__main__":
    main()

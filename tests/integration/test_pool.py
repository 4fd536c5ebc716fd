"""Connections through freezes, restarts, dead paths and crowds."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg
import pytest
from psycopg.errors import QueryCanceled

from local.postgres import Server
from quotekit import database as databases
from quotekit import secrets, settings
from quotekit.database import SERVICE, Actor, reading, transaction
from quotekit.errors import DatabaseUnavailableError
from quotekit.pool import Pool
from quotekit.settings import DatabaseSettings
from tests.conftest import address, execute, forget

FREEZES = 1000
# Answers each line on its input by one query, the first after whatever happened since the last.
CHILD = """
import sys
from quotekit.database import SERVICE, reading, transaction
for line in sys.stdin:
    open_block = reading if line.strip() == "reading" else transaction
    try:
        with open_block(SERVICE) as connection:
            answer = connection.execute("select pg_backend_pid()").fetchone()[0]
    except Exception as error:
        answer = repr(error)
    print(answer, flush=True)  # after the block: a sandbox freezes when it has answered
"""


class Child:
    """A process with a pool of its own, as a sandbox has."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, kind: str = "reading") -> str:
        """The process id of the server's backend, or an error."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{kind}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        status = Path("/proc", str(self.process.pid), "stat")
        while status.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def test_the_first_query_after_a_freeze_succeeds_a_thousand_times(database):
    failures = []

    with Child() as child, psycopg.connect(database.owner_url, autocommit=True) as admin:
        pid = child.ask()
        for number in range(FREEZES):
            child.freeze()
            admin.execute("select pg_terminate_backend(%s)", (int(pid),))
            await_end(pid)
            child.thaw()
            answer = child.ask("reading" if number % 2 else "transaction")
            if not answer.isdigit() or answer == pid:
                failures.append((number, answer))
                answer = child.ask()
            pid = answer

    assert failures == []


def await_end(pid):
    """pg_terminate_backend could wait itself, but looks only each 100 ms."""
    while Path("/proc", pid).exists():
        time.sleep(0)


def test_a_freeze_in_which_nothing_happened_keeps_the_connection(database):
    with Child() as child:
        before = child.ask()
        child.freeze()
        child.thaw()

        assert child.ask() == before


@pytest.fixture
def own_server(tmp_path, monkeypatch):
    """A server this test may stop."""
    with Server(tmp_path / "data", settings={"fsync": "off"}) as server:
        execute(server.url, "create role service_role")
        monkeypatch.setenv("DATABASE_URL", server.url)
        forget()
        yield server
        forget()


def test_a_stopped_server_is_said_quickly_and_used_again_when_it_is_back(own_server):
    assert ask() == (1,)
    own_server.stop()
    started = time.perf_counter()
    with pytest.raises(DatabaseUnavailableError):
        ask()
    seconds = time.perf_counter() - started
    own_server.start()

    assert seconds < 1
    assert ask_until_answered() == (1,)


def test_a_restart_between_two_requests_is_not_noticed(own_server):
    for _ in range(3):
        assert ask() == (1,)
        own_server.stop()
        own_server.start()

    assert ask() == (1,)
    assert databases.statistics().checks_failed == 3


def ask():
    with reading(SERVICE) as connection:
        return connection.execute("select 1").fetchone()


def ask_until_answered():
    deadline = time.monotonic() + 5
    while True:
        try:
            return ask()
        except DatabaseUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_a_path_that_fell_silent_is_noticed_before_the_connection_is_lent(proxy, configure):
    configure(idle_check_after=0, check_timeout=0.1)
    ask()
    proxy.swallow()

    started = time.perf_counter()
    answer = ask()

    assert answer == (1,)
    assert 0.1 <= time.perf_counter() - started < 0.5
    assert databases.statistics().checks_failed == 1


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_a_path_that_falls_silent_under_a_statement_ends_it(proxy, configure, open_block):
    configure(statement_timeout=0.1, network_timeout=0.1)
    ask()
    proxy.swallow()

    with pytest.raises(DatabaseUnavailableError), open_block(SERVICE) as connection:
        connection.execute("select 1")

    assert ask() == (1,)


def test_a_silent_server_holds_up_one_borrower_and_not_the_next(configure, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://a@127.0.0.1:{silent.getsockname()[1]}/a")
        monkeypatch.setattr("quotekit.pool.uniform", lambda _, most: most)
        configure(connect_timeout=2, backoff_first=60, backoff_longest=60)
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            with pytest.raises(DatabaseUnavailableError):
                ask()
            seconds.append(time.perf_counter() - started)

    assert 2 <= seconds[0] < 3
    assert seconds[1] < 0.1


class Refusing:
    """A database that refuses every connection, and remembers when it was asked."""

    def __init__(self, monkeypatch, **values):
        self.pauses: list[float] = []
        self.asked = 0
        self.clock = 1_800_000_000.0
        monkeypatch.setattr(time, "sleep", self.pauses.append)
        monkeypatch.setattr(time, "time", lambda: self.clock)
        self.pool = Pool(DatabaseSettings(secret="unused", **values), self.refuse)

    def refuse(self):
        self.asked += 1
        raise psycopg.OperationalError("refused")

    def borrow(self):
        with pytest.raises(DatabaseUnavailableError):
            self.pool.borrow()


def test_pauses_between_attempts_grow_and_differ(monkeypatch):
    refusing = Refusing(monkeypatch, connect_attempts=4, backoff_first=0.1, backoff_longest=0.3)

    for _ in range(200):
        refusing.borrow()
        refusing.clock += 1

    for nth, most in enumerate((0.1, 0.2, 0.3)):
        pauses = refusing.pauses[nth::3]
        assert len(set(pauses)) > 100
        assert 0 <= min(pauses) < 0.1 * most
        assert 0.9 * most < max(pauses) <= most


def test_a_database_that_is_down_is_not_asked_for_each_request(monkeypatch):
    refusing = Refusing(monkeypatch, connect_attempts=1, backoff_first=1, backoff_longest=5)
    monkeypatch.setattr("quotekit.pool.uniform", lambda _, most: most)
    asked_at = []

    for eighth in range(160):
        before = refusing.asked
        refusing.borrow()
        if refusing.asked > before:
            asked_at.append(eighth / 8)
        refusing.clock += 1 / 8

    assert asked_at == [0, 1, 3, 7, 12, 17]
    assert refusing.pool.statistics().borrows_failed == 160
    assert refusing.pool.statistics().connects_failed == 6


def test_a_connection_idle_for_long_is_asked_by_the_wall_clock(database, monkeypatch):
    now = time.time()
    checks = []
    for later in (0, 1, 29, 100, 50, 51):  # 50: somebody set the clock back
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        ask()
        checks.append(databases.statistics().checks)

    assert checks == [0, 0, 0, 1, 2, 2]
    assert databases.statistics().opened == 1


def test_an_old_connection_is_replaced(database, monkeypatch):
    now = time.time()
    opened = []
    for later in (0, 1799, 1801, 1802):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        ask()
        opened.append(databases.statistics().opened)

    assert opened == [1, 1, 1, 2]
    assert databases.statistics().discarded == 1


def test_a_borrower_waits_for_a_connection_and_is_told_when_none_comes(database, configure):
    configure(borrow_timeout=0.05)

    with transaction(SERVICE), pytest.raises(DatabaseUnavailableError, match="in use"):
        ask()

    statistics = databases.statistics()
    assert (statistics.borrows, statistics.borrows_failed) == (2, 1)
    assert 0.05 <= statistics.borrow_seconds_longest <= statistics.borrow_seconds < 1


def test_statistics_tell_who_waits_and_what_is_in_use(database, configure):
    configure(pool_max=2)

    with ExitStack() as blocks:
        for _ in range(2):
            blocks.enter_context(transaction(SERVICE)).execute("select 1")
        waiting = threading.Thread(target=ask)
        waiting.start()
        while not databases.statistics().waiting:
            time.sleep(0.001)
        busy = databases.statistics()
    waiting.join()
    free = databases.statistics()

    assert (busy.minimum, busy.maximum) == (0, 2)
    assert (busy.in_use, busy.idle, busy.waiting) == (2, 0, 1)
    assert (free.in_use, free.idle, free.waiting) == (0, 2, 0)
    assert (free.borrows, free.opened, free.discarded) == (3, 2, 0)
    assert free.health == (100, 100)


def test_a_crowd_shares_few_connections_and_nobody_sees_anothers_claims(database, configure):
    configure(pool_max=3)
    seen, most = [], []

    def work(number):
        actor = Actor("authenticated", {"number": number})
        for turn in range(20):
            with (transaction, reading)[turn % 2](actor) as connection:
                row = connection.execute("select auth.claims() -> 'number'").fetchone()
                seen.append(row == (number,))
                most.append(databases.statistics().in_use)

    crowd = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()

    assert seen == [True] * 160
    assert max(most) <= 3
    assert databases.statistics().opened <= 3


def test_a_slow_path_lowers_the_health_score(proxy):
    ask()
    fast = databases.statistics().health
    proxy.delay = 0.1
    for _ in range(16):
        ask()

    assert fast == (100,)
    assert 30 <= databases.statistics().health[0] <= 50


def test_a_slow_query_is_no_slow_path(database):
    with reading(SERVICE) as connection:
        connection.execute("select pg_sleep(0.1)")
        connection.execute("select 1")

    assert databases.statistics().health == (100,)


def test_errors_lower_the_health_score_until_the_connection_is_replaced(database, configure):
    configure(statement_timeout=0.001)
    scores: list[int] = []
    while databases.statistics().discarded == 0:
        with pytest.raises(QueryCanceled), reading(SERVICE) as connection:
            connection.execute("select pg_sleep(1)")
        scores += databases.statistics().health

    assert scores == [80, 64, 51, 41, 33]
    with transaction(SERVICE):
        pass
    assert databases.statistics().opened == 2


def test_mistakes_of_the_caller_leave_the_health_alone(database):
    for _ in range(5):
        with pytest.raises(psycopg.errors.DivisionByZero), reading(SERVICE) as connection:
            connection.execute("select 1 / 0")

    assert databases.statistics().health == (100,)


def test_a_server_keeps_its_least_number_open_and_checks_the_idle(database, configure, monkeypatch):
    configure(pool_min=2, pool_max=4)
    now = time.time()
    ask()
    assert databases.statistics().idle == 1

    monkeypatch.setattr(time, "time", lambda: now + 61)
    ask()
    filled = databases.statistics()
    execute(database.owner_url, TERMINATE_ALL)
    monkeypatch.setattr(time, "time", lambda: now + 122)
    ask()
    replaced = databases.statistics()

    assert (filled.idle, filled.opened) == (2, 2)
    assert (replaced.idle, replaced.discarded) == (2, 2)
    assert replaced.opened == 4


TERMINATE_ALL = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where usename = 'quotekit_functions' and datname = current_database()
"""


def test_nothing_is_opened_before_the_first_statement_of_anyone(database):
    assert databases.statistics().opened == 0


def test_a_closed_pool_closes_what_comes_back(database):
    with transaction(SERVICE) as connection:
        connection.execute("select 1")
        databases.forget()

    assert connection.closed


def test_the_pool_starts_no_thread(database):
    before = threading.active_count()
    ask()

    assert threading.active_count() == before


def test_the_address_may_come_from_a_secret_of_either_form(database, server, monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_SECRET", "quotekit/database")
    rds = {"username": "quotekit_functions", "password": "login", "host": "127.0.0.1"}
    for form in ({"url": database.url}, rds | {"port": server.port, "dbname": database.name}):
        forget()
        monkeypatch.setattr(secrets, "secret", lambda _, form=form: form)

        assert ask() == (1,)


def test_a_rotated_password_is_fetched_and_used_in_the_same_request(database, server, monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_SECRET", "quotekit/database")
    forget()
    old = {"url": address(server.url, database.name, "quotekit_functions:old")}
    monkeypatch.setattr(secrets, "secret", lambda _: old)
    monkeypatch.setattr(secrets, "refetch", lambda _: {"url": database.url})

    assert ask() == (1,)
    assert databases.statistics().connects_failed == 0


def test_an_address_that_is_none_is_a_settings_error_without_it(database, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:/user:hush@host")
    forget()

    with pytest.raises(settings.SettingsError) as caught:
        ask()

    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None

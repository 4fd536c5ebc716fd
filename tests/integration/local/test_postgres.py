"""Our PostgreSQL server: started, stopped, crashed and started again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresError, Server, forget_dead_server, free_port

FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def data_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster") / "data"


def ended(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_data_stay_between_two_runs_and_no_process_does(data_directory):
    with Server(data_directory, settings=FAST) as server:
        pid = server.process.pid
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("create table if not exists kept (word text)")
            connection.execute("insert into kept values ('here')")

    with Server(data_directory, settings=FAST) as server, psycopg.connect(server.url) as connection:
        words = connection.execute("select word from kept").fetchall()

    assert words == [("here",)]
    assert ended(pid)


def test_it_listens_on_the_port_given_with_the_settings_given(data_directory):
    port = free_port()

    with (
        Server(data_directory, port, {**FAST, "work_mem": "7MB"}) as server,
        psycopg.connect(server.url) as connection,
    ):
        found = connection.execute(
            "select current_setting('port'), current_setting('work_mem'),"
            " current_setting('max_connections'), lower('É')"
        ).fetchone()

    assert found == (str(port), "7MB", "200", "é")


def test_a_stranger_without_the_password_is_refused(data_directory):
    with Server(data_directory, settings=FAST) as server:
        url = server.url.replace(server.url.split(":")[2].split("@")[0], "guess")

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url)


@pytest.mark.parametrize("reused", [False, True], ids=["gone", "reused by another program"])
def test_the_pid_file_of_a_crashed_run_does_not_stop_the_next(data_directory, reused):
    with Server(data_directory, settings=FAST):
        pass
    pid = str(os.getpid()) if reused else "999999999"
    (data_directory / "postmaster.pid").write_text(f"{pid}\n{data_directory}\n")

    with Server(data_directory, settings=FAST) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_server_that_still_runs_is_named_not_disturbed(data_directory):
    with Server(data_directory, settings=FAST) as server:
        with pytest.raises(PostgresError, match=rf"process {server.process.pid}\) uses"):
            forget_dead_server(data_directory, patience=0)

        with psycopg.connect(server.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_a_taken_port_is_said(data_directory):
    with Server(data_directory, settings=FAST) as server:
        other = Server(data_directory.with_name("other"), server.port, FAST)

        with pytest.raises(PostgresError, match="Address already in use"):
            other.start()


def test_it_ends_when_its_parent_is_killed(data_directory):
    lines = (
        "import sys, time; from pathlib import Path; from local.postgres import Server\n"
        f"server = Server(Path({str(data_directory)!r})); server.start()\n"
        "print(server.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert ended(pid)

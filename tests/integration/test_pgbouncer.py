"""The pool behind PgBouncer in transaction mode, where a session belongs to nobody."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from local.postgres import Server, free_port
from quotekit import database as databases
from quotekit.database import Actor, reading, transaction
from tests.conftest import LOGIN, PASSWORD, Database, address, forget

ALICE = Actor("authenticated", {"sub": "alice"})
BOB = Actor("ops_admin", {"sub": "bob"})
WHO = """
select current_user, current_setting('request.jwt.claims', true)::json ->> 'sub',
       current_setting('transaction_read_only'), pg_backend_pid()
"""
REST = """
select current_user, current_setting('request.jwt.claims', true),
       current_setting('transaction_read_only')
"""
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users.txt
admin_users = {login}
pool_mode = transaction
default_pool_size = 1
server_login_retry = 0
"""


@pytest.fixture(scope="session")
def program() -> str:
    """PgBouncer from Debian, installed when this is a machine on which that is allowed."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if shutil.which("pgbouncer", path=path) is None:
        if os.geteuid() or not shutil.which("apt-get"):
            pytest.skip("PgBouncer is not installed, and this is not root on Debian")
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "pgbouncer"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"apt-get could not install PgBouncer: {done.stderr.strip()[-200:]}")
    program = shutil.which("pgbouncer", path=path)
    assert program
    return program


@pytest.fixture
def bouncer(
    program: str,
    server: Server,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The address of the test's database through PgBouncer, which has one connection to it."""
    port = free_port()
    values = {"server_port": server.port, "port": port, "folder": tmp_path, "login": LOGIN}
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(**values))
    (tmp_path / "users.txt").write_text(f'"{LOGIN}" "{PASSWORD}"\n')
    command = [*unprivileged(tmp_path), program, str(configuration)]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        await_listener(process, port, log)
        url = address(database.url, database.name).replace(f":{server.port}/", f":{port}/")
        monkeypatch.setenv("DATABASE_URL", url)
        forget()
        yield url
    finally:
        databases.forget()
        process.send_signal(signal.SIGTERM)
        process.wait()


def unprivileged(folder: Path) -> list[str]:
    """PgBouncer refuses root as well; the folder's parents are root's, so it may pass them."""
    if os.geteuid():
        return []
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return [
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--pdeathsig=TERM"),
    ]


def await_listener(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    pytest.fail(f"PgBouncer did not start: {log.read_text()}")


def who(connection):
    return connection.execute(WHO).fetchone()


@pytest.mark.parametrize(("open_block", "read_only"), [(transaction, "off"), (reading, "on")])
def test_two_sandboxes_share_a_session_and_nothing_else(bouncer, configure, open_block, read_only):
    configure(pool_max=2)
    clients, backends = set(), set()

    for turn in range(40):
        actor = (ALICE, BOB)[turn % 2]
        with ExitStack() as blocks:
            if turn % 2:  # take the connection used last away, so that the other one is lent
                blocks.enter_context(transaction(ALICE))
            connection = blocks.enter_context(open_block(actor))
            *seen, backend = who(connection)
        assert seen == [actor.role, actor.claims["sub"], read_only]
        clients.add(connection)
        backends.add(backend)

    assert (len(clients), len(backends)) == (2, 1)


def test_reads_interleave_with_anothers_and_each_acts_for_its_own(bouncer, configure):
    configure(pool_max=2)

    with reading(ALICE) as one, reading(BOB) as other:
        seen = [who(connection)[1] for connection in (one, other) * 10]

    assert seen == ["alice", "bob"] * 10


def test_nothing_stays_in_the_shared_session(bouncer):
    for open_block in (transaction, reading):
        with open_block(ALICE) as connection:
            who(connection)

    with psycopg.connect(bouncer, autocommit=True, prepare_threshold=None) as raw:
        (rest,) = raw.execute(REST)
    assert rest == (LOGIN, "", "off")


def test_an_error_leaves_the_shared_session_usable(bouncer):
    for open_block in (transaction, reading) * 5:
        with pytest.raises(psycopg.errors.DivisionByZero), open_block(ALICE) as connection:
            connection.execute("select 1 / %s", (0,))
        with open_block(BOB) as connection:
            assert who(connection)[1] == "bob"

    assert databases.statistics().opened == 1


def test_the_check_after_idling_works_through_it(bouncer, configure):
    configure(idle_check_after=0)

    for _ in range(3):
        with reading(ALICE) as connection:
            who(connection)

    assert databases.statistics().checks == 2
    assert databases.statistics().opened == 1


def test_a_session_ended_behind_it_is_replaced_unnoticed(bouncer, database):
    with reading(ALICE) as connection:
        backend = who(connection)[3]
    with psycopg.connect(database.owner_url, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", (backend,))

    with transaction(ALICE) as connection:
        assert who(connection)[:2] == ("authenticated", "alice")

"""Fixtures for every test: a real PostgreSQL, migrated once, copied for each test that asks."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import hypothesis
import pytest

from local.postgres import Server

# The doors' logger and metrics are made at import, whichever test imports them first.
os.environ |= {"POWERTOOLS_SERVICE_NAME": "test", "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit"}

ROOT: Final = Path(__file__).parents[1]
LOGIN: Final = "quotekit_functions"
PASSWORD: Final = "login"
LEFTOVER: Final = "quotekit-tests-"
# Nothing here outlives the tests, so nothing has to survive a crash.
THROWAWAY: Final = MappingProxyType(
    {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "log_min_messages": "fatal"}
)

hypothesis.settings.register_profile("quotekit", deadline=None, print_blob=True)
hypothesis.settings.load_profile("quotekit")


@dataclass(frozen=True)
class Database:
    """A fresh, migrated database; `url` is what a function gets, `owner_url` the superuser's."""

    name: str
    url: str
    owner_url: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In memory where there is some: copying a database takes 13 ms there, some 300 on a disk."""
    memory = Path("/dev/shm")  # noqa: S108 the folder made in it is ours alone
    if memory.is_dir() and os.access(memory, os.W_OK):
        remove_leftovers(memory)
        folder = Path(tempfile.mkdtemp(prefix=f"{LEFTOVER}{os.getpid()}-", dir=memory))
    else:
        folder = tmp_path_factory.mktemp("postgres")
    try:
        with Server(folder / "data", settings=THROWAWAY) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(memory: Path) -> None:
    """Give back the memory of test runs that were killed."""
    for folder in memory.glob(f"{LEFTOVER}*"):
        pid = folder.name.removeprefix(LEFTOVER).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(server: Server) -> str:
    """The name of a migrated database to copy."""
    name = "migrated"
    migrate(server, name)
    execute(server.url, f"alter role {LOGIN} password '{PASSWORD}'")
    return name


def migrate(server: Server, name: str) -> None:
    """Make a database with the newest schema."""
    url = address(server.url, name)
    arguments = ["--no-dump-schema", "--migrations-dir", "migrations", "up"]
    command = [str(Path(sys.executable).with_name("dbmate")), "--url", f"{url}?sslmode=disable"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"the migrations do not apply: {done.stderr[-2000:]}")


@pytest.fixture
def database(server: Server, migrated: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database of this test's own, with DATABASE_URL set to it; real commits, dropped after."""
    name = f"test_{uuid4().hex}"
    execute(server.url, f"create database {name} template {migrated} strategy file_copy")
    fresh = Database(
        name, address(server.url, name, f"{LOGIN}:{PASSWORD}"), address(server.url, name)
    )
    monkeypatch.setenv("DATABASE_URL", fresh.url)
    forget()
    yield fresh
    forget()
    execute(server.url, f"drop database {name} with (force)")


def forget() -> None:
    """Close the product's connections and have it read the environment again."""
    from quotekit import database, secrets, settings

    database.forget()
    settings.forget()
    secrets.forget()


def execute(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def address(url: str, database: str, login: str | None = None) -> str:
    """The same server's address of another database, for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{login}@{host}" if login else parts.netloc
    return urlunsplit((parts.scheme, netloc, f"/{database}", parts.query, ""))

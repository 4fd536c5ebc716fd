"""Fixtures of the tests that look at the connection itself."""

from collections.abc import Iterator

import pytest

from local.postgres import Server
from quotekit import database as databases
from quotekit import settings
from tests.conftest import Database, forget
from tests.wire import Proxy


@pytest.fixture
def proxy(database: Database, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The test's database, reached through a proxy."""
    with Proxy(server.port) as proxy:
        monkeypatch.setenv("DATABASE_URL", proxy.in_front_of(database.url))
        forget()
        yield proxy
        databases.forget()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch):
    """Set settings of the database, named as in DatabaseSettings."""

    def set_them(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"DATABASE_{name.upper()}", str(value))
        databases.forget()
        settings.forget()

    return set_them

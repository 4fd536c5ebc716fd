"""Invoked by the deploy: dbmate over the migrations, with the owner's address from the secret."""

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pydantic
import pytest

from functions.database_migrator import app
from local.postgres import Server
from quotekit import settings
from tests.conftest import ROOT, address
from tests.functions.conftest import LambdaContext, load_event


@pytest.fixture
def empty(server: Server, environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty database that the migrator's secret names, and dbmate where the build puts it."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create database migrator")
        url = address(server.url, "migrator") + "?sslmode=disable"
        environment.setenv("DATABASE_URL", url)
        settings.forget()
        monkeypatch.setattr(app, "MIGRATIONS", str(ROOT / "migrations"))
        monkeypatch.setattr(app, "DBMATE", Path(shutil.which("dbmate", path=VENV) or ""))
        monkeypatch.setattr(
            app.migrate, "__kwdefaults__", {"dbmate": app.DBMATE, "migrations": app.MIGRATIONS}
        )
        yield url
        connection.execute("drop database migrator with (force)")


VENV = str(ROOT / ".venv" / "bin")


def test_the_schema_is_brought_to_the_newest_migration_and_said(empty: str) -> None:
    answer = app.lambda_handler({}, LambdaContext())

    applied = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
    assert [line for line in answer["output"] if line.startswith("Applied")]
    with psycopg.connect(empty) as connection:
        rows = connection.execute("select count(*) from schema_migrations").fetchone()
    assert rows == (len(applied),)
    status = app.lambda_handler(load_event("database_migrator"), LambdaContext())
    assert "Pending: 0" in status["output"]


def test_a_broken_migration_fails_the_invocation_with_dbmates_words(
    empty: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_broken.sql").write_text("-- migrate:up\nselect nonsense;\n-- migrate:down\n")

    with pytest.raises(app.MigrationFailedError, match="nonsense"):
        app.migrate("up", migrations=str(tmp_path))


def test_an_unknown_command_is_refused(empty: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="command"):
        app.lambda_handler({"command": "drop"}, LambdaContext())

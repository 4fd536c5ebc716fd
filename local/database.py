"""The stack's database: made, migrated, and opened to the functions' login role."""

import secrets
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from local.building import run
from local.postgres import Server
from local.settings import ROOT, Settings

NAME: Final = "quotekit"
LOGIN: Final = "quotekit_functions"  # made by the first migration
DATABASE_EXISTS: Final = "select exists (select from pg_database where datname = %(name)s)"


def server(settings: Settings) -> Server | None:
    """Our own server, unless DATABASE_URL names another."""
    if settings.database_url:
        return None
    return Server(settings.data / "postgres", settings.ports["DATABASE"])


def ensure_database(superuser_url: str) -> str:
    """The address of database quotekit on our server."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        (exists,) = connection.execute(DATABASE_EXISTS, {"name": NAME}).fetchone() or (False,)
        if not exists:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(NAME)))
    return urlunsplit(urlsplit(superuser_url)._replace(path=f"/{NAME}"))


async def migrate(url: str, log: Path) -> None:
    dbmate = str(ROOT / ".venv" / "bin" / "dbmate")
    folder = str(ROOT / "migrations")
    await run(
        log, dbmate, "--url", without_tls(url), "--migrations-dir", folder, "--no-dump-schema", "up"
    )


def without_tls(url: str) -> str:
    """For dbmate: unlike libpq it insists on TLS unless told not to."""
    if "sslmode=" in url:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}sslmode=disable"


def login_url(url: str, password_file: Path) -> str:
    """The address the functions log in with; its password is ours and stays between runs."""
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(32))
    password = password_file.read_text()
    with psycopg.connect(url, autocommit=True) as connection:
        statement = sql.SQL("alter role {} password {}")
        connection.execute(statement.format(sql.Identifier(LOGIN), sql.Literal(password)))
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{LOGIN}:{quote(password)}@{place}"))

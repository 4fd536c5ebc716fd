"""The only way to a connection: acting for somebody, in a transaction."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from quotekit import settings
from quotekit.connection import Actor, Connection, milliseconds
from quotekit.cursor import Cursor
from quotekit.errors import DatabaseUnavailableError, ForbiddenError, UnauthorizedError
from quotekit.pool import Pool, PoolStatistics
from quotekit.trips import counters

__all__ = ["SERVICE", "Actor", "Connection", "counters", "reading", "statistics", "transaction"]

WITHDRAWN: Final = "QK401"  # auth.admit() found the token on the list of revoked ones
FORBIDDEN: Final = "QK403"  # it found that the person may not, and says why
READ_ONLY: Final = "25006"  # a viewer's transaction was to write
_making: Final = Lock()
SERVICE: Final = Actor("service_role", {"role": "service_role"})


@contextmanager
def transaction(actor: Actor) -> Iterator[Connection]:
    """Do all or nothing as `actor`: k statements take k trips, the commit one more."""
    with _acting(actor, reading=False) as connection:
        yield connection


@contextmanager
def reading(actor: Actor) -> Iterator[Connection]:
    """Read as `actor`, one trip a statement: each is a read-only transaction of its own."""
    with _acting(actor, reading=True) as connection:
        yield connection


@contextmanager
def _acting(actor: Actor, *, reading: bool) -> Iterator[Connection]:
    with _pool().connection() as connection:
        connection.act(actor, reading=reading)
        try:
            yield connection
            connection.rest(failed=False)
        except BaseException as error:
            connection.rest(failed=True)
            if isinstance(error, psycopg.DatabaseError):
                _refuse(error, reading=reading)
            if connection.lost(error):
                raise DatabaseUnavailableError from error
            raise


def _refuse(error: psycopg.DatabaseError, *, reading: bool) -> None:
    """Raise what the admission of the actor said, in the house's words."""
    if error.sqlstate == WITHDRAWN:
        raise UnauthorizedError from error
    if error.sqlstate == FORBIDDEN:
        raise ForbiddenError(error.diag.message_primary) from error
    if error.sqlstate == READ_ONLY and not reading:
        raise ForbiddenError("A viewer of the account may change nothing.") from error


def statistics() -> PoolStatistics:
    """Say what the pool of this process measured."""
    return _pool().statistics()


def forget() -> None:
    """Close the connections; the next use reads the settings again."""
    if _made.cache_info().currsize:
        _made().close()
    _made.cache_clear()


def _pool() -> Pool:
    with _making:  # threads that come first together share one
        return _made()


@cache
def _made() -> Pool:
    return Pool(settings.database_settings(), _connect)


def _connect() -> Connection:
    """Connect to the address in the settings; a secret that was refused is fetched again, once."""
    configured = settings.database_settings()
    if configured.url:
        return _dial(configured.url.get_secret_value(), configured)
    from quotekit import secrets  # noqa: PLC0415 http.client costs 20 ms

    name = configured.need("secret")
    known = secrets.secret(name)
    try:
        return _dial(_address(known), configured)
    except psycopg.OperationalError:
        renewed = secrets.refetch(name)
        if renewed == known:
            raise
        return _dial(_address(renewed), configured)


def _address(secret: Mapping[str, Any]) -> str:
    """The connection string of a secret: ours with `url`, or the form that RDS rotates."""
    if "url" in secret:
        return str(secret["url"])
    return make_conninfo(
        host=secret["host"],
        port=secret.get("port", 5432),
        user=secret["username"],
        password=secret["password"],
        dbname=secret.get("dbname", "postgres"),
    )


def _dial(address: str, configured: settings.DatabaseSettings) -> Connection:
    silence = max(1, round(configured.network_timeout))
    connection = Connection.connect(
        _checked(address),
        autocommit=True,
        cursor_factory=Cursor,
        prepare_threshold=configured.prepare_threshold,
        connect_timeout=configured.connect_timeout,
        tcp_user_timeout=milliseconds(configured.network_timeout).decode(),
        keepalives_idle=silence,
        keepalives_interval=silence,
        fallback_application_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "quotekit"),
    )
    connection.prepare(configured)
    return connection


def _checked(address: str) -> str:
    try:
        conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        pass  # not chained: the error would carry the address, with its password
    else:
        return address
    raise settings.SettingsError("the address of the database is not one of PostgreSQL")

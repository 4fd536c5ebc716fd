"""Connections that survive a sandbox's freeze: opened when needed, looked at on every borrow.

Without threads on purpose: a frozen sandbox would stop them halfway. Why not psycopg_pool, with
the figures: docs/decisions/0004-pooling.md.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import uniform
from threading import Condition

import psycopg
from psycopg.errors import ConnectionTimeout

from quotekit.connection import Connection
from quotekit.errors import DatabaseUnavailableError
from quotekit.settings import DatabaseSettings
from quotekit.trips import counters


class _Counts:
    """Plain, as another dataclass would cost each cold start a millisecond."""

    def __init__(self) -> None:
        self.borrows = 0
        self.borrow_seconds = 0.0
        self.borrow_seconds_longest = 0.0
        self.borrows_failed = 0
        self.opened = 0
        self.discarded = 0
        self.connects_failed = 0
        self.checks = 0
        self.checks_failed = 0


@dataclass(frozen=True)
class PoolStatistics:
    """What a pool counted since it was made, and what it holds now."""

    minimum: int
    maximum: int
    idle: int
    in_use: int
    waiting: int
    borrows: int
    borrow_seconds: float
    borrow_seconds_longest: float
    borrows_failed: int
    opened: int
    discarded: int
    connects_failed: int
    checks: int
    checks_failed: int
    health: tuple[int, ...]
    """A score of 0 to 100 for each connection."""


class Pool:
    """At most `pool_max` connections made by `connect`, the one used last lent first."""

    def __init__(self, settings: DatabaseSettings, connect: Callable[[], Connection]) -> None:
        self.settings = settings
        self.closed = False
        self._connect = connect
        self._changed = Condition()
        self._idle: deque[Connection] = deque()
        self._lent: set[Connection] = set()
        self._size = 0  # idle, lent, being checked and being opened
        self._waiting = 0
        self._failures = 0
        self._down_until = 0.0
        self._maintained_at = time.time()
        self._counts = _Counts()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection that works; raise DatabaseUnavailableError when there is none."""
        connection = self.borrow()
        try:
            yield connection
        finally:
            self.give_back(connection)

    def borrow(self) -> Connection:
        started = time.perf_counter()
        try:
            connection = self._find(time.monotonic() + self.settings.borrow_timeout)
        except DatabaseUnavailableError:
            self._counts.borrows_failed += 1
            raise
        finally:
            self._count_borrow(time.perf_counter() - started)
        with self._changed:
            self._lent.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next one, unless it is busy, old, ill or lost."""
        with self._changed:
            self._lent.remove(connection)
        if self._fit(connection):
            self._keep(connection)
        else:
            self._discard(connection)
        self._maintain()

    def close(self) -> None:
        """Close every connection: the idle now, the lent when they come back."""
        self.closed = True
        for connection in self._take_idle():
            self._discard(connection)

    def statistics(self) -> PoolStatistics:
        with self._changed:
            return PoolStatistics(
                minimum=self.settings.pool_min,
                maximum=self.settings.pool_max,
                idle=len(self._idle),
                in_use=len(self._lent),
                waiting=self._waiting,
                health=tuple(one.health.score for one in (*self._idle, *self._lent)),
                **vars(self._counts),
            )

    def _find(self, deadline: float) -> Connection:
        while connection := self._take(deadline):
            if self._usable(connection):
                return connection
            # The rest idled even longer: asking each of them would only add up the waiting.
            for dead in (connection, *self._take_idle()):
                self._discard(dead)
        return self._open(deadline)

    def _take(self, deadline: float) -> Connection | None:
        """Return an idle connection, or None with the right to open one."""
        with self._changed:
            self._waiting += 1
            try:
                free = self._changed.wait_for(self._available, deadline - time.monotonic())
            finally:
                self._waiting -= 1
            if not free:
                raise DatabaseUnavailableError("Every connection is in use.")
            if self._idle:
                return self._idle.pop()
            self._size += 1
            return None

    def _available(self) -> bool:
        return bool(self._idle) or self._size < self.settings.pool_max

    def _take_idle(self, used_before: float | None = None) -> list[Connection]:
        with self._changed:
            taken = [c for c in self._idle if used_before is None or c.used_at < used_before]
            for connection in taken:
                self._idle.remove(connection)
        return taken

    def _usable(self, connection: Connection) -> bool:
        """Look at the socket, which costs nothing; ask the server after idling or at a sign.

        By the wall clock: the monotonic one may stand still while a sandbox is frozen.
        """
        idle = time.time() - connection.used_at
        recent = 0 <= idle < self.settings.idle_check_after
        return (recent and connection.quiet) or self._answers(connection)

    def _answers(self, connection: Connection) -> bool:
        self._counts.checks += 1
        try:
            connection.round_trip(self.settings.check_timeout)
        except psycopg.Error:
            self._counts.checks_failed += 1
            return False
        return True

    def _open(self, deadline: float) -> Connection:
        """Use the right to open a connection, or hand it back."""
        try:
            self._refuse_while_down()
            return self._dial(deadline)
        except BaseException:
            self._shrink()
            raise

    def _refuse_while_down(self) -> None:
        """Answer at once for a while, so that not every request waits for a dead database."""
        if 0 < self._down_until - time.time() <= self.settings.backoff_longest:
            raise DatabaseUnavailableError

    def _dial(self, deadline: float) -> Connection:
        for attempt in range(1, self.settings.connect_attempts + 1):
            pause = self._pause(attempt)
            try:
                return self._connected()
            except psycopg.OperationalError as error:
                self._counts.connects_failed += 1
                silent = isinstance(error, ConnectionTimeout)
                late = time.monotonic() + pause > deadline
                if silent or late or attempt == self.settings.connect_attempts:
                    self._failures += 1
                    self._down_until = time.time() + self._pause(self._failures)
                    raise DatabaseUnavailableError from error
            time.sleep(pause)
        raise AssertionError("there is at least one attempt")

    def _connected(self) -> Connection:
        started = time.perf_counter()
        try:
            connection = self._connect()
        finally:
            counters.seconds += time.perf_counter() - started
        self._failures = 0
        self._counts.opened += 1
        return connection

    def _pause(self, attempt: int) -> float:
        settings = self.settings
        most = min(settings.backoff_longest, settings.backoff_first * 2.0 ** min(attempt - 1, 30))
        return uniform(0, most)  # noqa: S311 jitter is no secret

    def _fit(self, connection: Connection) -> bool:
        return (
            not self.closed
            and connection.at_rest
            and 0 <= time.time() - connection.opened_at < self.settings.max_age
            and connection.health.score >= self.settings.min_health
        )

    def _keep(self, connection: Connection) -> None:
        connection.used_at = time.time()
        with self._changed:
            self._idle.append(connection)
            self._changed.notify()

    def _discard(self, connection: Connection) -> None:
        self._counts.discarded += 1
        with suppress(psycopg.Error):
            connection.close()
        self._shrink()

    def _shrink(self) -> None:
        with self._changed:
            self._size -= 1
            self._changed.notify()

    def _maintain(self) -> None:
        """Ask the connections nobody borrows, and keep the least number open."""
        interval = self.settings.health_check_interval
        if self.closed or 0 <= time.time() - self._maintained_at < interval:
            return
        self._maintained_at = time.time()
        stale = self._take_idle(used_before=time.time() - interval)
        while stale and self._answers(stale[-1]):
            self._keep(stale.pop())
        for connection in stale:
            self._discard(connection)
        self._fill()

    def _fill(self) -> None:
        while self._size < self.settings.pool_min:
            with self._changed:
                self._size += 1
            try:
                self._keep(self._open(time.monotonic()))
            except DatabaseUnavailableError:
                return

    def _count_borrow(self, seconds: float) -> None:
        counts = self._counts
        counts.borrows += 1
        counts.borrow_seconds += seconds
        counts.borrow_seconds_longest = max(counts.borrow_seconds_longest, seconds)

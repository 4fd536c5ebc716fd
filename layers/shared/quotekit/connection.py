"""A connection that acts for somebody, measures itself and never waits without an end.

BEGIN, role and claims ride in front of the first statement: one flight of libpq's pipeline with
one Sync. What is deferred rides with the next statement, or with the commit. The figures behind
that choice: docs/decisions/0004-pooling.md.
"""

import json
import select
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import _GeneratorContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

import psycopg
from psycopg import generators
from psycopg._queries import PostgresQuery
from psycopg.abc import Params, PQGen, Query
from psycopg.adapt import Transformer
from psycopg.errors import InFailedSqlTransaction, LockNotAvailable, TransactionRollback
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow

from quotekit.settings import DatabaseSettings
from quotekit.trips import Health, counters


class Rider(NamedTuple):
    """A statement that travels with another's trip: what libpq's PQsendQueryParams takes."""

    command: bytes
    parameters: Sequence[bytes | bytearray | memoryview | None] | None = None
    types: Sequence[int] | None = None
    formats: Sequence[int] | None = None


BEGIN: Final = Rider(b"begin")
BEGIN_READ_ONLY: Final = Rider(b"begin read only")
COMMIT: Final = Rider(b"commit")
BECOME: Final = b"""
select set_config('role', $1, true),
       set_config('request.jwt.claims', $2, true),
       set_config('statement_timeout', $3, true),
       set_config('idle_in_transaction_session_timeout', $4, true)
"""
BECOME_READER: Final = b"""
select set_config('role', $1, true),
       set_config('request.jwt.claims', $2, true),
       set_config('statement_timeout', $3, true),
       set_config('transaction_read_only', 'on', true)
"""
LOSS: Final = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError)
GOODBYE: Final = {"FATAL", "PANIC"}
IN_COPY: Final = {ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH}
GONE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


@dataclass(frozen=True)
class Actor:
    """For whom a transaction acts: the role it becomes and the claims its policies read."""

    role: Literal["authenticated", "service_role", "ops_admin", "quote_client"]
    claims: Mapping[str, Any] = field(repr=False)  # personal data stays out of logs
    admission: bytes | None = None  # a statement that may refuse the actor, on the same trip

    @property
    def gate(self) -> tuple[Rider, ...]:
        return () if self.admission is None else (Rider(self.admission),)

    @cached_property
    def encoded(self) -> tuple[bytes, bytes]:
        claims = json.dumps(dict(self.claims), separators=(",", ":"), default=str)
        return self.role.encode(), claims.encode()


class Connection(psycopg.Connection[TupleRow]):
    """A connection on loan between `act` and `rest`; outside of them it runs nothing."""

    deadline: float | None = None
    _actor: Actor | None = None
    riders: tuple[Rider, ...] = ()  # what has to travel in front of the next statement
    _reading = False
    _deferred = False

    def prepare(self, settings: DatabaseSettings) -> None:
        self.deadline = settings.statement_timeout + settings.network_timeout
        self.health = Health(settings.slow_trip)
        self.opened_at = self.used_at = time.time()
        self._socket = select.poll()
        self._socket.register(self.pgconn.socket, GONE)
        self._statement_timeout = milliseconds(settings.statement_timeout)
        self._idle_timeout = milliseconds(settings.transaction_idle_timeout)

    def act(self, actor: Actor, *, reading: bool) -> None:
        """Prepare to act; nothing is sent before the first statement."""
        self._actor = actor
        self._reading = reading
        if reading:
            become = Rider(BECOME_READER, (*actor.encoded, self._statement_timeout))
            self.riders = (become, *actor.gate)
        else:
            self.riders = (BEGIN, self._become(actor), *actor.gate)

    def become(self, actor: Actor) -> None:
        """Act for another in the rest of the transaction; it travels with the next statement."""
        if self._actor is None or self._reading:
            raise psycopg.InterfaceError("only a transaction changes its actor")
        self._actor = actor
        self.riders = (*self.riders, self._become(actor), *actor.gate)

    def rest(self, *, failed: bool) -> None:
        """Commit, or roll back what failed; afterwards the connection acts for nobody."""
        deferred, self._deferred = self._deferred and not failed, False
        try:
            if deferred and self.pgconn.transaction_status != TransactionStatus.INERROR:
                self.riders = (*self.riders, COMMIT)
                with self.lock:
                    self.wait(self.fly(lambda: 0))
        except BaseException:
            failed = True
            raise
        finally:
            self._actor, self.riders = None, ()
            self._end(failed=failed)

    def _end(self, *, failed: bool) -> None:
        status = self.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if failed or status == TransactionStatus.INERROR:
            with suppress(psycopg.Error):  # what cannot be rolled back is not lent again
                self.rollback()
            if not failed:
                raise InFailedSqlTransaction("an ignored error failed the transaction")
        else:
            self.commit()

    def defer(self, query: Query, parameters: Params) -> None:
        """Add a statement that nobody waits for: it costs no trip, and errs with the next one's."""
        if self._actor is None or self._reading:
            raise psycopg.InterfaceError("only a transaction defers")
        asked = PostgresQuery(Transformer(self))
        asked.convert(query, parameters)
        rider = Rider(asked.query, asked.params, asked.types or None, asked.formats)
        self.riders = (*self.riders, rider)
        self._deferred = True
        counters.queries += 1

    def withdraw(self) -> None:
        """Forget what was deferred and not sent, before a savepoint is gone back to."""
        self.riders = ()

    def begin(self) -> None:
        """Open the transaction on a trip of its own, for what cannot carry it."""
        if not self.riders or self._actor is None:
            return
        if self._reading:
            self.riders = (BEGIN_READ_ONLY, self._become(self._actor), *self._actor.gate)
        self._reading = False
        with self.lock:
            self.wait(self.fly(lambda: 0))

    def fly(self, board: Callable[[], int]) -> PQGen[list[list[PGresult]]]:
        """Send the riders and what `board` queues with one Sync; return the results of the latter.

        psycopg's own pipeline would send a second Sync at its end, and wait for the answer.
        """
        riders = self.riders
        if not self._reading:
            self.riders = ()
        self.pgconn.enter_pipeline_mode()
        for rider in riders:
            self.pgconn.send_query_params(*rider)
        expected = len(riders) + board()
        self.pgconn.pipeline_sync()
        yield from generators.send(self.pgconn)
        answers = yield from self._land(expected)
        for result in chain(*answers[: len(riders)]):
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        return answers[len(riders) :]

    def _land(self, expected: int) -> PQGen[list[list[PGresult]]]:
        answers: list[list[PGresult]] = []
        for _ in range(expected):
            results = yield from generators.fetch_many(self.pgconn)
            if results and results[-1].status in IN_COPY:
                self.pgconn.finish()  # libpq has no way out of COPY within a pipeline
                raise psycopg.ProgrammingError("COPY needs cursor.copy()")
            answers.append(results)
        yield from generators.fetch_many(self.pgconn)  # the Sync
        self.pgconn.exit_pipeline_mode()
        return answers

    def check_acting(self) -> None:
        """Refuse a statement that would run as nobody."""
        if self._actor is None:
            raise psycopg.InterfaceError("a connection works only inside its `with` block")
        if self.riders or self.pgconn.transaction_status == TransactionStatus.IDLE:
            raise psycopg.InterfaceError("nobody but database.transaction begins or commits")

    @property
    def quiet(self) -> bool:
        """Whether the server sent nothing: no goodbye, no end of file. Asks the kernel only."""
        return not self._socket.poll(0)

    @property
    def at_rest(self) -> bool:
        return (
            self.pgconn.transaction_status == TransactionStatus.IDLE
            and self.pgconn.pipeline_status == PipelineStatus.OFF
        )

    def lost(self, error: BaseException) -> bool:
        """Whether `error` ended the connection, or the server said that it is about to."""
        return isinstance(error, LOSS) and (
            self.pgconn.status != ConnStatus.OK or error.diag.severity_nonlocalized in GOODBYE
        )

    def round_trip(self, timeout: float) -> None:
        """Ask the server for nothing, to see whether it answers."""
        self.pgconn.send_query(b"")
        results = self.wait(generators.execute(self.pgconn), timeout=timeout)
        # A server that said goodbye meanwhile left that in front of the answer.
        if [result.status for result in results] != [ExecStatus.EMPTY_QUERY] or not self.at_rest:
            raise psycopg.OperationalError("the connection does not answer as it should")

    def wait[R](self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        started = time.perf_counter()
        try:
            answer = super().wait(gen, interval, timeout or self.deadline)
        except psycopg.OperationalError as error:
            self._note(error)
            raise
        finally:
            counters.seconds += time.perf_counter() - started
        self.health.record(time.perf_counter() - started)
        return answer

    def _note(self, error: psycopg.OperationalError) -> None:
        if isinstance(error, psycopg.errors._WaitTimeout):  # noqa: SLF001 nothing public tells it
            self.pgconn.finish()  # a late answer would be taken for that of the next statement
        if not isinstance(error, TransactionRollback | LockNotAvailable):
            self.health.record_failure()

    def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002 psycopg's own signature
    ) -> _GeneratorContextManager[psycopg.Transaction]:
        """Make a savepoint; the outer transaction begins now if it has not."""
        self.begin()
        return super().transaction(savepoint_name, force_rollback)

    def pipeline(self) -> _GeneratorContextManager[psycopg.Pipeline]:
        self.begin()
        return super().pipeline()

    def _become(self, actor: Actor) -> Rider:
        timeouts = (self._statement_timeout, self._idle_timeout)
        return Rider(BECOME, (*actor.encoded, *timeouts))


def milliseconds(seconds: float) -> bytes:
    return str(max(1, round(seconds * 1000))).encode()

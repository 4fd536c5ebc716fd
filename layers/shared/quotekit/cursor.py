"""A cursor whose first statement takes the riders of its connection along."""

from collections.abc import Iterable, Iterator
from contextlib import _GeneratorContextManager

import psycopg
from psycopg._preparing import Prepare
from psycopg._queries import PostgresQuery
from psycopg.abc import Params, PQGen, Query
from psycopg.copy import Copy, Writer

from quotekit.connection import Connection
from quotekit.trips import counters


class Cursor[Row](psycopg.Cursor[Row]):
    """A cursor whose first statement takes BEGIN, role and claims along."""

    _conn: Connection

    def executemany(
        self, query: Query, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        self._conn.begin()
        super().executemany(query, params_seq, returning=returning)

    def stream(
        self,
        query: Query,
        params: Params | None = None,
        *,
        binary: bool | None = None,
        size: int = 1,
    ) -> Iterator[Row]:
        self._conn.begin()
        return super().stream(query, params, binary=binary, size=size)

    def copy(
        self, statement: Query, params: Params | None = None, *, writer: Writer | None = None
    ) -> _GeneratorContextManager[Copy]:
        self._conn.begin()
        return super().copy(statement, params, writer=writer)

    def _start_query(self, query: Query | None = None) -> PQGen[None]:
        self._conn.check_acting()
        counters.queries += 1
        yield from super()._start_query(query)

    def _execute_gen(
        self,
        query: Query,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> PQGen[None]:
        if not self._conn.riders:
            yield from super()._execute_gen(query, params, prepare=prepare, binary=binary)
            return
        counters.queries += 1
        yield from super()._start_query(query)
        converted = self._convert_query(query, params)
        yield from self._carry(converted, prepare=prepare, binary=binary)
        self._last_query = query
        yield from self._conn._prepared.maintain_gen(self._conn)  # noqa: SLF001 as psycopg does

    def _carry(
        self, query: PostgresQuery, *, prepare: bool | None, binary: bool | None
    ) -> PQGen[None]:
        """Do what psycopg's _maybe_prepare_gen does, in one flight with the riders."""
        prepared = self._conn._prepared  # noqa: SLF001 as psycopg does
        kind, name = self._get_prepared(query, prepare)

        def board() -> int:
            if kind is Prepare.NO:
                self._execute_send(query, force_extended=True, binary=binary)
                return 1
            if kind is Prepare.SHOULD:
                self._send_prepare(name, query)
            self._send_query_prepared(name, query, binary=binary)
            return 2 if kind is Prepare.SHOULD else 1

        *preparing, results = yield from self._conn.fly(board)
        key = prepared.maybe_add_to_cache(query, kind, name)
        if key is not None:
            prepared.validate(key, kind, name, results)
        for answer in (*preparing, results):
            self._check_results(answer)
        self._set_results(results)

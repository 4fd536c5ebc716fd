"""Transactions that act for somebody: trips on the wire, errors, isolation between borrowers."""

# ruff: noqa: PT012 what happens inside a transaction is what is tested

import threading
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import (
    DivisionByZero,
    InFailedSqlTransaction,
    InsufficientPrivilege,
    InvalidParameterValue,
    QueryCanceled,
    ReadOnlySqlTransaction,
    SyntaxError,  # noqa: A004 PostgreSQL's name
    UniqueViolation,
)
from psycopg.rows import class_row, dict_row

from quotekit import database as databases
from quotekit.database import SERVICE, Actor, counters, reading, transaction
from quotekit.errors import DatabaseUnavailableError

ALICE_ID = UUID("01900000-0000-7000-8000-00000000000a")
ALICE = Actor("authenticated", {"sub": ALICE_ID, "note": "é'\\\"\n☃"})
BOB = Actor("authenticated", {"sub": "01900000-0000-7000-8000-00000000000b"})
NOBODY = Actor("nobody", {})  # type: ignore[arg-type]
NOTES = """
create table public.notes (
    account_id uuid not null default auth.account_id(),
    text text not null unique
);
alter table public.notes enable row level security, force row level security;
create policy notes_account on public.notes to authenticated
    using (account_id = (select auth.account_id()));
grant usage on schema public to authenticated, service_role;
grant select, insert on public.notes to authenticated;
create table public.loose (text text);
grant insert on public.loose to authenticated;
"""
WHO = """
select current_user as role, current_setting('request.jwt.claims', true) as claims,
       current_setting('transaction_read_only') as read_only
"""
INSERT = "insert into public.notes (text) values (%(text)s) returning text"
SELECT = "select text from public.notes order by text"


@dataclass(frozen=True)
class Who:
    role: str
    claims: str | None
    read_only: str


@pytest.fixture
def notes(database):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(NOTES)
    return database


def warm(proxy):
    """Open the connection, so that only the test's own trips are counted."""
    with reading(SERVICE) as connection:
        connection.execute("select 1")
    proxy.flights = 0


def texts(actor):
    with reading(actor) as connection:
        return [text for (text,) in connection.execute(SELECT)]


@pytest.mark.parametrize("statements", [1, 2, 5])
def test_a_transaction_takes_one_trip_a_statement_and_one_to_commit(proxy, statements):
    warm(proxy)

    with transaction(ALICE) as connection:
        for number in range(statements):
            connection.execute("select %s::int", (number,))

    assert proxy.flights == statements + 1


@pytest.mark.parametrize("statements", [1, 2, 5])
def test_reading_takes_one_trip_a_statement(proxy, statements):
    warm(proxy)

    with reading(ALICE) as connection:
        for number in range(statements):
            connection.execute("select %s::int", (number,))

    assert proxy.flights == statements


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_an_empty_block_takes_no_trip(proxy, open_block):
    warm(proxy)

    with open_block(ALICE):
        pass

    assert proxy.flights == 0


@pytest.mark.parametrize(("open_block", "trips"), [(transaction, 2), (reading, 1)])
def test_an_admission_rides_along_and_refuses_before_the_statement(proxy, open_block, trips):
    warm(proxy)
    refused = Actor("authenticated", ALICE.claims, b"select 1 / 0")

    with pytest.raises(DivisionByZero), open_block(refused) as connection:
        connection.execute("select pg_sleep(60)")

    assert proxy.flights == trips


def test_a_failing_first_statement_takes_one_trip_and_one_to_roll_back(proxy):
    warm(proxy)

    with pytest.raises(DivisionByZero), transaction(ALICE) as connection:
        connection.execute("select 1 / %s", (0,))

    assert proxy.flights == 2


def test_a_failing_read_leaves_nothing_to_roll_back(proxy):
    warm(proxy)

    with pytest.raises(DivisionByZero), reading(ALICE) as connection:
        connection.execute("select 1 / %s", (0,))

    assert proxy.flights == 1


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_statements_prepared_by_use_take_no_trip_more(proxy, configure, open_block):
    configure(prepare_threshold=1)
    warm(proxy)

    for _ in range(4):
        with open_block(ALICE) as connection:
            connection.execute("select %s::int", (1,))

    assert proxy.flights == 4 * (2 if open_block is transaction else 1)
    with open_block(SERVICE) as connection:
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (1,)


@pytest.mark.parametrize(
    ("open_block", "read_only"), [(transaction, "off"), (reading, "on")], ids=["write", "read"]
)
@pytest.mark.parametrize("actor", [ALICE, SERVICE, Actor("ops_admin", {})])
def test_every_statement_runs_as_the_actor(database, open_block, read_only, actor):
    with open_block(actor) as connection, connection.cursor(row_factory=class_row(Who)) as cursor:
        seen = [cursor.execute(WHO).fetchone() for _ in range(3)]

    assert seen == [Who(actor.role, actor.encoded[1].decode(), read_only)] * 3


@pytest.mark.parametrize("open_block", [transaction, reading])
@pytest.mark.parametrize(
    "first",
    [
        "executemany",
        "stream",
        "copy",
        "pipeline",
        "savepoint",
        "binary",
        "iterate",
    ],
)
def test_whatever_comes_first_runs_as_the_actor(database, open_block, first):
    with open_block(ALICE) as connection:
        seen = FIRST[first](connection)

    assert seen == "authenticated"
    assert databases.statistics().discarded == 0


def by_executemany(connection):
    cursor = connection.cursor()
    cursor.executemany("select current_user, %s::int", [(1,), (2,)], returning=True)
    return cursor.fetchone()[0]


def by_stream(connection):
    ((role,),) = connection.cursor().stream("select current_user")
    return role


def by_copy(connection):
    with connection.cursor().copy("copy (select current_user) to stdout") as copy:
        return b"".join(copy).decode().strip()


def by_pipeline(connection):
    with connection.pipeline():
        return connection.execute("select current_user").fetchone()[0]


def by_savepoint(connection):
    with connection.transaction():
        return connection.execute("select current_user").fetchone()[0]


def by_binary(connection):
    return connection.execute("select current_user::text", binary=True).fetchone()[0]


def by_iterate(connection):
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(WHO)
    return row["role"]


FIRST = {
    name.removeprefix("by_"): function
    for name, function in globals().items()
    if name.startswith("by_")
}


def test_rows_belong_to_the_account_of_the_claims(notes):
    with transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "of alice"})
    with transaction(BOB) as connection:
        connection.execute(INSERT, {"text": "of bob"})

    assert (texts(ALICE), texts(BOB)) == (["of alice"], ["of bob"])


def test_the_login_itself_may_read_nothing(notes):
    with psycopg.connect(notes.url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(SELECT)


def test_parameters_stay_values(notes):
    text = "'); drop table public.notes; --\\"

    with transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": text})

    assert texts(ALICE) == [text]


def test_reading_cannot_write(notes):
    with pytest.raises(ReadOnlySqlTransaction), reading(ALICE) as connection:
        connection.execute(INSERT, {"text": "no"})


@pytest.mark.parametrize(
    "escape", ["set transaction_read_only = off", "set transaction read write", "reset role"]
)
def test_reading_stays_read_only_and_restricted(notes, escape):
    with reading(ALICE) as connection:
        with suppress(psycopg.Error):
            connection.execute(escape)
        with pytest.raises(ReadOnlySqlTransaction):
            connection.execute(INSERT, {"text": "no"})
        ((role, *_),) = connection.execute(WHO)
        assert role == "authenticated"


def test_an_error_of_the_first_statement_is_of_its_own_class(notes):
    with transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "once"})

    with pytest.raises(UniqueViolation) as caught, transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "once"})

    assert caught.value.diag.constraint_name == "notes_text_key"
    assert texts(ALICE) == ["once"]
    assert databases.statistics().opened == 1


@pytest.mark.parametrize("open_block", [transaction, reading])
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("selec", SyntaxError),
        ("select 1; select 2", SyntaxError),
        ("copy (select 1) to stdout", psycopg.ProgrammingError),
        ("copy public.loose from stdin", (psycopg.ProgrammingError, ReadOnlySqlTransaction)),
    ],
)
def test_a_first_statement_that_cannot_run_leaves_a_pool_that_works(
    notes, open_block, statement, error
):
    with pytest.raises(error), open_block(ALICE) as connection:
        connection.execute(statement)

    assert texts(ALICE) == []


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_a_role_that_does_not_exist_is_an_error_before_the_statement_runs(notes, open_block):
    with pytest.raises(InvalidParameterValue), open_block(NOBODY) as connection:
        connection.execute("select pg_sleep(60)")

    assert texts(ALICE) == []


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_an_unusable_parameter_leaves_the_claims_to_travel_with_the_next(database, open_block):
    with open_block(ALICE) as connection:
        with pytest.raises(psycopg.ProgrammingError):
            connection.execute("select %s", (object(),))

        assert connection.execute(WHO).fetchone()[0] == "authenticated"


def test_an_exception_rolls_everything_back(notes):
    with pytest.raises(KeyError), transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "never"})
        raise KeyError

    assert texts(ALICE) == []


def test_a_savepoint_rolls_back_alone(notes):
    with transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "kept"})
        with pytest.raises(UniqueViolation), connection.transaction():
            connection.execute(INSERT, {"text": "kept"})
        connection.execute(INSERT, {"text": "kept too"})

    assert texts(ALICE) == ["kept", "kept too"]


def test_an_ignored_error_does_not_pass_for_a_commit(notes):
    with pytest.raises(InFailedSqlTransaction), transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "lost"})
        with pytest.raises(DivisionByZero):
            connection.execute("select 1 / 0")

    assert texts(ALICE) == []
    assert databases.statistics().opened == 1


@pytest.mark.parametrize("open_block", [transaction, reading])
@pytest.mark.parametrize("ending", [None, KeyError, DivisionByZero])
def test_nothing_of_an_actor_is_left_to_the_next_borrower(database, open_block, ending):
    try:
        with open_block(ALICE) as connection:
            connection.execute("select set_config('my.secret', 'x', true)")
            if ending is KeyError:
                raise KeyError
            if ending is DivisionByZero:
                connection.execute("select 1 / 0")
    except (KeyError, DivisionByZero):
        pass

    state = connection.pgconn.exec_(
        b"select current_user, current_setting('request.jwt.claims', true),"
        b" current_setting('my.secret', true), current_setting('transaction_read_only')"
    )
    assert [state.get_value(0, column) for column in range(4)] == [
        *(b"quotekit_functions", b"", b"" if state.get_value(0, 2) is not None else None, b"off")
    ]


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_a_connection_does_nothing_after_its_block(database, open_block):
    with open_block(ALICE) as connection:
        cursor = connection.cursor()

    for use in (connection, cursor):
        with pytest.raises(psycopg.InterfaceError, match="inside its `with` block"):
            use.execute("select 1")


@pytest.mark.parametrize("statement", ["commit", "rollback"])
def test_nobody_else_commits(database, statement):
    with (
        pytest.raises(psycopg.InterfaceError, match="nobody but"),
        transaction(ALICE) as connection,
    ):
        connection.execute("select 1")
        connection.execute(statement)
        connection.execute("select 1")


def test_a_statement_ends_at_its_time_limit(database, configure):
    configure(statement_timeout=0.05)

    for open_block in (transaction, reading):
        with pytest.raises(QueryCanceled), open_block(ALICE) as connection:
            connection.execute("select pg_sleep(60)")

    assert databases.statistics().opened == 1


def test_a_transaction_that_waits_too_long_is_ended_by_the_server(database, configure):
    configure(transaction_idle_timeout=0.05)

    with pytest.raises(DatabaseUnavailableError), transaction(ALICE) as connection:
        connection.execute("select 1")
        while connection.quiet:
            pass
        connection.execute("select 1")

    with transaction(ALICE) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_connection_lost_in_a_transaction_is_an_unavailable_database(database):
    with pytest.raises(DatabaseUnavailableError) as caught, transaction(ALICE) as connection:
        connection.execute("select 1")
        terminate(database, connection)
        connection.execute("select 1")

    assert isinstance(caught.value.__cause__, psycopg.OperationalError)


def test_a_connection_lost_at_the_commit_is_an_unavailable_database(database):
    with pytest.raises(DatabaseUnavailableError), transaction(ALICE) as connection:
        connection.execute("select 1")
        terminate(database, connection)


def test_what_is_checked_at_the_commit_fails_there_under_its_own_name(notes):
    with psycopg.connect(notes.owner_url, autocommit=True) as owner:
        owner.execute(
            "alter table public.notes add constraint late unique (text, account_id)"
            " deferrable initially deferred, drop constraint notes_text_key"
        )
    with pytest.raises(UniqueViolation), transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "twice"})
        connection.execute(INSERT, {"text": "twice"})

    assert texts(ALICE) == []
    assert databases.statistics().opened == 1


def terminate(database, connection):
    with psycopg.connect(database.owner_url, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))


def test_queries_and_their_time_are_counted_until_reset(database):
    counters.reset()

    with transaction(ALICE) as connection:
        connection.execute("select 1")
        connection.execute("select pg_sleep(0.02)")
        connection.cursor().executemany("select %s::int", [(1,), (2,)])
    with reading(ALICE) as connection:
        connection.execute("select 1")

    assert counters.queries == 4
    assert 0.02 < counters.seconds < 2
    counters.reset()
    assert (counters.queries, counters.seconds) == (0, 0.0)


def test_claims_do_not_print_themselves():
    assert "01900000" not in repr(ALICE)


@pytest.mark.parametrize("open_block", [transaction, reading])
def test_a_backend_that_dies_under_the_first_statement_is_an_unavailable_database(
    database, open_block
):
    killer = threading.Thread(target=terminate_sleepers, args=(database,))
    killer.start()

    with pytest.raises(DatabaseUnavailableError), open_block(ALICE) as connection:
        connection.execute("select pg_sleep(%s)", (20,))

    killer.join()
    with open_block(ALICE) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def terminate_sleepers(database):
    sleeping = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'
    """
    with psycopg.connect(database.owner_url, autocommit=True) as admin:
        while admin.execute(sleeping).fetchone() is None:
            pass


def test_a_deferred_statement_travels_with_the_commit(proxy, notes):
    warm(proxy)

    with transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "awaited"})
        connection.defer(INSERT, {"text": "deferred"})

    assert proxy.flights == 2
    assert texts(ALICE) == ["awaited", "deferred"]


def test_a_deferred_statement_travels_with_the_next_one_and_in_order(proxy, notes):
    warm(proxy)

    with transaction(ALICE) as connection:
        connection.defer(INSERT, {"text": "first"})
        seen = connection.execute(SELECT).fetchall()

    assert proxy.flights == 2
    assert seen == [("first",)]


def test_a_transaction_of_deferred_statements_alone_is_one_trip(proxy, notes):
    warm(proxy)

    with transaction(ALICE) as connection:
        connection.defer(INSERT, {"text": "alone"})

    assert proxy.flights == 1
    assert texts(ALICE) == ["alone"]


def test_the_error_of_a_deferred_statement_undoes_the_transaction(notes):
    with pytest.raises(UniqueViolation), transaction(ALICE) as connection:
        connection.execute(INSERT, {"text": "same"})
        connection.defer(INSERT, {"text": "same"})

    assert texts(ALICE) == []


def test_what_was_deferred_before_an_exception_is_not_done(notes):
    with pytest.raises(ZeroDivisionError), transaction(ALICE) as connection:
        connection.defer(INSERT, {"text": "never"})
        _ = 1 / 0

    assert texts(ALICE) == []


def test_a_reader_defers_nothing(notes):
    with reading(ALICE) as connection, pytest.raises(psycopg.InterfaceError):
        connection.defer(INSERT, {"text": "never"})

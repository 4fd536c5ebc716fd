"""Who may do what to whose rows: asked of PostgreSQL, cell by cell, and held against what the
grants say and no policy may add to.

Each table holds one row, of `ACCOUNT`. Everybody tries everything on it, twice: with the grants as
they are, and with all of them given, so that the policies are seen alone. Triggers and foreign keys
sleep meanwhile: they refuse more, and nothing here may rest on them.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, NotNullViolation

from tests.access.declared import (
    ACCOUNT,
    ANY_CLIENT,
    CALLERS,
    CLIENT,
    CLIENTS,
    COMMANDS,
    HIDDEN,
    KEPT,
    KEYS,
    MANAGED,
    MEMBER,
    NEVER,
    NEXT_CLIENT,
    OTHER,
    OWNER,
    ROLES,
    SAMPLES,
    SERVICE,
    SHARED,
    USER,
    Caller,
)
from tests.access.rows import NoRowError, Rows, insertion, place, raw

MEMBERSHIP: Final = "insert into app.members (account_id, user_id, role) values (%s, %s, 'member')"
MAY: Final = """
select name from unnest(%s::text[]) as name where has_column_privilege(%s, %s, name, %s)
"""


@dataclass(frozen=True)
class Cell:
    """One question: may this caller do that to the row of `ACCOUNT` in this table?"""

    table: str
    caller: Caller
    command: str
    widened: bool  # with every grant there is, so that only policies decide

    def __str__(self) -> str:
        return f"{self.table}: {self.caller.name}: {self.command}{' (policies)' * self.widened}"


class Matrix:
    """All cells of a migrated database, asked in one transaction that is never committed."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.rows = Rows(connection, ACCOUNT, USER, SAMPLES)
        connection.execute("set session_replication_role = replica")  # no trigger, no foreign key
        for table in self.rows.tables:
            connection.execute(sql.SQL("delete from {}").format(place(table)))
        if problems := [said for table in self.rows.tables if (said := self._fill(table))]:
            raise NoRowError("\n".join(problems))
        connection.execute(MEMBERSHIP, [ACCOUNT, MEMBER.claims["sub"]])
        self.row = cache(self.rows.row)
        known = {name for (name,) in connection.execute("select rolname from pg_roles")}
        self.callers = [caller for caller in CALLERS if caller.role in known]
        self.insertable = cache(self._insertable)
        self.updatable = cache(self._updatable)
        self.granted = cache(self._granted)
        self.open = {table for table in self.rows.tables if self._is_open(table)}

    def _fill(self, table: str) -> str:
        """Why the table could not be given its row."""
        try:
            with self.connection.transaction():
                self.rows.insert(table)
        except NoRowError as error:
            return str(error)
        return ""

    def key(self, table: str) -> str | None:
        """The column that says whose a row is."""
        if table in KEYS:
            return KEYS[table][0]
        names = [column.name for column in self.rows.tables[table]]
        return "account_id" if "account_id" in names else None

    def undeclared(self) -> list[str]:
        """Tables a client has some right to, though nobody said whose their rows are."""
        return sorted(table for table in self.open - SHARED.keys() if self.key(table) is None)

    def _is_open(self, table: str) -> bool:
        """Whether a client has any right to it."""
        return any(self.granted(table, "authenticated", command) for command in COMMANDS)

    # ---- what should be ----

    def _expected(self, table: str, caller: Caller, command: str, *, widened: bool) -> bool | None:
        if caller.role == "quotekit_functions":
            return False
        if caller in CLIENTS:
            return self._expected_of_client(table, caller, command, widened=widened)
        if caller.role == "authenticated":
            if table in SHARED or table not in self.open:
                return table in SHARED and command == "select"
            if caller is MEMBER:
                return False if command in MANAGED.get(table, ()) else None
            if caller is not OWNER or command == "move":
                return False
        return None if widened else self.granted(table, caller.role, command)

    def _expected_of_client(
        self, table: str, caller: Caller, command: str, *, widened: bool
    ) -> bool | None:
        if command == "move":
            return False
        everybodys = table in SHARED and command == "select"
        if caller is CLIENT or everybodys:
            return None if widened else self.granted(table, caller.role, command)
        if caller is NEXT_CLIENT and command in ANY_CLIENT.get(table, ()):
            return None
        return False

    def _granted(self, table: str, role: str, command: str) -> bool:
        """Whether the grants alone would let the role do it."""
        if command == "insert":
            needed = {column.name for column in self.rows.tables[table] if column.required}
            return self._has(table, role, "insert") and needed <= set(self.insertable(table, role))
        if command == "update":
            return bool(self.updatable(table, role))
        if command == "move":
            return self.key(table) in self.updatable(table, role)
        return self._has(table, role, command)

    def _has(self, table: str, role: str, privilege: str) -> bool:
        function = "has_table_privilege" if privilege == "delete" else "has_any_column_privilege"
        asked = f"select {function}(%s, %s, %s) and has_schema_privilege(%s, %s, 'usage')"
        values = [role, table, privilege, role, table.partition(".")[0]]
        return bool(self._one(raw(asked), values))

    def _insertable(self, table: str, role: str) -> list[str]:
        return self._columns(table, role, "insert")

    def _updatable(self, table: str, role: str) -> list[str]:
        return self._columns(table, role, "update")

    def _columns(self, table: str, role: str, privilege: str) -> list[str]:
        names = [column.name for column in self.rows.tables[table] if not column.generated]
        found = self.connection.execute(MAY, [names, role, table, privilege])
        return [name for (name,) in found]

    # ---- what is ----

    def violations(
        self, table: str, roles: Sequence[str] = ROLES, commands: Sequence[str] = COMMANDS
    ) -> Iterator[str]:
        """Cells whose answer is not the expected one."""
        callers = [caller for caller in self.callers if caller.role in roles]
        for widened in (False, True):
            with self._undone():
                if widened:
                    self._widen(table, {caller.role for caller in callers})
                for caller, command in product(callers, commands):
                    cell = Cell(table, caller, command, widened)
                    expected = self._expected(table, caller, command, widened=widened)
                    if expected is not None and self.allowed(cell) != expected:
                        yield f"{cell} is {'refused' if expected else 'allowed'}"
        if table in HIDDEN and self._sees_hidden(table):
            yield f"{table}: the owner sees what is hidden"
        if table in KEPT and self._deletes_kept(table):
            yield f"{table}: the house deletes what is kept"
        if (
            table in NEVER
            and NEVER[table][0] in self.callers
            and self._writes(table, *NEVER[table])
        ):
            yield f"{table}: somebody writes what he never may"

    def allowed(self, cell: Cell) -> bool:
        """Try it, see what came of it, undo it."""
        with self._undone():
            if cell.command == "insert":
                self._execute(sql.SQL("delete from {}").format(place(cell.table)))
            self._become(cell.caller)
            try:
                return self._tried(cell)
            except (InsufficientPrivilege, NotNullViolation):
                return False
            except psycopg.Error as error:
                raise AssertionError(f"{cell}: {error}") from error

    def _tried(self, cell: Cell) -> bool:
        table = place(cell.table)
        if cell.command == "select":
            return bool(self._one(sql.SQL("select count(*) from {}").format(table), []))
        if cell.command == "delete":
            return self._execute(sql.SQL("delete from {}").format(table)) > 0
        if cell.command == "insert":
            return self._inserted(cell)
        key = self.key(cell.table)
        if cell.command == "move" and key:
            return self._update(cell, key, self._others(cell.table, key)) > 0
        return cell.command == "update" and self._update(cell, *self._unchanged(cell)) > 0

    def _inserted(self, cell: Cell) -> bool:
        """Whether there is a row of the account now: a stranger may well add one of his own."""
        row = self.row(cell.table)
        may = row if cell.widened else self.insertable(cell.table, cell.caller.role)
        given = {name: value for name, value in row.items() if name in may}
        self._execute(insertion(cell.table, given), list(given.values()))
        self.connection.execute("reset role")
        key = self.key(cell.table)
        if key is None:
            return True
        mine = sql.SQL("select exists(select from {} where {} = %s)")
        return bool(self._one(mine.format(place(cell.table), sql.Identifier(key)), [row[key]]))

    def _unchanged(self, cell: Cell) -> tuple[str, Any]:
        """A column to set, and what it is already."""
        row = self.row(cell.table)
        names = [column.name for column in self.rows.tables[cell.table] if not column.generated]
        may = names if cell.widened else self.updatable(cell.table, cell.caller.role) or names
        known = [name for name in may if name in row]
        return (known[0], row[known[0]]) if known else (may[0], None)

    def _update(self, cell: Cell, name: str, value: Any) -> int:
        """Set one column, to its default where no value is given."""
        wanted = sql.SQL("update {} set {} = {}").format(
            place(cell.table),
            sql.Identifier(name),
            sql.SQL("default") if value is None else sql.Placeholder(),
        )
        return self._execute(wanted, [] if value is None else [value])

    def _others(self, table: str, key: str) -> Any:
        kind = self.rows.column(table, key).type
        return OTHER if kind == "uuid" else "other"

    def _sees_hidden(self, table: str) -> bool:
        name, value = HIDDEN[table]
        with self._undone():
            hide = sql.SQL("update {} set {} = %s").format(place(table), sql.Identifier(name))
            self._execute(hide, [value])
            return self.allowed(Cell(table, OWNER, "select", widened=False))

    def _deletes_kept(self, table: str) -> bool:
        with self._undone():
            self._execute(raw(KEPT[table]))
            return self.allowed(Cell(table, SERVICE, "delete", widened=False))

    def _writes(self, table: str, caller: Caller, name: str, value: Any) -> bool:
        with self._undone():
            self._become(caller)
            try:
                return self._update(Cell(table, caller, "update", widened=False), name, value) > 0
            except InsufficientPrivilege:
                return False

    # ---- how it is asked ----

    def _widen(self, table: str, roles: Collection[str]) -> None:
        schema = table.partition(".")[0]
        for role in roles:
            self._execute(raw(f"grant all on {table} to {role}"))
            self._execute(raw(f"grant usage on schema {schema}, auth to {role}"))
            self._execute(raw(f"grant execute on all functions in schema auth to {role}"))

    @contextmanager
    def _undone(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            yield

    def _become(self, caller: Caller) -> None:
        become = "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)"
        self.connection.execute(become, [json.dumps(caller.claims), caller.role])

    def _execute(self, statement: sql.SQL | sql.Composed, values: list[Any] | None = None) -> int:
        return self.connection.execute(statement, values or None).rowcount

    def _one(self, statement: sql.SQL | sql.Composed, values: list[Any]) -> Any:
        (found,) = self.connection.execute(statement, values).fetchone() or (None,)
        return found

    @contextmanager
    def mutated(self, statement: str) -> Iterator[None]:
        with self._undone():
            self._execute(raw(statement))
            yield

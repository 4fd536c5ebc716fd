"""A row for every table, made from the catalog alone: keys by walking them, the rest by its type
and by what its checks allow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.rows import class_row

type Key = tuple[str, str]

COLUMNS: Final = """
select format('%%s.%%s', nspname, relname) as table, attname as name,
    format_type(atttypid, null) as type,
    attnotnull as held, attnotnull and not atthasdef and attidentity = '' as required,
    case when attgenerated = '' then pg_get_expr(adbin, adrelid) end as otherwise,
    attgenerated <> '' or attidentity = 'a' as generated,
    (select array[confrelid::regclass::text, far.attname::text]
        from pg_constraint as c
        join pg_attribute as far
            on far.attrelid = confrelid
            and far.attnum = confkey[array_position(conkey, attribute.attnum)]
        where contype = 'f' and conrelid = attribute.attrelid and confrelid <> conrelid
            and attribute.attnum = any (conkey) order by conname limit 1) as refers,
    array(select pg_get_expr(conbin, conrelid) from pg_constraint
        where contype = 'c' and conrelid = attribute.attrelid
            and conkey = array[attribute.attnum] order by conname) as checks
from pg_attribute as attribute
join pg_class as relation on relation.oid = attrelid
join pg_namespace as schema on schema.oid = relnamespace
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where nspname = any (%(schemas)s) and relkind in ('r', 'p') and not relispartition
    and attnum > 0 and not attisdropped
order by nspname, relname, attnum
"""
# What a column is given first; what its checks name comes after.
NUMBERS: Final[Sequence[Any]] = (0, 1, 10, 100)
BY_TYPE: Final[dict[str, Sequence[Any]]] = {
    "boolean": (False,),
    "bytea": (b"\0" * 32,),
    "date": ("2026-01-01",),
    "inet": ("192.0.2.1",),
    "jsonb": ("{}", "[]"),
    "text": ("x", "a.b", "XXX", "xx", "xxx", "#000000", "0" * 64, "https://x.test", "x@x.test"),
    "timestamp with time zone": ("2026-01-01T00:00:00Z",),
    "interval": ("1 day",),
    **dict.fromkeys(("bigint", "integer", "numeric", "smallint"), NUMBERS),
}
CLAIMED: Final = ("auth.account_id()", "auth.uid()")  # defaults that only a caller has
NUMBER: Final = re.compile(r"\b\d+\b")
QUOTED: Final = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True)
class Column:
    """`held`: never null; `required`: nor has it a default, which is `otherwise`; `refers` is
    what its foreign key names; `checks` are those of it alone."""

    table: str
    name: str
    type: str
    held: bool
    required: bool
    otherwise: str | None
    generated: bool
    refers: list[str] | None
    checks: list[str]

    def candidates(self) -> Iterator[Any]:
        if self.type == "uuid":
            yield named(f"{self.table}.{self.name}")
        elif self.type.endswith("[]"):
            yield from ("{}", "{x}")
        else:
            yield from BY_TYPE.get(self.type, ())
        for check in self.checks:
            yield from QUOTED.findall(check)
            yield from NUMBER.findall(check)


def named(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


class NoRowError(AssertionError):
    """No row can be made for a table: name what its checks want in the samples."""


@dataclass(frozen=True)
class Rows:
    """The rows of one account: `samples` are the values that no rule finds, by table and column."""

    connection: psycopg.Connection[Any]
    account: UUID
    user: UUID
    samples: Mapping[Key, Any]

    @cached_property
    def tables(self) -> dict[str, list[Column]]:
        """Every table of the product, by its name with its schema."""
        found: dict[str, list[Column]] = {}
        with self.connection.cursor(row_factory=class_row(Column)) as cursor:
            for column in cursor.execute(COLUMNS, {"schemas": ["app", "ops"]}):
                found.setdefault(column.table, []).append(column)
        return found

    def row(self, table: str) -> dict[str, Any]:
        """What has to be said of a row, and whose it is."""
        return {
            column.name: self.value(column)
            for column in self.tables[table]
            if column.required
            or column.name in {"account_id", "user_id"}
            or (column.otherwise in CLAIMED and column.held)
            or (table, column.name) in self.samples
        }

    def value(self, column: Column) -> Any:
        known = self.samples.get((column.table, column.name))
        if known is not None:
            return known
        if column.name == "account_id" or (column.table, column.name) == ("app.accounts", "id"):
            return self.account
        if column.otherwise == "auth.uid()" or column.name == "user_id":
            return self.user
        if column.refers:
            return self.value(self.column(*column.refers))
        return self._allowed(column)

    def column(self, table: str, name: str) -> Column:
        (found,) = (column for column in self.tables[table] if column.name == name)
        return found

    def insert(self, table: str) -> None:
        """Store the row, as whoever the connection is."""
        row = self.row(table)
        try:
            self.connection.execute(insertion(table, row), list(row.values()))
        except psycopg.Error as error:
            raise NoRowError(f"{table}: {error.diag.message_primary}: {row}") from error

    def _allowed(self, column: Column) -> Any:
        for candidate in column.candidates():
            if all(self._passes(column, check, candidate) for check in column.checks):
                return candidate
        raise NoRowError(f"{column.table}.{column.name} {column.type}: none fits {column.checks}")

    def _passes(self, column: Column, check: str, value: Any) -> bool:
        asked = sql.SQL("select ({}) is not false from (select {}::{} as {}) as one").format(
            raw(check), sql.Placeholder(), raw(column.type), sql.Identifier(column.name)
        )
        try:
            with self.connection.transaction():
                (passed,) = self.connection.execute(asked, [value]).fetchone() or (False,)
        except psycopg.DataError:  # another column's kind of word
            return False
        return bool(passed)


def raw(text: str) -> sql.SQL:
    """What the catalog itself says."""
    return sql.SQL(text)


def place(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def insertion(table: str, columns: Mapping[str, Any]) -> sql.Composed:
    if not columns:
        return sql.SQL("insert into {} default values").format(place(table))
    return sql.SQL("insert into {} ({}) values ({})").format(
        place(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )

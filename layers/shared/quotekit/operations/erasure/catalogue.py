"""Whose rows go, in which order: read from the catalogue, so that a new table is in the next
erasure without anybody thinking of it."""

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row

from quotekit.batches import parts
from quotekit.database import Connection

# Erasures know an account until they are done; webhooks are walked through; the account is last.
APART: Final = {"ops.erasures", "ops.webhook_events", "app.accounts"}
CUSTOMERS: Final = "app.stripe_customers"

# To which tables each refers; and of those that refer to themselves without a rule for deletion,
# when a row is free to go: nothing that is there refers to it.
REFERENCES: Final = """
select conrelid::regclass::text as name,
    array_agg(distinct confrelid::regclass::text) filter (where confrelid <> conrelid) as others,
    string_agg(
        (select format(' and not exists (select from %s as later where %s)', conrelid::regclass,
             string_agg(format('later.%I = kept.%I', near.attname, far.attname), ' and '))
         from unnest(conkey, confkey) as pair (near, far)
         join pg_attribute as near on near.attrelid = conrelid and near.attnum = pair.near
         join pg_attribute as far on far.attrelid = confrelid and far.attnum = pair.far), ' ')
        filter (where confrelid = conrelid and confdeltype in ('a', 'r')) as free
from pg_constraint
where contype = 'f' and connamespace = any(array['app', 'ops']::regnamespace[])
group by conrelid
"""
DELETE: Final = """
with gone as (
    delete from {table} as kept where kept.ctid = any(array(
        select kept.ctid from {table} as kept where {own} limit %(most)s))
    returning 1
), noted as (
    update ops.erasures
    set deleted_rows = deleted_rows
        || jsonb_build_object({name}, coalesce((deleted_rows -> {name})::bigint, 0) + counted.count)
    from (select count(*) from gone) as counted
    where id = %(erasure)s and counted.count > 0
)
select count(*) from gone
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a table's foreign keys say, in the catalogue's words."""

    name: str
    others: list[str] | None
    free: LiteralString | None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A table with rows of the account; `free` says which of them can go first."""

    name: str
    own: LiteralString
    free: LiteralString = ""

    @property
    def deleting(self) -> sql.Composed:
        return deleting(self.name, sql.SQL(self.own) + sql.SQL(self.free))


def deleting(name: str, own: sql.Composable) -> sql.Composed:
    """Delete so many rows and note in the same statement how many that were."""
    table = sql.Identifier(*name.split("."))
    return sql.SQL(DELETE).format(table=table, own=own, name=sql.Literal(name))


def doomed(connection: Connection) -> list[Doomed]:
    """The tables in the order in which they are emptied: who refers before what he refers to."""
    with connection.cursor(row_factory=class_row(Reference)) as cursor:
        references = {one.name: one for one in cursor.execute(REFERENCES)}
    tables = {name: table for name, table in parts.tables(connection).items() if name not in APART}
    order = TopologicalSorter[str](dict.fromkeys(tables, ()))
    found = {}
    for name, table in tables.items():
        one = references.get(name, Reference(name, None, None))
        found[name] = Doomed(name, table.own, one.free or "")
        others = set(one.others or ()) | ({CUSTOMERS} if CUSTOMERS in table.own else set())
        for other in (others & tables.keys()) - {name}:
            order.add(other, name)
    return [found[name] for name in order.static_order()]


def account_table(name: str, column: LiteralString = "account_id") -> Doomed:
    return Doomed(name, column + " = %(account)s")


def values(erasure_id: UUID, account_id: UUID, most: int) -> dict[str, object]:
    return {"erasure": erasure_id, "account": account_id, "most": most}

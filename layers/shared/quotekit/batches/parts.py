"""The parts of an account's export: whose rows of which table each holds.

The tables are those of the catalogue, so that a new one is in the next export without anybody
thinking of it. A part holds the rows whose key's hash falls to it: whatever is written meanwhile,
a row is in one part and no other, as it was when that part was read.
"""

from dataclasses import dataclass
from typing import Annotated, Final, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row
from pydantic import Field, StringConstraints

from quotekit.bodies import Body
from quotekit.database import Connection

ROWS: Final = 2_000  # of a part, about
QUOTES: Final = 50  # whose PDFs are a part: printing fifty takes a second
PDFS: Final = "pdf"  # in the place of a table's name


class Part(Body):
    """Those rows of a table, or those quotes' PDFs, whose hash falls to it."""

    table: Annotated[str, StringConstraints(pattern=r"^(pdf|[a-z]+\.[a-z_]+)$", max_length=130)]
    part: Annotated[int, Field(ge=0)] = 0
    of: Annotated[int, Field(ge=1, le=1_000_000)] = 1


def key(part: Part) -> str:
    return f"{part.table} {part.part}/{part.of}"


# What belongs to an account says so; what Stripe said of a customer belongs to whose he is.
TABLES: Final = """
select format('%s.%s', space.nspname, relation.relname) as name,
    (select string_agg(quote_ident(attname), ', ' order by place)
     from pg_index, unnest(indkey) with ordinality as part (number, place)
     join pg_attribute on attnum = part.number
     where attrelid = relation.oid and indexrelid = (
         select indexrelid from pg_index
         where indrelid = relation.oid and indisunique and indpred is null and indexprs is null
         order by indisprimary desc, indexrelid limit 1)) as key,
    array(select attname::text from pg_attribute where attrelid = relation.oid
          and attname ~ '_hash$' and not attisdropped) as hidden,
    case when relation.relname = 'accounts' then 'id = %(account)s'
        when owner.attname = 'account_id' then 'account_id = %(account)s'
        else 'customer_id in (select id from app.stripe_customers where account_id = %(account)s)'
    end as own
from pg_class as relation join pg_namespace as space on space.oid = relation.relnamespace
left join lateral (
    select attname from pg_attribute
    where attrelid = relation.oid and attname in ('account_id', 'customer_id') and not attisdropped
    order by attname limit 1
) as owner on true
where space.nspname in ('app', 'ops') and relation.relkind in ('r', 'p')
  and not relation.relispartition
  and (owner.attname is not null or relation.oid = 'app.accounts'::regclass)
order by 1
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with something of an account in it; key and condition are the catalogue's words."""

    name: str
    key: LiteralString
    hidden: list[str]
    own: LiteralString

    @property
    def source(self) -> sql.Composed:
        relation = sql.Identifier(*self.name.split("."))
        return sql.SQL("from {} as kept where {}").format(relation, sql.SQL(self.own))

    @property
    def counting(self) -> sql.Composed:
        return sql.SQL("select {}, count(*) {}").format(self.name, self.source)

    def chosen(self, columns: LiteralString) -> sql.Composed:
        share = sql.SQL(SHARE).format(sql.SQL(self.key))
        return sql.SQL("select {} {} {}").format(sql.SQL(columns), self.source, share)


SHARE: Final = """
and mod(hashtextextended(row({})::text, 0) & 1152921504606846975, %(of)s) = %(part)s
"""
ROW: Final = "(to_jsonb(kept) - %(hidden)s::text[])::text"


def tables(connection: Connection) -> dict[str, Table]:
    """Every table with something of an account in it, by name."""
    with connection.cursor(row_factory=class_row(Table)) as cursor:
        return {table.name: table for table in cursor.execute(TABLES)}


def plan(connection: Connection, account_id: UUID) -> list[Part]:
    """The parts of an export, by how many rows there are now; in a transaction of the service."""
    known = tables(connection)
    counting = sql.SQL(" union all ").join(table.counting for table in known.values())
    counted: dict[str, int] = dict(connection.execute(counting, {"account": account_id}).fetchall())
    sizes = [(name, counted[name], ROWS) for name in known]
    sizes.append((PDFS, counted["app.quotes"], QUOTES))
    return [
        Part(table=name, part=part, of=of)
        for name, count, most in sizes
        for of in [-(-count // most) or 1]
        for part in range(of)
    ]

"""Packages in PostgreSQL, and from there onto a quote."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from quotekit import audit, paging
from quotekit.catalog import rows
from quotekit.catalog.requests import Listing
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, StaleVersionError, invalid
from quotekit.identifiers import new_id
from quotekit.packages.model import Package, PackageLine, PackageTier
from quotekit.packages.requests import PackageChange, PackageCreate, PackageUse
from quotekit.paging import Page
from quotekit.quotes import repository, service
from quotekit.quotes.model import DraftLine, Quote

MOST_LINES: Final = 500

SELECT: Final[LiteralString] = """
select package.id, package.name, package.description, package.preselected, package.version,
    package.created_at, package.updated_at,
    (select jsonb_agg(jsonb_build_object('name', tier.name, 'description', tier.description,
        'lines', (
            select jsonb_agg(jsonb_build_object('item_id', line.item_id, 'name', item.name,
                'unit', item.unit, 'quantity', trim_scale(line.quantity)::text,
                'unit_cost', trim_scale(item.unit_cost)::text) order by line.position)
            from app.package_lines as line
            join app.items as item on item.account_id = line.account_id and item.id = line.item_id
            where line.account_id = tier.account_id and line.package_id = tier.package_id
              and line.tier = tier.position)) order by tier.position)
     from app.package_tiers as tier
     where tier.account_id = package.account_id and tier.package_id = package.id) as tiers
from app.packages as package
where package.account_id = (select auth.account_id())
"""
GET: Final[LiteralString] = SELECT + " and package.id = %(id)s"
GET_FOR_UPDATE: Final[LiteralString] = GET + " for update of package"
LIST: Final[LiteralString] = (
    SELECT
    + """
  and (%(q)s::text is null or strpos(lower(package.name), lower(%(q)s)) > 0)
"""
)


def get(connection: Connection, package_id: UUID) -> Package:
    """One package of the caller's. Raises NotFoundError, also for another account's."""
    return one(connection, GET, package_id)


def one(connection: Connection, statement: LiteralString, package_id: UUID) -> Package:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, {"id": package_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such package.")
    return assembled(row)


def assembled(row: Mapping[str, Any]) -> Package:
    return Package(**{**row, "tiers": [tier_of(tier) for tier in row["tiers"]]})


def tier_of(tier: Mapping[str, Any]) -> PackageTier:
    lines = [
        PackageLine(
            item_id=UUID(line["item_id"]),
            name=line["name"],
            unit=line["unit"],
            quantity=Decimal(line["quantity"]),
            unit_cost=Decimal(line["unit_cost"]),
        )
        for line in tier["lines"]
    ]
    return PackageTier(tier["name"], tier["description"], lines)


def page(connection: Connection, wanted: Listing) -> Page[Package]:
    """One page of packages. Raises InvalidInputError for a foreign cursor."""
    values, place = rows.paged(wanted)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(LIST + rows.ORDERS[wanted.sort], values).fetchall()
    return paging.page([assembled(row) for row in found], wanted.limit, place)


INSERT: Final = """
insert into app.packages (id, name, description, preselected)
values (%(id)s, %(name)s, %(description)s, %(preselected)s)
"""
INSERT_TIERS: Final = """
insert into app.package_tiers (package_id, position, name, description)
select %(id)s, position, name, description
from jsonb_to_recordset(%(tiers)s) as tier (position smallint, name text, description text)
"""
INSERT_LINES: Final = """
insert into app.package_lines (package_id, tier, position, item_id, quantity)
select %(id)s, tier, position, item_id, quantity
from jsonb_to_recordset(%(lines)s)
    as line (tier smallint, position smallint, item_id uuid, quantity numeric)
"""


def create(connection: Connection, body: PackageCreate) -> Package:
    """Store a package. Raises ConflictError for a name that is taken, or InvalidInputError."""
    package_id = new_id()
    store(connection, package_id, body.model_dump(), (INSERT, INSERT_TIERS, INSERT_LINES))
    audit.record(connection, "package.created", package_id)
    return get(connection, package_id)


def store(
    connection: Connection,
    package_id: UUID,
    said: Mapping[str, Any],
    statements: tuple[LiteralString, ...],
) -> None:
    values = {**said, "id": package_id, **laid(said["tiers"])}
    try:
        for statement in statements:
            connection.execute(statement, values)
    except UniqueViolation as error:
        raise ConflictError(f"There is a package named {said['name']} already.") from error
    except ForeignKeyViolation as error:
        raise invalid("tiers.lines.item_id", "does not exist") from error


def laid(tiers: list[dict[str, Any]]) -> dict[str, Jsonb]:
    """Tiers and lines with their places, as the statements take them."""
    numbered = list(enumerate(tiers, start=1))
    lines = [
        {**line, "tier": number, "position": position}
        for number, tier in numbered
        for position, line in enumerate(tier["lines"], start=1)
    ]
    known = ("name", "description")
    places = [
        {"position": number} | {name: tier.get(name) for name in known} for number, tier in numbered
    ]
    return {"tiers": Jsonb(places), "lines": Jsonb(to_jsonable_python(lines))}


UPDATE: Final = """
update app.packages
set name = %(name)s, description = %(description)s, preselected = %(preselected)s,
    version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s
"""
DELETE_TIERS: Final = """
delete from app.package_tiers
where account_id = (select auth.account_id()) and package_id = %(id)s
"""


def change(
    connection: Connection, package_id: UUID, body: PackageChange, *, version: int
) -> Package:
    """Change a package; quotes keep their lines. Raises StaleVersionError or ConflictError."""
    found = one(connection, GET_FOR_UPDATE, package_id)
    if found.version != version:
        raise StaleVersionError
    said = body.said()
    values = asdict(found) | said
    if values["preselected"] > len(values["tiers"]):
        raise invalid("preselected", "is not one of the tiers")
    statements = (UPDATE, DELETE_TIERS, INSERT_TIERS, INSERT_LINES)
    store(connection, package_id, values, statements)
    audit.record(connection, "package.changed", package_id, {"fields": sorted(said)})
    return get(connection, package_id)


DELETE: Final = """
delete from app.packages
where account_id = (select auth.account_id()) and id = %(id)s
returning id
"""


def delete(connection: Connection, package_id: UUID) -> None:
    """Delete a package; the quotes it was put on keep their lines."""
    if connection.execute(DELETE, {"id": package_id}).fetchone() is None:
        raise NotFoundError("There is no such package.")
    audit.record(connection, "package.deleted", package_id)


def put_on_quote(connection: Connection, quote_id: UUID, body: PackageUse) -> Quote:
    """Add a package to a draft as a group of which its preselected tier is chosen.

    Raises ConflictError when the quote is no draft or has a group of that name."""
    found = repository.get(connection, quote_id, lock=True)
    service.require_draft(found.quote)
    package = used(connection, body.package_id)
    name = body.group or package.name
    draft = service.draft_of(found.quote)
    if any(line.group == name for line in draft.line_items):
        raise ConflictError(f"The quote has a group named {name} already; give another name.")
    changed = replace(draft, line_items=(*draft.line_items, *expanded(connection, package, name)))
    if len(changed.line_items) > MOST_LINES:
        raise invalid("package_id", f"a quote has {MOST_LINES} lines at most")
    lines, totals = service.price(changed)
    repository.update(connection, found, changed, lines, totals)
    details = {"package": str(package.id), "group": name}
    audit.record(connection, "quote.package_added", quote_id, details)
    return repository.get(connection, quote_id).quote


def used(connection: Connection, package_id: UUID) -> Package:
    try:
        return get(connection, package_id)
    except NotFoundError as error:
        raise invalid("package_id", "does not exist") from error


ITEMS: Final = """
select id, description, tax_rate from app.items
where account_id = (select auth.account_id()) and id = any(%(ids)s)
"""


def expanded(connection: Connection, package: Package, group: str) -> Iterator[DraftLine]:
    """The package as lines, each tier a choice; what the items say and cost today."""
    ids = list({line.item_id for tier in package.tiers for line in tier.lines})
    told = connection.execute(ITEMS, {"ids": ids}).fetchall()
    known = {item_id: (description, rate) for item_id, description, rate in told}
    for number, tier in enumerate(package.tiers, start=1):
        for line in tier.lines:
            description, tax_rate = known[line.item_id]
            yield DraftLine(
                name=line.name,
                quantity=line.quantity,
                unit_cost=line.unit_cost,
                item_id=line.item_id,
                description=description or "",
                unit=line.unit,
                tax_rate=tax_rate,
                optional=True,
                selected=number == package.preselected,
                group=group,
                choice=tier.name,
            )

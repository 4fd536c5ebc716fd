"""Properties: where a client's work is done."""

from typing import Final, LiteralString
from uuid import UUID

from psycopg.errors import CheckViolation, ForeignKeyViolation

from quotekit import audit
from quotekit.assessments import lists
from quotekit.assessments.model import Property
from quotekit.assessments.requests import PropertyChange, PropertyCreate, PropertyListing
from quotekit.catalog import rows
from quotekit.database import Connection
from quotekit.errors import ConflictError, InvalidInputError, invalid
from quotekit.identifiers import new_id
from quotekit.paging import Page

COLUMNS: Final[LiteralString] = """id, client_id, service_address,
    trim_scale(lot_area_sqft) as lot_area_sqft, trim_scale(lawn_area_sqft) as lawn_area_sqft,
    access, gate_code, notes, is_active, version, created_at, updated_at"""
INSERT: Final[LiteralString] = (
    """
insert into app.properties (id, client_id, service_address, lot_area_sqft, lawn_area_sqft, access,
    gate_code, notes, is_active)
values (%(id)s, %(client_id)s, %(service_address)s, %(lot_area_sqft)s, %(lawn_area_sqft)s,
    %(access)s, %(gate_code)s, %(notes)s, %(is_active)s)
returning """
    + COLUMNS
)


def create(connection: Connection, body: PropertyCreate) -> Property:
    """Store a property. Raises InvalidInputError for a client the account does not have."""
    try:
        found = rows.insert(connection, Property, INSERT, {"id": new_id(), **body.model_dump()})
    except ForeignKeyViolation as error:
        raise invalid("client_id", "does not exist") from error
    except CheckViolation as error:
        raise _larger_than_its_lot() from error
    audit.record(connection, "property.created", found.id)
    return found


def _larger_than_its_lot() -> InvalidInputError:
    return invalid("lawn_area_sqft", "is larger than lot_area_sqft")


GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.properties "
    "where account_id = (select auth.account_id()) and id = %(id)s"
)
GET_FOR_UPDATE: Final[LiteralString] = GET + " for update"


def get(connection: Connection, property_id: UUID) -> Property:
    return rows.get(connection, Property, GET, property_id)


LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.properties
where account_id = (select auth.account_id())
  and (%(client_id)s::uuid is null or client_id = %(client_id)s)
  and (%(is_active)s::boolean is null or is_active = %(is_active)s)"""
)


def page(connection: Connection, wanted: PropertyListing) -> Page[Property]:
    return lists.newest(connection, Property, LIST, wanted)


UPDATE: Final[LiteralString] = (
    """
update app.properties
set service_address = %(service_address)s, lot_area_sqft = %(lot_area_sqft)s,
    lawn_area_sqft = %(lawn_area_sqft)s, access = %(access)s, gate_code = %(gate_code)s,
    notes = %(notes)s, is_active = %(is_active)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(
    connection: Connection, property_id: UUID, body: PropertyChange, *, version: int
) -> Property:
    """Change a property. Raises StaleVersionError or InvalidInputError."""
    found = get(connection, property_id)
    try:
        return rows.update(connection, found, UPDATE, body, version=version)
    except CheckViolation as error:
        raise _larger_than_its_lot() from error


ASSESSED: Final = """
select from app.assessments
where account_id = (select auth.account_id()) and property_id = %(id)s limit 1
"""
DELETE: Final = """
delete from app.properties where account_id = (select auth.account_id()) and id = %(id)s
"""


def delete(connection: Connection, property_id: UUID) -> None:
    """Delete a property that was never assessed. Raises ConflictError for another."""
    rows.get(connection, Property, GET_FOR_UPDATE, property_id)  # now none can be added
    if connection.execute(ASSESSED, {"id": property_id}).fetchone() is not None:
        raise ConflictError("This property has assessments.")
    connection.execute(DELETE, {"id": property_id})
    audit.record(connection, "property.deleted", property_id)

"""Assessments: what was found at a property, and how far the work on that is."""

from typing import Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.errors import ForeignKeyViolation

from quotekit import audit
from quotekit.assessments import lists
from quotekit.assessments.model import Assessment
from quotekit.assessments.requests import AssessmentChange, AssessmentCreate, AssessmentListing
from quotekit.catalog import rows
from quotekit.database import Connection
from quotekit.errors import ConflictError, invalid
from quotekit.identifiers import new_id
from quotekit.paging import Page
from quotekit.refusals import translated

COLUMNS: Final[LiteralString] = """assessments.id, property_id, status, scheduled_for,
    trim_scale(area_sqft) as area_sqft, lawn_condition, soil_condition,
    trim_scale(weed_percent) as weed_percent, complexity,
    trim_scale(slope_percent) as slope_percent, access, obstacle_count, has_irrigation, priority,
    trim_scale(markup_rate) as markup_rate, trim_scale(manual_estimate) as manual_estimate, notes,
    completed_at, version, created_at, updated_at,
    (select link.quote_id from app.assessment_quotes as link
     where link.account_id = assessments.account_id and link.assessment_id = assessments.id)
    as quote_id"""
INSERT: Final[LiteralString] = (
    """
insert into app.assessments (id, property_id, scheduled_for, area_sqft, lawn_condition,
    soil_condition, weed_percent, complexity, slope_percent, access, obstacle_count,
    has_irrigation, priority, markup_rate, manual_estimate, notes)
values (%(id)s, %(property_id)s, %(scheduled_for)s, %(area_sqft)s, %(lawn_condition)s,
    %(soil_condition)s, %(weed_percent)s, %(complexity)s, %(slope_percent)s, %(access)s,
    %(obstacle_count)s, %(has_irrigation)s, %(priority)s, %(markup_rate)s, %(manual_estimate)s,
    %(notes)s)
returning """
    + COLUMNS
)


def create(connection: Connection, body: AssessmentCreate) -> Assessment:
    """Store an assessment. Raises InvalidInputError for a property the account does not have."""
    try:
        found = rows.insert(connection, Assessment, INSERT, {"id": new_id(), **body.model_dump()})
    except ForeignKeyViolation as error:
        raise invalid("property_id", "does not exist") from error
    audit.record(connection, "assessment.created", found.id)
    return found


GET: Final[LiteralString] = (
    "select " + COLUMNS + " from app.assessments "
    "where account_id = (select auth.account_id()) and id = %(id)s"
)


def get(connection: Connection, assessment_id: UUID) -> Assessment:
    return rows.get(connection, Assessment, GET, assessment_id)


LOCK: Final = """
select from app.assessments
where account_id = (select auth.account_id()) and id = %(id)s for update
"""


def hold(connection: Connection, assessment_id: UUID) -> Assessment:
    """One assessment that nobody else changes or quotes until the commit.

    Its quote is looked for after the lock is had, so that it is the one a twin may have made."""
    connection.execute(LOCK, {"id": assessment_id})
    return get(connection, assessment_id)


LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.assessments
where account_id = (select auth.account_id())
  and (%(property_id)s::uuid is null or property_id = %(property_id)s)
  and (%(status)s::text is null or status = %(status)s)
  and (%(quote_id)s::uuid is null or id in (
      select link.assessment_id from app.assessment_quotes as link
      where link.account_id = (select auth.account_id()) and link.quote_id = %(quote_id)s))"""
)


def page(connection: Connection, wanted: AssessmentListing) -> Page[Assessment]:
    return lists.newest(connection, Assessment, LIST, wanted)


UPDATE: Final[LiteralString] = (
    """
update app.assessments
set status = %(status)s, scheduled_for = %(scheduled_for)s, area_sqft = %(area_sqft)s,
    lawn_condition = %(lawn_condition)s, soil_condition = %(soil_condition)s,
    weed_percent = %(weed_percent)s, complexity = %(complexity)s,
    slope_percent = %(slope_percent)s, access = %(access)s, obstacle_count = %(obstacle_count)s,
    has_irrigation = %(has_irrigation)s, priority = %(priority)s, markup_rate = %(markup_rate)s,
    manual_estimate = %(manual_estimate)s, notes = %(notes)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(
    connection: Connection, assessment_id: UUID, body: AssessmentChange, *, version: int
) -> Assessment:
    """Change an assessment; its quote keeps what was found before.

    Raises StaleVersionError, or ConflictError for a step of status that there is not."""
    found = get(connection, assessment_id)
    try:
        return rows.update(connection, found, UPDATE, body, version=version)
    except psycopg.DatabaseError as error:
        raise translated(error) from error


DELETE: Final = """
delete from app.assessments where account_id = (select auth.account_id()) and id = %(id)s
"""


def delete(connection: Connection, assessment_id: UUID) -> None:
    """Delete an assessment that no quote was made of. Raises ConflictError for another."""
    if hold(connection, assessment_id).quote_id is not None:
        raise ConflictError("A quote was made of this assessment.")
    connection.execute(DELETE, {"id": assessment_id})
    audit.record(connection, "assessment.deleted", assessment_id)

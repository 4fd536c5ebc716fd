"""Pages of what this package keeps, the newest first."""

from datetime import datetime
from typing import Final, LiteralString

from psycopg.rows import class_row

from quotekit import paging
from quotekit.assessments.model import Assessment, Property
from quotekit.assessments.requests import Listing
from quotekit.database import Connection
from quotekit.paging import Page

# What a list ends with, behind its own conditions.
NEWEST: Final[LiteralString] = """
  and (%(after_id)s::uuid is null or (created_at, id) < (%(after)s::timestamptz, %(after_id)s))
order by created_at desc, id desc limit %(limit)s"""


def newest[T: (Property, Assessment)](
    connection: Connection, kind: type[T], statement: LiteralString, wanted: Listing
) -> Page[T]:
    """One page of a list. Raises InvalidInputError for a foreign cursor."""
    after, after_id = paging.decode(wanted.cursor, datetime.fromisoformat)
    place = {"after": after, "after_id": after_id, "limit": wanted.limit + 1}
    with connection.cursor(row_factory=class_row(kind)) as rows:
        found = rows.execute(statement + NEWEST, wanted.model_dump() | place).fetchall()
    return paging.page(found, wanted.limit, lambda row: (row.created_at, row.id))

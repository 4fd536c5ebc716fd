"""What arrived at a tenant's endpoint, for the tenant to read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from psycopg.rows import class_row
from pydantic import Field, StringConstraints

from quotekit import paging
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.paging import Page
from quotekit.webhooks import endpoints

MOST_OF_A_PAGE: Final = 1_000_000  # bytes of bodies
LARGEST: Final = 2_900_000  # twice that, every character escaped, is what a function may answer
NOT_HERE: Final = "null where a page would be too large: read the event by itself"
TOO_LARGE: Final = "the body is larger than an answer can be"


class Asked(Body):
    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """`event_id` is the sender's; `body` is exactly what he signed."""

    id: UUID
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    bytes: int
    body: str | None
    reason: str | None


COLUMNS: Final = "id, event_id, type, occurred_at, received_at, bytes"
PAGE: Final = f"""
select {COLUMNS}, case when fits then body end as body,
       case when not fits then %(not_here)s end as reason
from (
    select {COLUMNS}, body, sum(bytes) over (order by id desc) <= %(most)s as fits
    from (
        select id, event_id, type, occurred_at, received_at, octet_length(body) as bytes, body
        from app.webhook_inbox
        where account_id = (select auth.account_id()) and endpoint_id = %(endpoint_id)s
          and (%(after)s::uuid is null or id < %(after)s)
        order by id desc limit %(limit)s
    ) as newest
) as page
order by id desc
"""


def list_arrivals(connection: Connection, endpoint_id: UUID, asked: Asked) -> Page[Arrival]:
    """The newest first. What came to an endpoint that was removed is there for its time. Raises
    NotFoundError for an endpoint the caller never had."""
    _, after = paging.decode(asked.cursor, str)
    values = {
        "endpoint_id": endpoint_id,
        "after": after,
        "limit": asked.limit + 1,
        "most": MOST_OF_A_PAGE,
        "not_here": NOT_HERE,
    }
    with connection.cursor(row_factory=class_row(Arrival)) as cursor:
        found = cursor.execute(PAGE, values).fetchall()
    if not found:
        endpoints.get_endpoint(connection, endpoint_id)
    return paging.page(found, asked.limit, lambda row: ("", row.id))


GET: Final = """
select id, event_id, type, occurred_at, received_at, octet_length(body) as bytes,
       case when octet_length(body) <= %(largest)s then body end as body,
       case when octet_length(body) > %(largest)s then %(too_large)s end as reason
from app.webhook_inbox
where account_id = (select auth.account_id()) and endpoint_id = %(endpoint_id)s and id = %(id)s
"""


def get_arrival(connection: Connection, endpoint_id: UUID, arrival_id: UUID) -> Arrival:
    """Raises NotFoundError."""
    values = {
        "endpoint_id": endpoint_id,
        "id": arrival_id,
        "largest": LARGEST,
        "too_large": TOO_LARGE,
    }
    with connection.cursor(row_factory=class_row(Arrival)) as cursor:
        found = cursor.execute(GET, values).fetchone()
    if found is None:
        raise NotFoundError
    return found

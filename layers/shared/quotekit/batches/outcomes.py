"""What became of each item: by pages, or all of them as lines of JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from quotekit import paging
from quotekit.batches.model import LARGEST_CHUNK, SUCCEEDED
from quotekit.batches.requests import ItemListing, ItemStatus
from quotekit.database import Connection
from quotekit.errors import NotFoundError, invalid
from quotekit.paging import Page

TOGETHER: Final = 10  # chunks read at a time


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item of a batch and what became of it.

    `position` counts from 1 through the batch; `line` is where it begins in the upload. `item` is
    as it was understood, or the beginning of a line that was not."""

    position: int
    line: int | None
    status: ItemStatus
    code: str | None
    message: str | None
    data: Mapping[str, Any] | None
    item: Any


ITEMS: Final[LiteralString] = """
select chunk.first_position + one.place - 1 as position, one.line, case
        when known.code is null then 'pending' when known.code = 'skipped' then 'skipped'
        when known.code = any(%(fine)s) then 'succeeded' else 'failed' end as status,
    known.code, one.result ->> 'message' as message, one.result -> 'data' as data, one.item
from app.batch_chunks as chunk
cross join lateral rows from (
    jsonb_array_elements(chunk.items), jsonb_array_elements(chunk.results), unnest(chunk.lines)
) with ordinality as one (item, result, line, place)
cross join lateral (select one.result ->> 'code') as known (code)
where chunk.account_id = (select auth.account_id()) and chunk.job_id = %(job_id)s
"""
# Only chunks that the page can need are opened, by the counts beside them.
PAGE: Final[LiteralString] = f"""
with counted as (
    select number, case %(status)s::text when 'succeeded' then succeeded when 'failed' then failed
        when 'skipped' then skipped when 'pending' then size - succeeded - failed - skipped
        else size end as items
    from app.batch_chunks
    where account_id = (select auth.account_id()) and job_id = %(job_id)s
      and first_position + size > %(after)s + 1
), summed as (
    select number, sum(items) over (order by number) - items as before
    from counted where items > 0
)
select * from (
    {ITEMS} and chunk.number = any(array(
        select number from summed where before < %(limit)s + %(largest)s))
) as found
where position > %(after)s and (%(status)s::text is null or status = %(status)s)
order by position limit %(limit)s
"""


def page(connection: Connection, job_id: UUID, wanted: ItemListing) -> Page[Outcome]:
    """One page of a batch's items. Raises NotFoundError, InvalidInputError for a foreign cursor."""
    after, of_job = paging.decode(wanted.cursor, int)
    if of_job not in {None, job_id}:
        raise invalid("cursor", "is not a cursor of this list")
    values = about(job_id, wanted.status) | {"after": after or 0, "limit": wanted.limit + 1}
    values["largest"] = LARGEST_CHUNK  # items of the first chunk may lie before the page
    with connection.cursor(row_factory=class_row(Outcome)) as cursor:
        found = cursor.execute(PAGE, values).fetchall()
    if not found:
        require_job(connection, job_id)
    return paging.page(found, wanted.limit, lambda row: (row.position, job_id))


def about(job_id: UUID, status: ItemStatus | None) -> dict[str, Any]:
    return {"job_id": job_id, "status": status, "fine": sorted(SUCCEEDED)}


KNOWN: Final = """
select true from app.batch_jobs where account_id = (select auth.account_id()) and id = %(job_id)s
"""


def require_job(connection: Connection, job_id: UUID) -> None:
    if connection.execute(KNOWN, {"job_id": job_id}).fetchone() is None:
        raise NotFoundError("There is no such batch.")


LINES: Final[LiteralString] = f"""
select string_agg(row_to_json(found)::text, E'\\n' order by position)
    filter (where %(status)s::text is null or status = %(status)s)
from (
    {ITEMS} and chunk.number >= %(number)s and chunk.number < %(number)s + %(together)s
) as found
"""
MOST: Final = "select coalesce(max(number), -1) from app.batch_chunks where job_id = %(job_id)s"


def lines(connection: Connection, job_id: UUID, status: ItemStatus | None) -> Iterator[bytes]:
    """Every item as NDJSON, some chunks at a time, each as it is when it is read."""
    require_job(connection, job_id)
    (last,) = connection.execute(MOST, {"job_id": job_id}).fetchone() or (-1,)
    for number in range(0, last + 1, TOGETHER):
        values = about(job_id, status) | {"number": number, "together": TOGETHER}
        row = connection.execute(LINES, values).fetchone()
        if row and row[0]:
            yield f"{row[0]}\n".encode()

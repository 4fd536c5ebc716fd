"""How many items go into a chunk: about two seconds' worth."""

from typing import Final
from uuid import UUID

from quotekit.batches.model import LARGEST_CHUNK, SMALLEST_CHUNK, TARGET, Operation
from quotekit.database import Connection

# Of the account's last jobs, as far as it takes to be a measure.
MEASURED: Final = """
select (sum(chunk.milliseconds) / sum(chunk.size))::float8
from (
    select id from app.batch_jobs
    where account_id = %(account_id)s and operation = %(operation)s and started_at is not null
    order by created_at desc, id desc limit 3
) as job
cross join lateral (
    select milliseconds, size from app.batch_chunks
    where job_id = job.id and state = 'done' and milliseconds > 0
    order by number limit 10
) as chunk
"""


def chunk_size(connection: Connection, account_id: UUID, operation: Operation) -> int:
    """From what this operation's items took lately; from what was thought before any did."""
    values = {"account_id": account_id, "operation": operation.name}
    (measured,) = connection.execute(MEASURED, values).fetchone() or (None,)
    return fitting(measured or operation.milliseconds)


def fitting(milliseconds: float) -> int:
    return max(SMALLEST_CHUNK, min(LARGEST_CHUNK, round(TARGET / milliseconds)))

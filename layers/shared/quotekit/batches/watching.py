"""How long batches wait that could go on: what tells a stuck house from a busy one."""

from typing import Final

from quotekit.database import Connection

# A job is waited for since it could go on, or since it was last touched; not while it rests.
OLDEST: Final = """
select coalesce(max(extract(epoch from clock_timestamp() - waiting.since)), 0)::float8
from (
    select greatest(job.updated_at, next.due_at, job.awaited_until, latest.finished_at) as since
    from app.batch_jobs as job
    cross join lateral (
        select due_at from app.batch_chunks
        where job_id = job.id and state <> 'done' and due_at <= clock_timestamp()
        order by number limit 1
    ) as next
    cross join lateral (
        select max(finished_at) as finished_at from app.batch_chunks where job_id = job.id
    ) as latest
    where job.status in ('pending', 'running') and not exists (
        select from app.batch_chunks
        where job_id = job.id and state = 'running' and leased_until > clock_timestamp())
    union all
    select greatest(updated_at, leased_until) from app.batch_jobs
    where status in ('preparing', 'finishing', 'cancelling', 'stopping')
      and (leased_until is null or leased_until <= clock_timestamp())
) as waiting
where waiting.since <= clock_timestamp()
"""


def longest_wait(connection: Connection) -> float:
    """Seconds that the batch has waited which has waited longest; 0 when none does."""
    (seconds,) = connection.execute(OLDEST).fetchone() or (0.0,)
    return float(seconds)

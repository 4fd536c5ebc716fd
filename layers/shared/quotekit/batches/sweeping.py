"""What makes up for dead workers and lost tickets, and lets go of what was kept long enough."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from quotekit import database, outbox
from quotekit.batches import settling, tickets
from quotekit.batches.model import Priority
from quotekit.connection import Actor
from quotekit.database import SERVICE, Connection
from quotekit.outbox import Promise
from quotekit.settings import batch_settings

REAP: Final = """
update app.batch_chunks as chunk
set state = 'pending', lease = null, leased_until = null, failures = failures + 1,
    error = 'Its worker was lost.'
from (
    select job_id, number from app.batch_chunks
    where state = 'running' and leased_until < clock_timestamp()
    limit 1000 for no key update skip locked
) as lost
where chunk.job_id = lost.job_id and chunk.number = lost.number
"""


def reap() -> int:
    """Take the leases of workers that died off their chunks; how many."""
    with database.transaction(SERVICE) as connection:
        return connection.execute(REAP).rowcount


OVER: Final = """
select id from app.batch_jobs as job
where finished_at is null and status not in ('preparing', 'finishing')
  and (leased_until is null or leased_until < clock_timestamp())
  and (status in ('cancelling', 'stopping') or not exists (
      select from app.batch_chunks where job_id = job.id and state <> 'done'))
order by created_at limit 100
"""


def settle_all() -> int:
    """Settle what nobody settled; how many jobs came to another state."""
    with database.reading(SERVICE) as connection:
        over = [row[0] for row in connection.execute(OVER)]
    return sum(settling.settle(job_id) is not None for job_id in over)


# Of each priority as many tickets as it has free work, but no more than a job's own would be.
WAITING: Final = """
with free as (
    select job.priority, job.id, job.account_id, job.created_by, job.created_at
    from app.batch_jobs as job cross join lateral (
        select from app.batch_chunks as chunk
        where chunk.job_id = job.id and job.status in ('pending', 'running')
          and chunk.state = 'pending' and chunk.due_at <= clock_timestamp()
        limit %(most)s
    ) as work
    where job.status in ('pending', 'running')
      and (job.awaited_until is null or job.awaited_until < clock_timestamp())
    union all
    select job.priority, job.id, job.account_id, job.created_by, job.created_at
    from app.batch_jobs as job
    where job.status in ('preparing', 'finishing')
      and (job.leased_until is null or job.leased_until < clock_timestamp())
), busy as (
    select job.priority, count(*) as leases
    from app.batch_chunks as chunk join app.batch_jobs as job on job.id = chunk.job_id
    where chunk.state = 'running' and chunk.leased_until > clock_timestamp()
    group by job.priority
), ranked as (
    select free.*, row_number() over (partition by priority order by created_at, id) as place
    from free
)
select ranked.priority, ranked.id, ranked.account_id, ranked.created_by, count(*)
from ranked left join busy on busy.priority = ranked.priority
where ranked.place <= %(most)s - coalesce(busy.leases, 0)
group by ranked.priority, ranked.id, ranked.account_id, ranked.created_by
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that has work and too few workers."""

    priority: Priority
    id: UUID
    account_id: UUID
    created_by: UUID
    count: int

    @property
    def actor(self) -> Actor:
        claims = {"sub": str(self.created_by), "account_id": str(self.account_id)}
        return Actor("service_role", {"role": "service_role", **claims})


def waiting(connection: Connection) -> list[Waiting]:
    return [Waiting(*row) for row in connection.execute(WAITING, {"most": tickets.MOST})]


def wake() -> int:
    """Send tickets for work that no worker is at; how many."""
    with database.reading(SERVICE) as connection:
        found = waiting(connection)
    promises: list[Promise] = []
    for one in found:
        with database.transaction(one.actor) as connection:
            promises += tickets.promise(connection, one.id, one.priority, one.count)
    return outbox.deliver(promises)


FORGET: Final = """
delete from app.batch_jobs where id in (
    select id from app.batch_jobs
    where finished_at < now() - make_interval(days => %(days)s)
    order by finished_at limit 100 for update skip locked)
"""
FORGET_UPLOADS: Final = """
delete from app.batch_uploads as upload where id in (
    select id from app.batch_uploads as candidate
    where expires_at < now() - interval '1 day' and not exists (
        select from app.batch_jobs as job
        where job.account_id = candidate.account_id and job.upload_id = candidate.id)
    limit 1000 for update skip locked)
"""


def forget() -> int:
    """Delete batches that are over for long, and uploads nobody used; how many batches.

    Their objects go by the bucket's own rules."""
    with database.transaction(SERVICE) as connection:
        deleted = connection.execute(FORGET, {"days": batch_settings().retention_days}).rowcount
        connection.execute(FORGET_UPLOADS)
    return deleted


@dataclass(frozen=True, slots=True)
class Swept:
    leases: int
    settled: int
    tickets: int
    forgotten: int


def sweep() -> Swept:
    """Everything, once a minute."""
    return Swept(reap(), settle_all(), wake(), forget())

"""When a job begins and when it is over, what it came to, and who is told."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import database, outbox
from quotekit.batches import notices
from quotekit.batches.claims import Claim
from quotekit.batches.model import FINAL, Result, Status
from quotekit.batches.operations import OPERATIONS
from quotekit.database import SERVICE, Connection
from quotekit.outbox import Promise

SKIPPED_TOGETHER: Final = 100  # chunks

START: Final = """
update app.batch_jobs set status = 'running', started_at = coalesce(started_at, now())
where id = %(id)s and status = 'pending'
"""


def start(connection: Connection, claim: Claim) -> list[Promise]:
    """Note that a job runs, and tell whom it concerns when it did not before."""
    found = connection.execute(START, {"id": claim.id}).rowcount
    return notices.promise(connection, claim.id, claim.account_id, "started") if found else []


@dataclass(frozen=True, slots=True)
class Settled:
    """A job that has just come to another state."""

    id: UUID
    account_id: UUID
    status: Status
    notifies: bool


END: Final = """
update app.batch_jobs as job
set status = ended.status, lease = null, leased_until = null,
    total = coalesce(job.total, ended.total),
    finished_at = case when ended.status = 'finishing' then null else clock_timestamp() end
from (
    select known.id, counted.total, case
        when known.status = 'cancelling' then 'cancelled'
        when known.status = 'stopping' then 'failed'
        when known.operation = any(%(finishing)s) and not known.dry_run then 'finishing'
        when counted.failed > 0 then 'completed_with_errors' else 'completed' end as status
    from app.batch_jobs as known cross join lateral (
        select coalesce(sum(size), 0) as total, coalesce(sum(failed), 0) as failed
        from app.batch_chunks where job_id = known.id
    ) as counted
    where known.id = %(id)s
      and known.status in ('pending', 'running', 'paused', 'cancelling', 'stopping')
      and (known.leased_until is null or known.leased_until < clock_timestamp())
      and not exists (select from app.batch_chunks where job_id = known.id and state <> 'done')
    for no key update of known
) as ended
where job.id = ended.id
returning job.id, job.account_id, job.status, job.notify_url is not null as notifies
"""


def end(job_id: UUID) -> Settled | None:
    """Let a job end when none of its items is pending; in a transaction after their commit, so
    that of two who come last one sees that all is done."""
    finishing = [operation.name for operation in OPERATIONS.values() if operation.finish]
    return _change(END, {"id": job_id, "finishing": finishing})


def _change(query: Any, values: dict[str, Any]) -> Settled | None:  # noqa: ANN401 - a constant
    """Change a job's state, and tell whom it concerns when that is its last."""
    promises: list[Promise] = []
    with database.transaction(SERVICE) as connection:
        with connection.cursor(row_factory=class_row(Settled)) as cursor:
            settled = cursor.execute(query, values).fetchone()
        if settled and settled.notifies and settled.status in FINAL:
            promises = announce(connection, settled.id, settled.account_id, settled.status)
    outbox.deliver(promises)
    return settled


def announce(
    connection: Connection, job_id: UUID, account_id: UUID, status: Status
) -> list[Promise]:
    event: notices.Event = "failed" if status == "failed" else "finished"
    return notices.promise(connection, job_id, account_id, event)


SKIP: Final = "select app.skip_batch_v1(%(id)s, %(most)s)"


def settle(job_id: UUID) -> Settled | None:
    """End a job, where it was cancelled or stopped by skipping what nobody works at."""
    values = {"id": job_id, "most": SKIPPED_TOGETHER}
    skipped = SKIPPED_TOGETHER
    while skipped == SKIPPED_TOGETHER:
        with database.transaction(SERVICE) as connection:
            (skipped,) = connection.execute(SKIP, values).fetchone() or (0,)
    return end(job_id)


ENDING: Final = """
select status in ('cancelling', 'stopping') from app.batch_jobs where id = %(id)s
"""


def is_ending(job_id: UUID) -> bool:
    """Whether a job was cancelled or stopped and has not ended yet."""
    with database.reading(SERVICE) as connection:
        row = connection.execute(ENDING, {"id": job_id}).fetchone()
    return row is not None and row[0]


STOP: Final = """
update app.batch_jobs as job
set status = 'stopping',
    error = format('More than %%s %%%% of the items failed.', trim_scale(stop_on_error_percent))
where id = %(id)s and status in ('pending', 'running') and app.batch_fails_v1(job)
"""


def after_slice(claim: Claim) -> None:
    """Stop the job if too many items failed; tell how far it is, where somebody wants to know."""
    if not (claim.stops or claim.notifies):
        return
    with database.transaction(SERVICE) as connection:
        if claim.stops:
            connection.execute(STOP, {"id": claim.id})
        promises = notices.promise(connection, claim.id, claim.account_id, "progress")
    outbox.deliver(promises)


FINISH: Final = """
update app.batch_jobs as job
set status = case when exists (
        select from app.batch_chunks where job_id = job.id and failed > 0)
    then 'completed_with_errors' else 'completed' end,
    result_key = %(key)s, result_bytes = %(bytes)s, result_type = %(type)s, lease = null,
    leased_until = null, finished_at = clock_timestamp()
where id = %(id)s and lease = %(lease)s and status = 'finishing'
returning id, account_id, status, notify_url is not null as notifies
"""


def finish(claim: Claim, result: Result) -> Settled | None:
    """Note a job's result; None where another has taken the job over."""
    values = {
        "id": claim.id,
        "lease": claim.lease,
        "key": result.key,
        "bytes": result.bytes,
        "type": result.type,
    }
    return _change(FINISH, values)


FAIL: Final = """
update app.batch_jobs
set status = 'failed', error = left(%(error)s, 2000), lease = null, leased_until = null,
    finished_at = clock_timestamp()
where id = %(id)s and lease = %(lease)s and status in ('preparing', 'finishing')
returning id, account_id, status, notify_url is not null as notifies
"""


def fail(claim: Claim, error: str) -> Settled | None:
    """Give a job up that can be neither prepared nor finished."""
    return _change(FAIL, {"id": claim.id, "lease": claim.lease, "error": error})


REFUSED: Final = "select true from app.batch_jobs where id = %(id)s and status = 'failed'"


def announce_refused(claim: Claim) -> None:
    """Tell whom it concerns that a job's upload was refused."""
    if not claim.notifies:
        return
    with database.transaction(SERVICE) as connection:
        refused = connection.execute(REFUSED, {"id": claim.id}).fetchone()
        promises = announce(connection, claim.id, claim.account_id, "failed") if refused else []
    outbox.deliver(promises)


PARTS: Final = """
select part.key
from app.batch_chunks as chunk, unnest(chunk.parts) with ordinality as part (key, place)
where chunk.job_id = %(id)s
order by chunk.number, part.place
"""


def parts(connection: Connection, job_id: UUID) -> list[str]:
    """Of what a job's result is put together, in order."""
    return [row[0] for row in connection.execute(PARTS, {"id": job_id})]

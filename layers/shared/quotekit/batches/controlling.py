"""Cancelling, pausing, resuming and retrying batches: only from states that allow it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from quotekit import audit
from quotekit.batches import repository, tickets
from quotekit.batches.model import SUCCEEDED, Status
from quotekit.batches.repository import Held, Job
from quotekit.connection import Actor
from quotekit.database import Connection
from quotekit.errors import ConflictError
from quotekit.outbox import Promise

CANCELLABLE: Final = frozenset({"preparing", "pending", "running", "paused", "finishing"})
PAUSABLE: Final = frozenset({"pending", "running"})
RETRIABLE: Final = frozenset({"completed_with_errors", "failed"})

SET_STATUS: Final = "update app.batch_jobs set status = %(status)s where id = %(id)s"


@dataclass(slots=True)
class Control:
    """One request to change how a batch goes on; `promises` are for the outbox to deliver after
    the commit. What is so already stays so, and is no error."""

    promises: list[Promise] = field(default_factory=list)

    def cancel(self, connection: Connection, job_id: UUID) -> Job:
        """Begin no further item; what was done stays done. Raises ConflictError."""
        held = repository.hold(connection, job_id)
        if held.status not in {"cancelling", "cancelled"}:
            require(held, CANCELLABLE, "cancelled")
            self.change(connection, held, "cancelling", "batch.cancelled")
            self.wake(connection, held, 1)
        return repository.get(connection, job_id)

    def pause(self, connection: Connection, job_id: UUID) -> Job:
        """Begin no further item until it is resumed. Raises ConflictError."""
        held = repository.hold(connection, job_id)
        if held.status != "paused":
            require(held, PAUSABLE, "paused")
            self.change(connection, held, "paused", "batch.paused")
        return repository.get(connection, job_id)

    def resume(self, connection: Connection, job_id: UUID) -> Job:
        """Go on where it was paused. Raises ConflictError."""
        held = repository.hold(connection, job_id)
        require(held, {"paused"}, "resumed")
        before: Status = "running" if held.started_at else "pending"
        self.change(connection, held, before, "batch.resumed")
        self.wake(connection, held, tickets.MOST)
        return repository.get(connection, job_id)

    def retry(self, connection: Connection, job_id: UUID, actor: Actor, *, skipped: bool) -> Job:
        """Give failed items another try, and those that were not begun because too many failed.

        Lines of an upload that were refused stay refused. Raises ConflictError."""
        held = repository.hold(connection, job_id)
        require(held, RETRIABLE, "retried")
        audit.record(connection, "batch.retried", job_id, {"skipped": skipped})
        connection.become(Actor("service_role", actor.claims))
        values = {"id": job_id, "fine": sorted(SUCCEEDED), "skipped": skipped}
        again = connection.execute(RETRY, values).rowcount
        if not again:
            raise ConflictError("No item of it failed that could be tried again.")
        connection.execute(RUN, {"id": job_id})
        self.wake(connection, held, again)
        connection.become(actor)
        return repository.get(connection, job_id)

    def change(self, connection: Connection, held: Held, status: Status, action: str) -> None:
        connection.defer(SET_STATUS, {"id": held.id, "status": status})
        audit.record(connection, action, held.id, {"from": held.status})

    def wake(self, connection: Connection, held: Held, count: int) -> None:
        self.promises += tickets.promise(connection, held.id, held.priority, count)


def require(held: Held, allowed: Collection[str], verb: str) -> None:
    if held.status not in allowed:
        status = held.status.replace("_", " ")
        raise ConflictError(f"A batch that is {status} cannot be {verb}.")


# A text among the items is a line that was refused: it is never tried.
RETRY: Final = """
with known as (
    select chunk.number, one.place, one.result, one.result ->> 'code' as code,
        jsonb_typeof(one.item) as type
    from app.batch_chunks as chunk
    cross join lateral rows from (
        jsonb_array_elements(chunk.items), jsonb_array_elements(chunk.results)
    ) with ordinality as one (item, result, place)
    where chunk.job_id = %(id)s and (chunk.failed > 0 or %(skipped)s and chunk.skipped > 0)
), decided as (
    select number, place, result, code, type <> 'string' and code <> all(%(fine)s)
        and (%(skipped)s or code <> 'skipped') as again
    from known
), fresh as (
    select number, jsonb_agg(case when again then 'null' else result end order by place) as results,
        count(*) filter (where not again and code = 'skipped') as skipped,
        count(*) filter (where not again and code <> 'skipped' and code <> all(%(fine)s)) as failed
    from decided group by number having bool_or(again)
), tallied as (
    select number, jsonb_object_agg(code, items) as tallies
    from (
        select number, code, count(*) as items from decided where not again group by number, code
    ) as counted
    group by number
)
update app.batch_chunks as chunk
set state = 'pending', results = fresh.results, failed = fresh.failed, skipped = fresh.skipped,
    tallies = coalesce(tallied.tallies, '{}'), failures = 0, error = null, due_at = now(),
    lease = null, leased_until = null, started_at = null, finished_at = null
from fresh left join tallied on tallied.number = fresh.number
where chunk.job_id = %(id)s and chunk.number = fresh.number
"""
RUN: Final = """
update app.batch_jobs
set status = 'running', retries = retries + 1, finished_at = null, error = null, failures = 0,
    result_key = null, result_bytes = null, result_type = null, announced_at = null
where id = %(id)s
"""

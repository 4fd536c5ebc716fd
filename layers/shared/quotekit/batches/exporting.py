"""Asking for all an account has: a batch with a part for every couple of thousand rows."""

from dataclasses import dataclass, field

from quotekit import auth
from quotekit.auth import Principal
from quotekit.batches import parts, service
from quotekit.batches.repository import Job
from quotekit.batches.requests import BatchCreate
from quotekit.database import Actor, Connection
from quotekit.outbox import Promise

NAME = "export_account"


@dataclass(slots=True)
class Export:
    """One call for an export; `promises` are for the outbox to deliver after the commit."""

    by: Principal
    promises: list[Promise] = field(default_factory=list)

    def submit(self, connection: Connection) -> Job:
        """Lay the batch down. Raises ForbiddenError for who does not manage the account."""
        auth.require_manager(connection)
        connection.become(Actor("service_role", self.by.actor.claims))  # it knows every table
        planned = parts.plan(connection, self.by.account_id)
        connection.become(self.by.actor)
        first, *_ = said = [part.model_dump(mode="json") for part in planned]
        submission = service.submission(
            BatchCreate(operation=NAME, items=[first]), self.by.account_id
        )
        submission.items = service.checked_items(submission.operation, said)
        job = submission.submit(connection)
        self.promises += submission.promises
        return job

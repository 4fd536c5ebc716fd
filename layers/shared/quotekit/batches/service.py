"""Submitting batches: checked whole, stored with their chunks in one transaction, or not at all."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from quotekit import audit, auth
from quotekit.batches import repository, sizing, tickets, uploads
from quotekit.batches.checking import Checker, findings
from quotekit.batches.model import Operation
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.repository import Job
from quotekit.batches.requests import BatchCreate
from quotekit.database import Connection
from quotekit.errors import ConflictError, ForbiddenError, InvalidInputError, invalid
from quotekit.identifiers import new_id
from quotekit.outbox import Promise

MOST_TOLD: Final = 100  # of what is wrong with a request


@dataclass(slots=True)
class Submission:
    """One request for a batch, checked; `promises` are for the outbox to deliver after the commit.

    `upload_etag` is null for an upload that a job uses already."""

    body: BatchCreate
    operation: Operation
    parameters: dict[str, Any]
    items: list[str]
    account_id: UUID
    upload_etag: str | None = None
    promises: list[Promise] = field(default_factory=list)

    def submit(self, connection: Connection) -> Job:
        """Store the job and promise its tickets; the job there is, for a dedupe_key known already.

        Raises ForbiddenError or ConflictError."""
        twin = self.twin(connection)
        if twin is not None:
            return repository.get(connection, twin)
        permit(connection, self.operation)
        size = sizing.chunk_size(connection, self.account_id, self.operation)
        job_id = self.store(connection, size)
        if job_id is None:
            return repository.get(connection, self.other(connection))
        audit.record(connection, "batch.created", job_id, self.details)
        chunks = -(-len(self.items) // size) or 1
        self.promises += tickets.promise(connection, job_id, self.body.options.priority, chunks)
        return repository.get(connection, job_id)

    def store(self, connection: Connection, size: int) -> UUID | None:
        if self.body.upload and self.upload_etag is None:
            return None
        values = self.values | chunked(self.items, size)
        row = connection.execute(INSERT, values).fetchone()
        return None if row is None else row[0]

    @property
    def digest(self) -> bytes:
        options = self.body.options.model_dump(mode="json")
        said = [self.operation.name, self.parameters, self.items, str(self.body.upload), options]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()

    @property
    def values(self) -> dict[str, Any]:
        return self.body.options.model_dump() | {
            "id": new_id(),
            "operation": self.operation.name,
            "parameters": Jsonb(self.parameters),
            "digest": self.digest,
            "upload_id": self.body.upload,
            "upload_etag": self.upload_etag,
            "status": "preparing" if self.body.upload else "pending",
            "total": None if self.body.upload else len(self.items),
        }

    @property
    def details(self) -> dict[str, Any]:
        upload = self.body.upload and str(self.body.upload)
        about = {"operation": self.operation.name, "items": len(self.items), "upload": upload}
        return about | {"dry_run": self.body.options.dry_run}

    def twin(self, connection: Connection) -> UUID | None:
        """The job of the same dedupe_key. Raises ConflictError when it was another request's."""
        key = self.body.options.dedupe_key
        if key is None:
            return None
        row = connection.execute(TWIN, {"dedupe_key": key}).fetchone()
        if row is None:
            return None
        if row[1] != self.digest:
            raise ConflictError(f"This dedupe_key was used for another request, batch {row[0]}.")
        return UUID(str(row[0]))

    def other(self, connection: Connection) -> UUID:
        """Whose the dedupe_key became meanwhile. Raises ConflictError when it is the upload that
        is another's."""
        twin = self.twin(connection)
        if twin is None:
            row = connection.execute(USER, {"upload_id": self.body.upload}).fetchone()
            raise uploads.in_use(row[0] if row else None)
        return twin


TWIN: Final = """
select id, request_digest from app.batch_jobs
where account_id = (select auth.account_id()) and dedupe_key = %(dedupe_key)s
"""
USER: Final = """
select id from app.batch_jobs
where account_id = (select auth.account_id()) and upload_id = %(upload_id)s
"""
INSERT: Final = """
with job as (
    insert into app.batch_jobs (id, operation, parameters, priority, dry_run,
        stop_on_error_percent, rate_limit_per_second, dedupe_key, request_digest, notify_url,
        upload_id, upload_etag, status, total)
    values (%(id)s, %(operation)s, %(parameters)s, %(priority)s, %(dry_run)s,
        %(stop_on_error_percent)s, %(rate_limit_per_second)s, %(dedupe_key)s, %(digest)s,
        %(notify_url)s, %(upload_id)s, %(upload_etag)s, %(status)s, %(total)s)
    on conflict do nothing
    returning id
), laid as (
    insert into app.batch_chunks (job_id, number, first_position, size, items)
    select job.id, chunk.number, chunk.first, chunk.size, chunk.items::jsonb
    from job cross join unnest(%(numbers)s::integer[], %(firsts)s::integer[], %(sizes)s::integer[],
        %(chunks)s::text[]) as chunk (number, first, size, items)
)
select id from job
"""


def chunked(items: list[str], size: int) -> dict[str, Any]:
    """The columns of the chunks."""
    parts = [items[first : first + size] for first in range(0, len(items), size)]
    return {
        "numbers": list(range(len(parts))),
        "firsts": [1 + number * size for number in range(len(parts))],
        "sizes": [len(part) for part in parts],
        "chunks": [f"[{','.join(part)}]" for part in parts],
    }


def submission(body: BatchCreate, account_id: UUID) -> Submission:
    """A request for a batch, when all of it can be done. Raises InvalidInputError."""
    operation = OPERATIONS.get(body.operation)
    if operation is None:
        raise invalid("operation", f"is none of: {', '.join(sorted(OPERATIONS))}")
    check_notify_url(body.options.notify_url)
    parameters = checked_parameters(operation, body.parameters)
    items = checked_items(operation, body.items or [])
    return Submission(body, operation, parameters, items, account_id)


def checked_parameters(operation: Operation, said: dict[str, Any]) -> dict[str, Any]:
    try:
        checked = operation.parameters.model_validate(said)
    except ValidationError as error:
        raise InvalidInputError(details=below("parameters", error)) from error
    return checked.model_dump(mode="json", by_alias=True, exclude_unset=True)


def below(field_name: str, error: ValueError) -> list[dict[str, Any]]:
    """What is wrong with a part of the body, by its path in it."""
    return [
        {"field": f"{field_name}.{one['field']}".rstrip("."), "message": one["message"]}
        for one in findings(error)
    ]


def checked_items(operation: Operation, items: list[Any]) -> list[str]:
    """Each item as it is kept. Raises InvalidInputError for bad ones, too many, and two alike."""
    if len(items) > operation.most:
        raise invalid("items", f"{operation.name} takes {operation.most:,} items at most")
    checker, known, texts = Checker(operation), dict[str, int](), list[str]()
    wrong: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        try:
            text, key = checker.check(item)
        except ValueError as error:
            wrong += below(f"items.{place}", error)
            continue
        texts.append(text)
        first = place if key is None else known.setdefault(key, place)
        if first != place:
            wrong.append({"field": f"items.{place}", "message": f"is the same as items.{first}"})
    if len(wrong) > MOST_TOLD:
        message = f"The request has {len(wrong):,} invalid values; these are the first."
        raise InvalidInputError(message, wrong[:MOST_TOLD])
    if wrong:
        raise InvalidInputError(details=wrong)
    return texts


def check_notify_url(url: str | None) -> None:
    """Refuse what is never called. Where its name leads is looked at before each call."""
    if url is None:
        return
    from quotekit import destinations  # noqa: PLC0415 - http.client and ssl, for these only

    try:
        to = destinations.Destination.of(url)
    except destinations.RefusedError as error:
        raise invalid("options.notify_url", str(error)) from error
    with suppress(ValueError):  # a name, not an IP address
        if to.scheme == "https" and not destinations.is_public(to.host):
            raise invalid("options.notify_url", "it has to be a public address")


PLAN: Final = """
select plan.name, coalesce((to_jsonb(plan) ->> %(feature)s)::boolean, false)
from app.plans as plan where plan.key = app.plan_key((select auth.account_id()))
"""


def permit(connection: Connection, operation: Operation) -> None:
    """Raise ForbiddenError when the account's plan lacks what the operation is part of, or the
    caller the role."""
    if operation.managers:
        auth.require_manager(connection)
    if operation.feature is None:
        return
    name, has = connection.execute(PLAN, {"feature": operation.feature}).fetchone() or ("", False)
    if not has:
        raise ForbiddenError(
            f"The plan {name} has no {operation.feature.replace('_', ' ')}.",
            [{"field": "plan", "message": "upgrade: POST /v1/billing/checkout"}],
        )

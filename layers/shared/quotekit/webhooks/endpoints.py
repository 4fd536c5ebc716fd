"""A tenant's own addresses for Standard Webhooks, as rows; what may be asked of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from psycopg.rows import class_row
from pydantic import Field, StringConstraints, model_validator

from quotekit import audit
from quotekit.bodies import Body, given
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.identifiers import new_id
from quotekit.paging import Page

DAY: Final = 86_400
MOST_ENDPOINTS: Final = 50  # of an account: each costs the operator a secret
KEY_MISPLACED: Final = "goes with the scheme ed25519, and only with it"

Key = Annotated[str, StringConstraints(pattern=r"^whpk_[A-Za-z0-9+/]{43}=$")]
Title = Annotated[str, StringConstraints(max_length=200)]


class EndpointCreate(Body):
    """`public_key` is the sender's, for the scheme ed25519; for hmac a secret is made here."""

    name: Title = ""
    scheme: Literal["hmac", "ed25519"] = "hmac"
    public_key: Key | None = None

    @model_validator(mode="after")
    def _check(self) -> "EndpointCreate":
        if (self.scheme == "ed25519") != (self.public_key is not None):
            raise ValueError(f"public_key {KEY_MISPLACED}")
        return self


class SecretRotate(Body):
    """The older secret stays good for `overlap_seconds`."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * DAY)] = DAY
    public_key: Key | None = None


class EndpointChange(Body):
    name: Title = given()
    enabled: bool = given()

    @model_validator(mode="after")
    def _check(self) -> "EndpointChange":
        if not self.model_fields_set:
            raise ValueError("name or enabled is needed")
        return self


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` is where senders post to; `published_at`, since when the handler can know."""

    id: UUID
    account_id: UUID
    name: str
    scheme: str
    enabled: bool
    path: str
    published_at: datetime | None
    created_at: datetime


COLUMNS: Final = """id, account_id, name, scheme, enabled,
    '/v1/webhooks/standard/' || id as path, published_at, created_at"""
LIST: Final = f"""
select {COLUMNS} from app.webhook_endpoints
where account_id = (select auth.account_id()) order by created_at, id
"""


def list_endpoints(connection: Connection) -> Page[Endpoint]:
    """All of them: an account has few."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return Page(cursor.execute(LIST).fetchall(), None)


GET: Final = f"""
select {COLUMNS} from app.webhook_endpoints
where account_id = (select auth.account_id()) and id = %(id)s
"""


def get_endpoint(connection: Connection, endpoint_id: UUID) -> Endpoint:
    """Raises NotFoundError, also for another account's."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        found = cursor.execute(GET, {"id": endpoint_id}).fetchone()
    if found is None:
        raise NotFoundError
    return found


# Two at once would else both find room for the last one.
LOCK: Final = """
select pg_advisory_xact_lock(hashtextextended(
    'webhook_endpoints ' || (select auth.account_id())::text, 0))
"""
INSERT: Final = f"""
insert into app.webhook_endpoints (id, name, scheme)
values (%(id)s, %(name)s, %(scheme)s)
returning {COLUMNS}
"""


def insert(connection: Connection, body: EndpointCreate) -> Endpoint:
    connection.defer(LOCK, ())
    if len(list_endpoints(connection).data) >= MOST_ENDPOINTS:
        raise ConflictError(f"An account has {MOST_ENDPOINTS} endpoints at most.")
    values = {"id": new_id(), "name": body.name, "scheme": body.scheme}
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        (endpoint,) = cursor.execute(INSERT, values)
    audit.record(connection, "webhook_endpoint.created", endpoint.id, {"scheme": body.scheme})
    return endpoint


CHANGE: Final = f"""
update app.webhook_endpoints
set name = coalesce(%(name)s, name), enabled = coalesce(%(enabled)s, enabled)
where account_id = (select auth.account_id()) and id = %(id)s
returning {COLUMNS}
"""


def change(connection: Connection, endpoint_id: UUID, body: EndpointChange) -> Endpoint:
    values = {"id": endpoint_id, "name": body.name, "enabled": body.enabled}
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        endpoint = cursor.execute(CHANGE, values).fetchone()
    if endpoint is None:
        raise NotFoundError
    switched = {True: "enabled", False: "disabled", None: "renamed"}[body.enabled]
    audit.record(connection, f"webhook_endpoint.{switched}", endpoint_id)
    return endpoint


DELETE: Final = """
delete from app.webhook_endpoints
where account_id = (select auth.account_id()) and id = %(id)s returning id
"""


def delete(connection: Connection, endpoint_id: UUID) -> None:
    if connection.execute(DELETE, {"id": endpoint_id}).fetchone():
        audit.record(connection, "webhook_endpoint.deleted", endpoint_id)


MARK_PUBLISHED: Final = f"""
update app.webhook_endpoints set published_at = now() where id = %(id)s returning {COLUMNS}
"""


def mark_published(connection: Connection, endpoint_id: UUID) -> Endpoint | None:
    """Note, for the service, that the handler can read its secrets; None when it is gone."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(MARK_PUBLISHED, {"id": endpoint_id}).fetchone()

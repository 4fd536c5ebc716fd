"""A tenant's own addresses for Standard Webhooks: made, given new secrets, switched off and on.

The row says that an endpoint is there; its secrets are in Secrets Manager only, where the handler
reads them, and are told once. Each step first changes the row, then publishes: what fails between
the two leaves an endpoint that accepts nothing new, and can be repeated.
"""

import base64
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row
from pydantic import Field, StringConstraints, model_validator

from quotekit import audit, database
from quotekit.auth import Principal
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import ConflictError, InvalidInputError, NotFoundError, invalid
from quotekit.identifiers import new_id
from quotekit.webhooks import publishing
from quotekit.webhooks.signatures import SECRET

KEY_BYTES: Final = 32
DAY: Final = 86_400
MOST_ENDPOINTS: Final = 50  # of an account: each costs the operator a secret

Key = Annotated[str, StringConstraints(pattern=r"^whpk_[A-Za-z0-9+/]{43}=$")]


class EndpointCreate(Body):
    """`public_key` is the sender's, for the scheme ed25519; for hmac a secret is made here."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""
    scheme: Literal["hmac", "ed25519"] = "hmac"
    public_key: Key | None = None

    @model_validator(mode="after")
    def _check(self) -> "EndpointCreate":
        if (self.scheme == "ed25519") != (self.public_key is not None):
            raise ValueError("public_key goes with the scheme ed25519, and only with it")
        return self


class SecretRotate(Body):
    """The older secret stays good for `overlap_seconds`."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * DAY)] = DAY
    public_key: Key | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: UUID
    account_id: UUID
    name: str
    scheme: str
    enabled: bool
    published_at: datetime | None
    created_at: datetime

    @property
    def path(self) -> str:
        return f"/v1/webhooks/standard/{self.id}"


@dataclass(frozen=True, slots=True)
class Issued:
    """An endpoint with its new secret, which nobody can read again; null for a public key."""

    endpoint: Endpoint
    secret: str | None


COLUMNS: Final = "id, account_id, name, scheme, enabled, published_at, created_at"
LIST: Final = f"""
select {COLUMNS} from app.webhook_endpoints
where account_id = (select auth.account_id()) order by created_at, id
"""


def list_endpoints(connection: Connection) -> Sequence[Endpoint]:
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(LIST).fetchall()


INSERT: Final = f"""
insert into app.webhook_endpoints (id, name, scheme)
values (%(id)s, %(name)s, %(scheme)s)
returning {COLUMNS}
"""


def create_endpoint(by: Principal, body: EndpointCreate) -> Issued:
    """Raises ServiceUnavailableError when the secret could not be stored: rotate it then."""
    with database.transaction(by.actor) as connection:
        if len(list_endpoints(connection)) >= MOST_ENDPOINTS:
            raise ConflictError(f"An account has {MOST_ENDPOINTS} endpoints at most.")
        with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
            values = {"id": new_id(), "name": body.name, "scheme": body.scheme}
            (endpoint,) = cursor.execute(INSERT, values)
        audit.record(connection, "webhook_endpoint.created", endpoint.id, {"scheme": body.scheme})
    secret = body.public_key or _new_secret()
    publishing.publish_secret(endpoint.id, _document(endpoint, [secret]))
    return Issued(_published(endpoint.id), None if body.public_key else secret)


GET: Final = f"""
select {COLUMNS} from app.webhook_endpoints
where account_id = (select auth.account_id()) and id = %(id)s
"""


def rotate_secret(by: Principal, endpoint_id: UUID, body: SecretRotate) -> Issued:
    """Give an endpoint a new secret; the present one stays good for a while.

    Raises NotFoundError, and ConflictError when somebody else did the same at the same time."""
    with database.transaction(by.actor) as connection:
        endpoint = _get(connection, endpoint_id)
        if (endpoint.scheme == "ed25519") != (body.public_key is not None):
            raise invalid("public_key", "goes with the scheme ed25519, and only with it")
        details = {"overlap_seconds": body.overlap_seconds}
        audit.record(connection, "webhook_endpoint.rotated", endpoint_id, details)
    secret = body.public_key or _new_secret()
    older = _secrets(publishing.secret_of(endpoint_id))
    if secret in older:
        raise InvalidInputError("This public key is in use already.")
    until = int(time.time()) + body.overlap_seconds
    document = _document(endpoint, [secret, *older[:1]], previous_until=until)
    publishing.publish_secret(endpoint_id, document)
    if _secrets(publishing.secret_of(endpoint_id))[:1] != [secret]:
        raise ConflictError("Somebody else rotated this secret at the same time.")
    return Issued(_published(endpoint_id), None if body.public_key else secret)


SWITCH: Final = f"""
update app.webhook_endpoints set enabled = %(enabled)s
where account_id = (select auth.account_id()) and id = %(id)s
returning {COLUMNS}
"""


def switch(by: Principal, endpoint_id: UUID, *, enabled: bool) -> Endpoint:
    """Let an endpoint accept nothing, or again what its secrets sign; the handler knows within
    SECRETS_TTL seconds."""
    with database.transaction(by.actor) as connection:
        with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
            endpoint = cursor.execute(SWITCH, {"id": endpoint_id, "enabled": enabled}).fetchone()
        if endpoint is None:
            raise NotFoundError
        action = f"webhook_endpoint.{'enabled' if enabled else 'disabled'}"
        audit.record(connection, action, endpoint_id)
    held = publishing.secret_of(endpoint_id) or {}
    document = _document(endpoint, _secrets(held), previous_until=held.get("previous_until"))
    publishing.publish_secret(endpoint_id, document)
    return _published(endpoint_id)


def _get(connection: Connection, endpoint_id: UUID) -> Endpoint:
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        found = cursor.execute(GET, {"id": endpoint_id}).fetchone()
    if found is None:
        raise NotFoundError
    return found


def _document(
    endpoint: Endpoint, secrets: Sequence[str], *, previous_until: int | None = None
) -> dict[str, Any]:
    """What the handler reads; the secrets of one that is switched off are there but not live."""
    return {
        "secrets" if endpoint.enabled else "resting": list(secrets),
        "account_id": str(endpoint.account_id),
        "previous_until": previous_until,
    }


def _secrets(document: Mapping[str, Any] | None) -> list[str]:
    found = document or {}
    return list(found.get("secrets") or found.get("resting") or [])


def _new_secret() -> str:
    return SECRET + base64.b64encode(os.urandom(KEY_BYTES)).decode()


MARK_PUBLISHED: Final = f"""
update app.webhook_endpoints set published_at = now() where id = %(id)s returning {COLUMNS}
"""


def _published(endpoint_id: UUID) -> Endpoint:
    with (
        database.transaction(database.SERVICE) as connection,
        connection.cursor(row_factory=class_row(Endpoint)) as cursor,
    ):
        (endpoint,) = cursor.execute(MARK_PUBLISHED, {"id": endpoint_id})
    return endpoint

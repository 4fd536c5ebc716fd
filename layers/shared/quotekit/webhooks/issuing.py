"""Tenants' endpoints with their secrets: issued, rotated, switched off and on, removed.

An endpoint's row says that it is there; its secrets are in Secrets Manager only, where the handler
reads them, and are told once. Each step first changes the row, then publishes: what fails between
the two leaves an endpoint that accepts nothing new, and can be repeated, under the same
Idempotency-Key too: a secret nobody was told is made anew, one that was told is not told again.
"""

import base64
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from quotekit import audit, auth, database, idempotency
from quotekit.auth import Principal
from quotekit.database import Connection
from quotekit.errors import ConflictError, InvalidInputError, NotFoundError, invalid
from quotekit.identifiers import new_id
from quotekit.webhooks import endpoints, publishing
from quotekit.webhooks.endpoints import (
    KEY_MISPLACED,
    Endpoint,
    EndpointChange,
    EndpointCreate,
    SecretRotate,
)
from quotekit.webhooks.signatures import SECRET

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Issued:
    """An endpoint with its new secret, which nobody can read again.

    `secret` is null for a public key, and where it was told before (`replayed`): whoever lost it
    rotates. The secret before it is good until `previous_until`."""

    endpoint: Endpoint
    secret: str | None
    previous_until: datetime | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A secret that is to be published, as the row's transaction wrote it down.

    `rotation` is newer than those before it, which shows what is published already."""

    endpoint: Endpoint
    rotation: UUID
    replayed: bool = False


def create_endpoint(
    by: Principal, body: EndpointCreate, once: idempotency.Request | None = None
) -> Issued:
    """Raises ServiceUnavailableError when the secret could not be stored: ask again with the same
    Idempotency-Key, or rotate it then."""
    with database.transaction(by.actor) as connection:
        auth.require_manager(connection)
        begun = _recalled(connection, once) or _begin(
            connection, endpoints.insert(connection, body), once
        )
    return _issue(begun, body.public_key, overlap_seconds=0)


def rotate_secret(
    by: Principal,
    endpoint_id: UUID,
    body: SecretRotate,
    once: idempotency.Request | None = None,
) -> Issued:
    """Give an endpoint a new secret; the present one stays good for a while.

    Raises NotFoundError, and ConflictError when somebody else did the same at the same time."""
    with database.transaction(by.actor) as connection:
        auth.require_manager(connection)
        begun = _recalled(connection, once)
        if begun is None:
            endpoint = endpoints.get_endpoint(connection, endpoint_id)
            if (endpoint.scheme == "ed25519") != (body.public_key is not None):
                raise invalid("public_key", KEY_MISPLACED)
            details = {"overlap_seconds": body.overlap_seconds}
            audit.record(connection, "webhook_endpoint.rotated", endpoint_id, details)
            begun = _begin(connection, endpoint, once)
    return _issue(begun, body.public_key, overlap_seconds=body.overlap_seconds)


def _begin(connection: Connection, endpoint: Endpoint, once: idempotency.Request | None) -> Begun:
    """Name a secret that is to come; under the caller's key, so that it comes once."""
    begun = Begun(endpoint, new_id())
    if once:
        kept = json.dumps({"endpoint": str(endpoint.id), "rotation": str(begun.rotation)})
        idempotency.keep(connection, once, idempotency.Answer(HTTPStatus.CREATED, kept))
    return begun


def _recalled(connection: Connection, once: idempotency.Request | None) -> Begun | None:
    kept = idempotency.recall(connection, once) if once else None
    if kept is None:
        return None
    known = json.loads(kept.body)
    endpoint = endpoints.get_endpoint(connection, UUID(known["endpoint"]))
    return Begun(endpoint, UUID(known["rotation"]), replayed=True)


def _issue(begun: Begun, public_key: str | None, *, overlap_seconds: int) -> Issued:
    endpoint, rotation = begun.endpoint, str(begun.rotation)
    held = publishing.secret_of(endpoint.id) or {}
    if str(held.get("rotation", "")) >= rotation:
        return Issued(endpoint, None, _until(held), replayed=True)
    secret = public_key or _new_secret()
    older = _secrets(held)[:1]
    if secret in older:
        raise InvalidInputError("This public key is in use already.")
    until = int(time.time()) + overlap_seconds if older else None
    document = _document(endpoint, [secret, *older], rotation=rotation, previous_until=until)
    publishing.publish_secret(endpoint.id, document)
    if older and (publishing.secret_of(endpoint.id) or {}).get("rotation") != rotation:
        raise ConflictError("Somebody else rotated this secret at the same time.")
    told = None if public_key else secret
    return Issued(_published(endpoint.id), told, _until(document), begun.replayed)


def change_endpoint(by: Principal, endpoint_id: UUID, body: EndpointChange) -> Endpoint:
    """Rename an endpoint; let it accept nothing, or again what its secrets sign, which the handler
    knows within SECRETS_TTL seconds."""
    with database.transaction(by.actor) as connection:
        auth.require_manager(connection)
        endpoint = endpoints.change(connection, endpoint_id, body)
    return endpoint if body.enabled is None else _republish(endpoint)


def _republish(endpoint: Endpoint) -> Endpoint:
    held = publishing.secret_of(endpoint.id) or {}
    document = _document(
        endpoint,
        _secrets(held),
        rotation=held.get("rotation"),
        previous_until=held.get("previous_until"),
    )
    publishing.publish_secret(endpoint.id, document)
    return _published(endpoint.id)


def delete_endpoint(by: Principal, endpoint_id: UUID) -> None:
    """Remove an endpoint with its secrets; what arrived stays for its time. Raises NotFoundError.

    Off first, then the secrets, the row last: stopped between, it accepts nothing and can be
    removed again."""
    with database.transaction(by.actor) as connection:
        auth.require_manager(connection)
        endpoints.change(connection, endpoint_id, EndpointChange(enabled=False))
    publishing.remove_secret(endpoint_id)
    with database.transaction(by.actor) as connection:
        endpoints.delete(connection, endpoint_id)


def _document(
    endpoint: Endpoint,
    secrets: Sequence[str],
    *,
    rotation: str | None,
    previous_until: int | None,
) -> dict[str, Any]:
    """What the handler reads; the secrets of one that is switched off are there but not live."""
    return {
        "secrets" if endpoint.enabled else "resting": list(secrets),
        "account_id": str(endpoint.account_id),
        "previous_until": previous_until,
        "rotation": rotation,
    }


def _secrets(document: Mapping[str, Any]) -> list[str]:
    return list(document.get("secrets") or document.get("resting") or [])


def _until(document: Mapping[str, Any]) -> datetime | None:
    until = document.get("previous_until")
    return None if until is None else datetime.fromtimestamp(until, UTC)


def _new_secret() -> str:
    return SECRET + base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _published(endpoint_id: UUID) -> Endpoint:
    """Note that the handler can read it. One that was removed meanwhile leaves no secret behind."""
    with database.transaction(database.SERVICE) as connection:
        endpoint = endpoints.mark_published(connection, endpoint_id)
    if endpoint is None:
        publishing.remove_secret(endpoint_id)
        raise NotFoundError
    return endpoint

"""What the handler reads without a database: the routing in S3, tenants' secrets in Secrets
Manager."""

import json
from collections.abc import Mapping
from typing import Any, Final

from quotekit import database, exchange, secrets
from quotekit.environment import RoutingSettings, SecretsSettings, WebhookSettings
from quotekit.errors import ConflictError, ServiceUnavailableError
from quotekit.webhooks import keyring, rules
from quotekit.webhooks.rules import Version

ROUNDS: Final = 5


def publish() -> Version | None:
    """Store the newest rules where the handler reads them; none while the defaults hold.

    Whoever stored an older version last looks again and stores the newer one, so the newest wins
    however two publications cross. Raises ServiceUnavailableError when S3 does not take it; the
    rules are stored all the same, and this may be called again.
    """
    with database.reading(database.SERVICE) as connection:
        newest = rules.newest(connection)
    for _ in range(ROUNDS):
        if newest is None:
            return None
        _store(newest)
        with database.transaction(database.SERVICE) as connection:
            stored = rules.mark_published(connection, newest.version)
            newest = rules.newest(connection)
        if newest is None or newest.version == stored.version:
            return stored
    raise ConflictError("The routing is being changed all the time.")


def _store(version: Version) -> None:
    content = json.dumps({"version": version.version, **version.document}).encode()
    try:
        exchange.put(
            RoutingSettings.bucket,
            RoutingSettings.key,
            content,
            "application/json",
            timeout=WebhookSettings.timeout,
        )
    except exchange.AwsError as error:
        raise _unavailable(error) from error


def secret_of(endpoint_id: object) -> Mapping[str, Any] | None:
    """What is published of a tenant's endpoint."""
    try:
        return secrets.read(keyring.name("standard", str(endpoint_id)))
    except secrets.SecretNotFoundError:
        return None


def publish_secret(endpoint_id: object, document: Mapping[str, Any]) -> None:
    """Store an endpoint's secrets, anew or for the first time; the handler has them within
    SECRETS_TTL seconds, a new one after WEBHOOK_RENEWAL. Raises ServiceUnavailableError."""
    name = keyring.name("standard", str(endpoint_id))
    value = json.dumps(document)
    timeout = SecretsSettings.timeout
    try:
        try:
            request = {"SecretId": name, "SecretString": value}
            exchange.call("secretsmanager", "PutSecretValue", request, timeout=timeout)
        except exchange.AwsError as error:
            if error.reason != "ResourceNotFoundException":
                raise
            made = {"Name": name, "SecretString": value}
            exchange.call("secretsmanager", "CreateSecret", made, timeout=timeout)
    except exchange.AwsError as error:
        raise _unavailable(error) from error


def remove_secret(endpoint_id: object) -> None:
    """Forget an endpoint's secrets at once, not after a week as Secrets Manager would; a second
    time does nothing. Raises ServiceUnavailableError."""
    name = keyring.name("standard", str(endpoint_id))
    request = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
    try:
        exchange.call("secretsmanager", "DeleteSecret", request, timeout=SecretsSettings.timeout)
    except exchange.AwsError as error:
        if error.reason != "ResourceNotFoundException":
            raise _unavailable(error) from error


def _unavailable(error: exchange.AwsError) -> ServiceUnavailableError:
    unavailable = ServiceUnavailableError()
    unavailable.add_note(str(error))
    return unavailable

"""Secrets from AWS Secrets Manager, kept in memory; read without boto3 and pydantic."""

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from quotekit import exchange
from quotekit.environment import SecretsSettings, SettingsError
from quotekit.errors import ServiceUnavailableError

type Secret = Mapping[str, Any]

_kept: Final[dict[str, tuple[float, Secret]]] = {}


class SecretNotFoundError(ServiceUnavailableError):
    """A part this needs does not answer."""


def secret(name: str) -> Secret:
    """Return a secret's JSON object, kept for SECRETS_TTL seconds, longer while AWS is silent."""
    fetched_at, kept = _kept.get(name, (0.0, None))
    if kept is not None and 0 <= time.time() - fetched_at < SecretsSettings.ttl:
        return kept
    try:
        return refetch(name)
    except ServiceUnavailableError:
        if kept is None:
            raise
        return kept


def refetch(name: str) -> Secret:
    """Return a secret as it is now and keep it; raises as `read` does."""
    _kept[name] = time.time(), read(name)
    return _kept[name][1]


def read(name: str) -> Secret:
    """Return a secret as it is now. Raises ServiceUnavailableError when AWS does not give it,
    SecretNotFoundError when there is none; what AWS said is a note on the error, for the log."""
    request = {"SecretId": name}
    try:
        answer = exchange.call(
            "secretsmanager", "GetSecretValue", request, timeout=SecretsSettings.timeout
        )
    except exchange.AwsError as error:
        missing = error.reason == "ResourceNotFoundException"
        unavailable = SecretNotFoundError() if missing else ServiceUnavailableError()
        unavailable.add_note(f"Secrets Manager, GetSecretValue {name}: {error.reason}")
        raise unavailable from None
    try:
        value = json.loads(answer["SecretString"])
    except (KeyError, ValueError):
        value = None  # not chained: the error would carry the secret
    if not isinstance(value, dict):
        raise SettingsError(f"the secret {name} is not a JSON object")
    return MappingProxyType(value)


def forget() -> None:
    _kept.clear()
    exchange.forget()

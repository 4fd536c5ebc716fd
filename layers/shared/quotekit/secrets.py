"""Secrets from AWS Secrets Manager, one signed request without boto3.

boto3 takes 150 to 300 ms of a cold start to import and make a client; this asks for one secret.
The signature is AWS's Signature Version 4, proved equal to botocore's in the tests.
"""

import hashlib
import hmac
import http.client
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from random import uniform
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from quotekit.errors import ServiceUnavailableError
from quotekit.settings import SettingsError, secrets_settings

ATTEMPTS: Final = 3
PAUSE: Final = 0.2  # seconds, at most, before the second attempt; twice that before the third
THROTTLED: Final = ("ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded")

type Secret = Mapping[str, Any]

_kept: Final[dict[str, tuple[float, Secret]]] = {}


@dataclass(frozen=True)
class Credentials:
    key_id: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def secret(name: str) -> Secret:
    """Return a secret's JSON object, kept for SECRETS_TTL seconds, longer while AWS is silent."""
    fetched_at, kept = _kept.get(name, (0.0, None))
    if kept is not None and 0 <= time.time() - fetched_at < secrets_settings().ttl:
        return kept
    try:
        return refetch(name)
    except ServiceUnavailableError:
        if kept is None:
            raise
        return kept


def refetch(name: str) -> Secret:
    """Return a secret as it is now; raise ServiceUnavailableError when AWS does not give it."""
    answer = _call("GetSecretValue", {"SecretId": name})
    try:
        value = json.loads(answer["SecretString"])
    except (KeyError, ValueError):
        value = None  # not chained: the error would carry the secret
    if not isinstance(value, dict):
        raise SettingsError(f"the secret {name} is not a JSON object")
    _kept[name] = time.time(), MappingProxyType(value)
    return _kept[name][1]


def forget() -> None:
    _kept.clear()


def _call(action: str, request: Mapping[str, str]) -> dict[str, Any]:
    """Ask until AWS answers or says no; what it said is a note on the error, for the log."""
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(uniform(0, PAUSE * attempt))  # noqa: S311 jitter is no secret
        try:
            status, answer = _ask(action, json.dumps(request).encode())
        except (OSError, http.client.HTTPException) as error:
            reason = type(error).__name__
            continue
        if status == HTTPStatus.OK:
            return answer
        reason = str(answer.get("__type", status)).rpartition("#")[2]
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and reason not in THROTTLED:
            break
    unavailable = ServiceUnavailableError()
    unavailable.add_note(f"Secrets Manager, {action} {request['SecretId']}: {reason}")
    raise unavailable


def _ask(action: str, body: bytes) -> tuple[int, dict[str, Any]]:
    region = _environment("AWS_REGION", "AWS_DEFAULT_REGION")
    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        or os.environ.get("AWS_ENDPOINT_URL")
        or f"https://secretsmanager.{region}.amazonaws.com"
    )
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"secretsmanager.{action}",
    }
    signed = sign(
        *("POST", endpoint, headers, body),
        credentials=_credentials(),
        region=region,
        service="secretsmanager",
    )
    return _send("POST", endpoint, signed, body)


def _send(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=secrets_settings().timeout)
    try:
        connection.request(method, parts.path or "/", body, dict(headers))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except ValueError:
        answer = None  # an error page of something between us and AWS
    finally:
        connection.close()
    return response.status, answer if isinstance(answer, dict) else {}


def _credentials() -> Credentials:
    """The function's own: in its environment, or at the address Lambda names under SnapStart."""
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if url and "AWS_ACCESS_KEY_ID" not in os.environ:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        status, given = _send("GET", url, {"authorization": token})
        if status != HTTPStatus.OK:
            raise ConnectionError(f"credentials: {status}")
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given.get("Token", ""))
    return Credentials(
        _environment("AWS_ACCESS_KEY_ID"),
        _environment("AWS_SECRET_ACCESS_KEY"),
        os.environ.get("AWS_SESSION_TOKEN", ""),
    )


def _environment(*names: str) -> str:
    for name in names:
        if value := os.environ.get(name):
            return value
    raise SettingsError(f"{names[0]}: Field required")


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the headers with host, date, token and AWS's Signature Version 4.

    Path and query are taken as they are: ours are `/` and none.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed |= {"host": parts.netloc.lower(), "x-amz-date": moment}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    canonical = "\n".join(
        [
            *(method, parts.path or "/", parts.query),
            *(f"{name}:{signed[name]}" for name in names),
            *("", ";".join(names), hashlib.sha256(body).hexdigest()),
        ]
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={key.hex()}"
    )
    return signed

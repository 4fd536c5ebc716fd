"""Requests to AWS without boto3: signed, over kept connections, repeated while AWS stumbles.

boto3 takes 150 to 300 ms of a cold start to import and make a client, and 2 ms of CPU a call.
"""

import http.client
import json
import os
import select
import ssl
import time
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from random import uniform
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from quotekit.environment import need
from quotekit.signing import Credentials, sign

ATTEMPTS: Final = 3
PAUSE: Final = 0.2  # seconds, at most, before the second attempt; twice that before the third
LONGEST_IDLE: Final = 20  # seconds by the wall clock: a sandbox freezes, what is between forgets
GRANT_KEPT: Final = 240  # seconds; what Lambda grants is good for longer
PROTOCOLS: Final = {
    "secretsmanager": ("secretsmanager", "application/x-amz-json-1.1"),
    "sqs": ("AmazonSQS", "application/x-amz-json-1.0"),
}
THROTTLED: Final = frozenset(
    {
        *("ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"),
        *("RequestThrottled", "KmsThrottled", "Throttling", "SlowDown", "InternalError"),
    }
)

_idle: Final[dict[str, list[tuple[float, http.client.HTTPConnection]]]] = {}
_granted: Final[dict[str, tuple[float, Credentials]]] = {}


class AwsError(Exception):
    """AWS did not do it; `reason` is the error's name, its status, or what broke the connection."""

    def __init__(self, action: str, reason: str) -> None:
        self.action, self.reason = action, reason
        super().__init__(f"{action}: {reason}")


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty when there is another thing."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}  # an error page of something between us and AWS
        return found if isinstance(found, dict) else {}

    @property
    def reason(self) -> str:
        """The name of the error, as the JSON protocols write it, or the status."""
        return str(self.document.get("__type", self.status)).rpartition("#")[2]


class Request(NamedTuple):
    service: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def signed(self, timeout: float) -> "Request":
        headers = sign(
            *(self.method, self.url, self.headers, self.body),
            credentials=credentials(timeout),
            region=region(),
            service=self.service,
        )
        return self._replace(headers=headers)


def call(
    service: str,
    action: str,
    parameters: Mapping[str, Any],
    *,
    timeout: float,
    deadline: float | None = None,
) -> dict[str, Any]:
    """One action of a service that speaks JSON. Raises AwsError."""
    target, content_type = PROTOCOLS[service]
    headers = {"content-type": content_type, "x-amz-target": f"{target}.{action}"}
    body = json.dumps(parameters, separators=(",", ":")).encode()
    request = Request(service, "POST", f"{endpoint(service)}/", headers, body)
    answer = ask(request, timeout=timeout, deadline=deadline)
    if answer.status != HTTPStatus.OK:
        raise AwsError(action, answer.reason)
    return answer.document


def put(bucket: str, key: str, content: bytes, content_type: str, *, timeout: float) -> None:
    """Store an object; encryption is the bucket's own default. Raises AwsError."""
    headers = {"content-type": content_type}
    request = Request("s3", "PUT", address(bucket, key), headers, content)
    answer = ask(request, timeout=timeout)
    if answer.status != HTTPStatus.OK:
        raise AwsError("PutObject", str(answer.status))


def get(bucket: str, key: str, etag: str = "", *, timeout: float) -> Answer:
    """An object: 200, or 304 when it is still the one of that ETag. Raises AwsError."""
    headers = {"if-none-match": etag} if etag else {}
    answer = ask(Request("s3", "GET", address(bucket, key), headers), timeout=timeout)
    if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        raise AwsError("GetObject", str(answer.status))
    return answer


def ask(request: Request, *, timeout: float, deadline: float | None = None) -> Answer:
    """Ask until AWS answers or says no; after `deadline` seconds no more. Raises AwsError."""
    ends = time.monotonic() + (deadline or (timeout + PAUSE) * ATTEMPTS)
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(uniform(0, PAUSE * attempt))  # noqa: S311 jitter is no secret
        seconds = min(timeout, ends - time.monotonic())
        if seconds <= 0:
            break
        try:
            answer = send(request.signed(seconds), seconds)
        except (OSError, http.client.HTTPException) as error:
            reason = type(error).__name__
            continue
        reason = "" if answer.status < HTTPStatus.BAD_REQUEST else answer.reason
        if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and reason not in THROTTLED:
            return answer
    raise AwsError(request.headers.get("x-amz-target", request.method), reason)


def send(request: Request, timeout: float) -> Answer:
    """One request over a kept connection, or over a new one when that was closed meanwhile."""
    parts = urlsplit(request.url)
    place = f"{parts.scheme}://{parts.netloc}"
    kept = _kept(place)
    if kept is not None:
        try:
            return _over(kept, place, request, timeout)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            pass
    return _over(_connection(parts.scheme, parts.netloc, timeout), place, request, timeout)


def _over(
    connection: http.client.HTTPConnection, place: str, request: Request, timeout: float
) -> Answer:
    try:
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        path = urlsplit(request.url).path or "/"
        connection.request(request.method, path, request.body, dict(request.headers))
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
    except BaseException:
        connection.close()
        raise
    if connection.sock is not None:
        _idle.setdefault(place, []).append((time.time(), connection))
    return answer


def _kept(place: str) -> http.client.HTTPConnection | None:
    """An idle connection that nobody closed and that did not idle for long."""
    idle = _idle.get(place, [])
    while idle:
        since, connection = idle.pop()
        quiet = connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]
        if quiet and 0 <= time.time() - since < LONGEST_IDLE:
            return connection
        connection.close()
    return None


def _connection(scheme: str, netloc: str, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(netloc, timeout=timeout, context=_authorities())
    return http.client.HTTPConnection(netloc, timeout=timeout)


@cache
def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the machine's authorities, some 10 ms


def credentials(timeout: float) -> Credentials:
    """The function's own: in its environment, or at the address Lambda names under SnapStart."""
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not url or "AWS_ACCESS_KEY_ID" in os.environ:
        return Credentials(
            need("AWS_ACCESS_KEY_ID"),
            need("AWS_SECRET_ACCESS_KEY"),
            os.environ.get("AWS_SESSION_TOKEN", ""),
        )
    until, granted = _granted.get(url, (0.0, None))
    if granted is None or time.time() > until:
        granted = _grant(url, timeout)
    return granted


def _grant(url: str, timeout: float) -> Credentials:
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    answer = send(Request("", "GET", url, {"authorization": token}), timeout)
    given = answer.document
    try:
        granted = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["Token"])
    except KeyError:
        raise ConnectionError(f"credentials: {answer.status}") from None
    _granted[url] = time.time() + GRANT_KEPT, granted
    return granted


def region() -> str:
    return need("AWS_REGION", "AWS_DEFAULT_REGION")


def endpoint(service: str) -> str:
    """Where a service is: the variables botocore reads, too."""
    name = {"secretsmanager": "SECRETS_MANAGER"}.get(service, service.upper())
    given = os.environ.get(f"AWS_ENDPOINT_URL_{name}") or os.environ.get("AWS_ENDPOINT_URL")
    return (given or f"https://{service}.{region()}.amazonaws.com").rstrip("/")


def address(bucket: str, key: str) -> str:
    """An object's address: the bucket in the host name on AWS, in the path elsewhere."""
    base = endpoint("s3")
    if base.endswith(".amazonaws.com") and "." not in bucket:
        return f"{base.replace('//', f'//{bucket}.', 1)}/{key}"
    return f"{base}/{bucket}/{key}"


def forget() -> None:
    """Close the kept connections and ask for credentials again."""
    for idle in _idle.values():
        for _, connection in idle:
            connection.close()
    _idle.clear()
    _granted.clear()

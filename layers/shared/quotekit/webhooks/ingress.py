"""A webhook from its bytes to the message for a queue: found, verified, read, routed.

Nothing here needs a database, and nothing beyond the standard library is imported.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import parse_qsl

from quotekit.environment import SettingsError, WebhookSettings
from quotekit.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    QuoteKitError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from quotekit.webhooks import extraction, keyring, routing
from quotekit.webhooks.signatures import SCHEMES, Delivery, Keys, SignatureError, verify

PATH: Final = re.compile(r"/v1/webhooks/([a-z0-9-]{1,50})(?:/([^/]{1,100}))?", re.ASCII)
STANDARD: Final = "standard"
FORM: Final = "application/x-www-form-urlencoded"
UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
LONGEST_HEADER: Final = 200
# What a record of a refusal may quote; of all others, signatures among them, only the names.
HARMLESS: Final = (
    *("accept", "content-encoding", "content-length", "content-type", "host", "user-agent"),
    *("webhook-id", "webhook-timestamp", "x-github-delivery", "x-github-event"),
)


class RefusedError(Exception):
    """No event came of it: the error for the sender, and the reason for us."""

    def __init__(self, error: QuoteKitError, reason: str) -> None:
        self.error, self.reason = error, reason
        super().__init__(reason)


class Request(NamedTuple):
    """What API Gateway hands over."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    text: str
    is_base64: bool
    source_ip: str
    id: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        """Of an event of API Gateway's HTTP API (payload format 2.0)."""
        context = event["requestContext"]
        return cls(
            method=context["http"]["method"],
            path=event["rawPath"],
            headers={name.lower(): value for name, value in event["headers"].items()},
            query=event.get("queryStringParameters") or {},
            text=event.get("body") or "",
            is_base64=bool(event.get("isBase64Encoded")),
            source_ip=context["http"].get("sourceIp", ""),
            id=context["requestId"],
        )


class Address(NamedTuple):
    """Whom a request is for: a platform's source, or a tenant's endpoint."""

    source: str
    endpoint_id: str | None = None


class Proven(NamedTuple):
    """The secret's JSON that verified a delivery, and the place of the secret in it."""

    document: Mapping[str, Any]
    key: int


class Accepted(NamedTuple):
    """A message, the class of queue it goes to, and what SQS shares deliveries among."""

    message: dict[str, Any]
    queue: str
    group: str


def address(request: Request) -> Address:
    found = PATH.fullmatch(request.path)
    source, endpoint_id = found.groups() if found else ("", None)
    if source not in SCHEMES or (source == STANDARD) != (endpoint_id is not None):
        raise RefusedError(NotFoundError(), "unknown_source")
    if request.method != "POST":
        raise RefusedError(MethodNotAllowedError(), "method")
    return Address(source, endpoint_id and endpoint_id.lower())


def accept(request: Request, to: Address, now: float) -> Accepted:
    """Turn a request into a message. Raises RefusedError."""
    delivery = Delivery(request.headers, content(request), request.query)
    proven = prove(delivery, to, now)
    written = document(delivery, to.source)
    text, payload = read(written)
    facts = extraction.facts(to.source, delivery.headers, written, payload)
    size = len(written)
    rule = routing.current(now).rule(to.source, facts.type, facts.action, size)
    account_id = owner(proven.document) if to.endpoint_id else None
    message = {
        "source": to.source,
        "event_id": facts.event_id,
        "type": facts.type,
        "action": facts.action,
        "object_id": facts.object_id,
        "created_at": facts.created_at,
        "received_at": datetime.fromtimestamp(now, UTC).isoformat(),
        "account_id": account_id,
        "endpoint_id": to.endpoint_id,
        "handler": rule.handler,
        "debounce_seconds": rule.debounce_seconds,
        "signature_key": proven.key,
        "body": text,
    }
    shared = extraction.group(to.source, account_id) if account_id else facts.group
    return Accepted(message, rule.queue, shared)


def content(request: Request) -> bytes:
    """The exact bytes of the body, whatever way API Gateway carried them."""
    limit = WebhookSettings.body_limit
    if len(request.text) > limit * 2:
        raise RefusedError(PayloadTooLargeError(), "too_large")
    try:
        if request.is_base64:
            body = base64.b64decode(request.text, validate=True)
        else:
            body = request.text.encode()
    except (binascii.Error, ValueError) as error:
        raise _unreadable("The body is damaged.") from error
    if len(body) > limit:
        raise RefusedError(PayloadTooLargeError(), "too_large")
    return body


def prove(delivery: Delivery, to: Address, now: float) -> Proven:
    """Find the secret that signed a delivery, among newer ones too when none of ours did."""
    known = to.endpoint_id is None or UUID.fullmatch(to.endpoint_id)
    name = keyring.name(*to) if known else ""
    try:
        document = keyring.held(name, now) if known else None
        try:
            return _proven(delivery, to, document, now)
        except SignatureError as error:
            newer = keyring.renewed(name, now) if error.reason == "mismatch" else None
            if newer is None:
                _unproven(error.reason if document else "no_secret")
        try:
            return _proven(delivery, to, newer, now)
        except SignatureError as error:
            _unproven(error.reason)
    except (ServiceUnavailableError, SettingsError) as error:
        unavailable = ServiceUnavailableError()
        raise RefusedError(unavailable, "secrets_unavailable") from error


def owner(document: Mapping[str, Any]) -> str:
    """The account an endpoint's secret names."""
    account_id = document.get("account_id")
    if not isinstance(account_id, str) or not UUID.fullmatch(account_id):
        raise RefusedError(ServiceUnavailableError(), "secrets_unavailable")
    return account_id


# Signs for endpoints that do not exist, so that refusing them takes the same work.
NOBODY: Final = {"secrets": ["whsec_" + base64.b64encode(os.urandom(24)).decode()]}


def _proven(
    delivery: Delivery, to: Address, document: Mapping[str, Any] | None, now: float
) -> Proven:
    keys = Keys.of(document or NOBODY, now)
    return Proven(document or {}, verify(to.source, delivery, keys, now))


def _unproven(reason: str) -> NoReturn:
    """The same answer for every reason: it tells a forger nothing."""
    raise RefusedError(UnauthorizedError("The signature is not valid."), reason) from None


def document(delivery: Delivery, source: str) -> bytes:
    """The JSON of a verified body. GitHub can send it as the only field of a form, signed so."""
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (source, kind) != ("github", FORM):
        return delivery.body
    try:
        fields = parse_qsl(delivery.body, strict_parsing=True, errors="strict", max_num_fields=1)
    except ValueError as error:
        raise _unreadable("The body is no form with one field.") from error
    if [name for name, _ in fields] != [b"payload"]:
        raise _unreadable("The form's field is not called payload.")
    return fields[0][1]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


DECODER: Final = json.JSONDecoder(parse_constant=_no_number)


def read(body: bytes) -> tuple[str, Mapping[str, Any]]:
    """A verified body as text and as a JSON object."""
    try:
        text = body.decode()
        payload = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable("The body is not valid JSON.") from error
    if not isinstance(payload, dict):
        raise _unreadable("The body is not a JSON object.")
    return text, payload


def _unreadable(message: str) -> RefusedError:
    return RefusedError(BadRequestError(message), "unreadable")


def refusal(request: Request, to: Address | None, reason: str, now: float) -> dict[str, Any]:
    """A record of a refused request, without its body and without anything secret."""
    quoted = {
        name: request.headers[name][:LONGEST_HEADER] for name in HARMLESS if name in request.headers
    }
    sample = {
        "headers": quoted,
        "header_names": sorted(request.headers)[:50],
        "characters": len(request.text),
        "source_ip": request.source_ip,
        "request_id": request.id,
    }
    endpoint_id = to.endpoint_id if to else None
    return {
        "source": to.source if to else extraction.UNKNOWN,
        "event_id": f"refused:{request.id}",
        "type": "refused",
        "handler": "refused",
        "received_at": datetime.fromtimestamp(now, UTC).isoformat(),
        "endpoint_id": endpoint_id if endpoint_id and UUID.fullmatch(endpoint_id) else None,
        "body": json.dumps(sample),
        "refused": reason,
    }

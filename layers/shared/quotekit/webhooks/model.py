"""A sender's event as it travels from the handler over a queue to the worker.

Only the standard library is imported here: the handler does so before a signature is verified.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

if TYPE_CHECKING:
    from quotekit.database import Connection

LONGEST_ID: Final = 255
LARGEST: Final = 2**31  # beyond PostgreSQL's integer

type State = Literal["applied", "stale", "ignored"]
type Category = Literal["timeout", "validation", "external", "rate_limit", "unknown"]


class PermanentError(Exception):
    """The event can never be applied: a retry cannot mend it."""


@dataclass(frozen=True)
class Event:
    """One delivery, as `message` puts it on a queue and `of` reads it there.

    `created_at` is the sender's own time, `received_at` ours. `signature_key` is the place of the
    secret that verified it among the source's live ones. `refused` is set only in the sampled
    records of refused requests.
    """

    source: str
    event_id: str
    type: str
    handler: str
    received_at: datetime
    body: str = field(repr=False)
    action: str | None = None
    object_id: str | None = None
    created_at: datetime | None = None
    account_id: UUID | None = None
    endpoint_id: UUID | None = None
    debounce_seconds: int | None = None
    signature_key: int | None = None
    refused: str | None = None

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Event":
        """Raises PermanentError when the message is none of the handler's."""
        try:
            event_id = _text(message.get("event_id")) or ""
            return cls(
                source=_needed(message["source"]),
                event_id=event_id if 0 < len(event_id) <= LONGEST_ID else body_id(message["body"]),
                type=_needed(message["type"]),
                handler=_needed(message["handler"]),
                received_at=_time(message["received_at"]),
                body=_needed(message["body"]),
                action=_text(message.get("action")),
                object_id=_text(message.get("object_id")),
                created_at=message.get("created_at") and _time(message["created_at"]),
                account_id=message.get("account_id") and UUID(message["account_id"]),
                endpoint_id=message.get("endpoint_id") and UUID(message["endpoint_id"]),
                debounce_seconds=_number(message.get("debounce_seconds")),
                signature_key=_number(message.get("signature_key")),
                refused=_text(message.get("refused")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"not a message of the handler: {error!r}") from error

    @property
    def message(self) -> dict[str, Any]:
        given = {
            "source": self.source,
            "event_id": self.event_id,
            "type": self.type,
            "action": self.action,
            "object_id": self.object_id,
            "created_at": self.created_at and self.created_at.isoformat(),
            "received_at": self.received_at.isoformat(),
            "account_id": self.account_id and str(self.account_id),
            "endpoint_id": self.endpoint_id and str(self.endpoint_id),
            "handler": self.handler,
            "debounce_seconds": self.debounce_seconds,
            "signature_key": self.signature_key,
            "body": self.body,
        }
        return given if self.refused is None else {**given, "refused": self.refused}

    @cached_property
    def parsed(self) -> object:
        """The body as JSON; raises PermanentError when it is none."""
        try:
            return json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise PermanentError("the body is no JSON") from error

    @property
    def payload(self) -> Mapping[str, Any]:
        """The body as a JSON object; raises PermanentError when it is none."""
        payload = self.parsed
        if not isinstance(payload, dict):
            raise PermanentError("the body is no JSON object")
        return payload

    @property
    def happened_at(self) -> datetime:
        """The sender's time, or ours where he gives none."""
        return self.created_at or self.received_at


@dataclass(frozen=True)
class Outcome:
    """What an event came to: applied, stale (the object is already further), or ignored."""

    state: State
    details: Mapping[str, Any] = field(default_factory=dict)


type Effect = Callable[["Connection", Sequence[Event]], Sequence[Outcome]]
"""What one handler's events come to, in their order; raises when one of them cannot be applied."""


def body_id(body: str | bytes) -> str:
    """The id of an event whose sender gives it none: the same body is the same event."""
    content = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"no text: {value!r}")


def _needed(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"no text: {value!r}")


def _number(value: object) -> int | None:
    if value is None or (isinstance(value, int) and 0 <= value < LARGEST):
        return value
    raise ValueError(f"no small number: {value!r}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")  # as PostgreSQL and the RFC see it


def _time(text: str) -> datetime:
    """An ISO time; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

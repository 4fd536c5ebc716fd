"""One event as it is sent, and what has to come of it.

A letter is made from the run's name and a place: which kind of object it tells of, which object,
and when in that object's history. So it can be made again whenever it is needed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

BASE: Final = 1_790_000_000  # when the first object began, in seconds since 1970
SPACE: Final = UUID("5e0f4b1c-93ad-4c0e-9f2a-7d7a7f6c1c51")

type Json = dict[str, Any]
type Subject = tuple[str, ...]


class Place(NamedTuple):
    """The `version`-th thing told of an object, of `length` in all."""

    kind: str
    number: int
    version: int
    length: int

    @property
    def is_last(self) -> bool:
        return self.version == self.length - 1

    @property
    def at(self) -> int:
        """When it happened: the object's own time, never twice the same in one history."""
        return BASE + self.number % 5000 * 100 + self.version * 2


@dataclass(frozen=True, slots=True)
class Letter:
    """`subject` comes to `state` as of `at`; each of `effects` counts once for each letter that
    tells it, or once for all of them where it is `shared`."""

    source: str
    event_id: str
    body: bytes
    kind: str = ""
    endpoint_id: str | None = None
    subject: Subject = ()
    at: int = 0
    state: str = ""
    effects: tuple[tuple[str, ...], ...] = ()
    shared: bool = False

    @property
    def name(self) -> tuple[str, str | None, str]:
        return self.source, self.endpoint_id, self.event_id


def name(run: str, *parts: object) -> str:
    """An id of this run only: short, and told by nothing but its parts."""
    text = "|".join(map(str, (run, *parts)))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def account(run: str, kind: str, number: int) -> str:
    return str(uuid5(SPACE, f"{run}|account|{kind}|{number}"))


def endpoint(run: str, number: int) -> str:
    return str(uuid5(SPACE, f"{run}|endpoint|{number}"))


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()

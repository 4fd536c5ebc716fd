"""What a batch is made of, and what an operation has to say to be one of its."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import BaseModel

from quotekit.bodies import Body
from quotekit.database import Actor, Connection

if TYPE_CHECKING:
    from quotekit.outbox import Promise

LARGEST_INLINE: Final = 1_000
LARGEST_UPLOAD: Final = 1_000_000
LARGEST_CHUNK: Final = 1_000
SMALLEST_CHUNK: Final = 10
TARGET: Final = 2_000  # ms of work between two commits
ADMIT_WORK: Final = b"select auth.admit_work()"  # refuses who may not do it any more

type Priority = Literal["high", "normal", "low"]
type Status = Literal[
    "preparing",
    "pending",
    "running",
    "paused",
    "cancelling",
    "stopping",
    "finishing",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
]
type Made = Literal["changed", "created", "deleted", "sent", "exported", "unchanged"]
type Refused = Literal["missing", "forbidden", "conflict", "invalid", "quota", "error"]
type Code = Made | Refused | Literal["skipped"]

TOPICS: Final[Mapping[Priority, str]] = {
    "high": "batch_high",
    "normal": "batch",
    "low": "batch_low",
}
SUCCEEDED: Final = frozenset(get_args(Made.__value__))
SKIPPED: Final = "skipped"
FINAL: Final = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item.

    `message` is for a person and says why it failed; `data` is small, like the id of what was
    made."""

    code: Code
    message: str | None = None
    data: Mapping[str, Any] | None = None

    @property
    def status(self) -> Literal["succeeded", "failed", "skipped"]:
        if self.code == SKIPPED:
            return "skipped"
        return "succeeded" if self.code in SUCCEEDED else "failed"

    @property
    def stored(self) -> dict[str, Any]:
        """As results hold it: what is None is left out."""
        given = {"code": self.code, "message": self.message, "data": self.data}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Work:
    """One slice of a job in a worker's hands.

    `parameters` are the operation's own, checked. `promises` are delivered after the commit. A
    dry run is the engine's: it rolls the effect back and keeps the outcomes, promises nothing and
    stores no part, so that what it says is what would have happened.
    """

    job_id: UUID
    account_id: UUID
    created_by: UUID
    parameters: Any
    dry_run: bool
    now: datetime
    number: int = 0
    promises: list["Promise"] = field(default_factory=list)

    @property
    def actor(self) -> Actor:
        """Whoever asked for the batch, in his account and by his present role: row level security
        holds for items too."""
        return Actor("authenticated", self._claims("authenticated"), admission=ADMIT_WORK)

    @property
    def service(self) -> Actor:
        """The house, with the account's claims."""
        return Actor("service_role", self._claims("service_role"))

    def _claims(self, role: str) -> dict[str, str]:
        return {"role": role, "sub": str(self.created_by), "account_id": str(self.account_id)}


@dataclass(frozen=True, slots=True)
class Produced:
    """What a slice of an export came to: one outcome an item, and a part of the job's result.

    Outcomes may end before the items do, but not before the first: so a part stays small however
    large the things are, and the rest comes with the next slice. An empty part need not be kept.
    """

    outcomes: Sequence[Outcome]
    content: bytes


class NoParameters(Body):
    """An operation that wants none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing a batch can do. It works in exactly one of three ways.

    `apply`: set-based; one outcome per item, in their order, in the transaction it is given, which
    acts for the account. When it raises, the engine tries the items one by one.
    `apply_one`: item by item, each in a savepoint; a house error fails that item alone.
    `produce`: outside of a transaction, for what has no effect in PostgreSQL; the parts are put
    together by `finish`, which is given their keys in order and stores the result under the key.

    `item` is what each item has to look like. `key` is what makes two items the same thing.
    `feature` is the column of app.plans that has to be true; `managers`, that the caller has to
    manage the account. `milliseconds` is what an item is
    thought to take before any was measured. `most` is how many items a job may have.
    """

    name: str
    item: type[BaseModel]
    parameters: type[BaseModel] = NoParameters
    key: Callable[[Any], str] | None = None
    feature: str | None = "bulk_operations"
    managers: bool = False
    milliseconds: float = 1.0
    most: int = LARGEST_UPLOAD
    apply: Callable[[Connection, Work, Sequence[Any]], Sequence[Outcome]] | None = None
    apply_one: Callable[[Connection, Work, Any], Outcome] | None = None
    produce: Callable[[Work, Sequence[Any]], Produced] | None = None
    finish: Callable[[Work, Sequence[str], str], "Result"] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A job's result in the documents bucket."""

    key: str
    bytes: int
    type: str

"""Slices: some items of a chunk, done and written down in one transaction, or not at all."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from quotekit import database, outbox, storage
from quotekit.batches import claims, effects
from quotekit.batches.claims import Claim
from quotekit.batches.model import LARGEST_CHUNK, Operation, Outcome, Produced, Work
from quotekit.database import SERVICE, Connection
from quotekit.errors import ForbiddenError
from quotekit.settings import batch_settings

TIME: Final = 500.0  # ms of work between two looks whether the job still runs
CAUTION: Final = 8  # how many times fewer items are tried after each failure
WEIGHT: Final = 0.3  # of the newest measurement
OCTETS: Final = "application/octet-stream"

type Outcomes = Sequence[Outcome]
type Produce = Callable[[Work, Sequence[Any]], Produced]

_pace: Final[dict[str, float]] = {}  # ms an item took lately in this process, by operation


def forget_pace() -> None:
    """Know no operation's speed, as a new worker does."""
    _pace.clear()


@dataclass
class Counts:
    """What a worker did, for its metrics."""

    items: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    leases_lost: int = 0
    refused: int = 0


@dataclass
class Chunk:
    """A leased chunk: what is pending is null in its results."""

    claim: Claim
    operation: Operation
    results: list[dict[str, Any] | None]
    counts: Counts
    failures: int = 0  # in a row, of whoever had it before
    singly: int = 0  # items that are to be tried one by one
    granted: int = 0  # items the rate limit has let begin
    parts: int = 0
    milliseconds: float = 0.0

    @classmethod
    def of(cls, claim: Claim, operation: Operation, counts: Counts) -> "Chunk":
        results = claim.results or [None] * len(claim.items)
        return cls(claim, operation, results, counts, claim.failures)

    @property
    def pending(self) -> list[int]:
        return [place for place, result in enumerate(self.results) if result is None]

    @cached_property
    def parameters(self) -> Any:  # noqa: ANN401 - the operation's own
        return self.operation.parameters.model_validate(dict(self.claim.parameters))

    def work(self) -> Work:
        return self.claim.work(self.parameters)

    def next(self) -> list[int]:
        """The places of as many items as there is time for in a slice, by what was measured."""
        pace = _pace.get(self.operation.name, self.operation.milliseconds)
        most = min(max(int(TIME / max(pace, 0.001)), 1), LARGEST_CHUNK)
        cautious = max(most // CAUTION**self.failures, 1)
        return self.pending[: min(cautious, self.singly or cautious)]


def read(chunk: Chunk, places: Sequence[int]) -> dict[int, Any]:
    """The items at these places; one that does not fit any more is an outcome already."""
    found: dict[int, Any] = {}
    for place in places:
        try:
            found[place] = chunk.operation.item.model_validate(chunk.claim.items[place])
        except ValidationError as error:
            found[place] = Outcome("invalid", error.errors(include_url=False)[0]["msg"])
    return found


def advance(chunk: Chunk, places: Sequence[int]) -> int:
    """Do these items, or the first of them; how many are done."""
    read_items = read(chunk, places)
    if any(isinstance(item, Outcome) for item in read_items.values()):
        return settle_unreadable(chunk, read_items)
    items = list(read_items.values())
    try:
        if chunk.operation.produce is not None:
            return produce(chunk, chunk.operation.produce, places, items)
        return apply(chunk, places, items)
    except ForbiddenError as error:  # whoever asked is no member any more, or a viewer
        return write(chunk, places, [Outcome("forbidden", error.message)] * len(places))


def effect(chunk: Chunk, connection: Connection, work: Work, items: Sequence[Any]) -> Outcomes:
    operation = chunk.operation
    if operation.apply_one is not None:
        return effects.one_by_one(connection, work, operation.apply_one, items)
    if operation.apply is None:
        raise TypeError(f"{operation.name} neither applies nor produces")
    if chunk.singly:
        return effects.one_by_one(connection, work, effects.of_one(operation.apply), items)
    return effects.together(connection, work, operation.apply, items)


def settle_unreadable(chunk: Chunk, items: Mapping[int, Any]) -> int:
    given_up = {place: item for place, item in items.items() if isinstance(item, Outcome)}
    return write(chunk, list(given_up), list(given_up.values()))


def apply(chunk: Chunk, places: Sequence[int], items: Sequence[Any]) -> int:
    work = chunk.work()
    started = time.perf_counter()
    with database.transaction(work.service) as connection:
        claims.hold(connection, chunk.claim)
        connection.become(work.actor)
        outcomes = effect(chunk, connection, work, items)
        connection.become(work.service)
        done = Done(places, outcomes, (time.perf_counter() - started) * 1000)
        checkpoint(connection, chunk, done)
    note(chunk, done)
    if work.promises:
        outbox.deliver(work.promises)
    return len(outcomes)


def produce(chunk: Chunk, make: Produce, places: Sequence[int], items: Sequence[Any]) -> int:
    """Make a part outside of a transaction; the lease says afterwards whether it counts."""
    work = chunk.work()
    started = time.perf_counter()
    with database.transaction(work.service) as connection:
        claims.hold(connection, chunk.claim)
        claims.renew(connection, chunk.claim)
    made = effects.produced(work, make, items)
    parts = store(chunk, places[0], made.content)
    with database.transaction(work.service) as connection:
        claims.hold(connection, chunk.claim)
        spent = (time.perf_counter() - started) * 1000
        done = Done(places, made.outcomes, spent, parts)
        checkpoint(connection, chunk, done)
    note(chunk, done)
    return len(made.outcomes)


def store(chunk: Chunk, place: int, content: bytes) -> list[str]:
    if chunk.claim.dry_run or not content:
        return []
    claim = chunk.claim
    key = f"batches/{claim.id}/parts/{claim.number:06}-{claim.lease}-{place:04}"
    storage.put(storage.documents(), key, content, OCTETS)
    return [key]


RESULTS: Final = """
select results from app.batch_chunks where job_id = %(job_id)s and number = %(number)s
"""


def give_up(chunk: Chunk, outcome: Outcome) -> None:
    """Write the same down for whatever is pending; of a commit that got lost, nobody knows here."""
    with database.reading(SERVICE) as connection:
        row = connection.execute(RESULTS, chunk.claim.key).fetchone()
    chunk.results = (row and row[0]) or [None] * len(chunk.claim.items)
    places = chunk.pending
    if places:
        write(chunk, places, [outcome] * len(places))


def write(chunk: Chunk, places: Sequence[int], outcomes: Sequence[Outcome]) -> int:
    """Write down what became of items without doing anything to them."""
    with database.transaction(SERVICE) as connection:
        claims.hold(connection, chunk.claim)
        done = Done(places, outcomes, 0.0)
        checkpoint(connection, chunk, done)
    note(chunk, done)
    return len(outcomes)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the first of these items, and how long it took."""

    places: Sequence[int]
    outcomes: Sequence[Outcome]
    milliseconds: float
    parts: Sequence[str] = ()

    def applied(self, results: Sequence[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
        changed = list(results)
        for place, outcome in zip(self.places, self.outcomes, strict=False):
            changed[place] = outcome.stored
        return changed


CHECKPOINT: Final = """
update app.batch_chunks as chunk
set results = %(results)s, succeeded = succeeded + %(succeeded)s, failed = failed + %(failed)s,
    skipped = skipped + %(skipped)s, parts = parts || %(parts)s::text[],
    tallies = tallies || (
        select coalesce(jsonb_object_agg(key, coalesce((chunk.tallies ->> key)::integer, 0)
            + value::integer), '{}')
        from jsonb_each_text(%(tallies)s)),
    milliseconds = milliseconds + %(milliseconds)s, failures = 0, error = null,
    state = case when %(done)s then 'done' else 'running' end,
    finished_at = case when %(done)s then clock_timestamp() end,
    lease = case when %(done)s then null else lease end,
    leased_until = case when %(done)s then null
        else clock_timestamp() + make_interval(secs => %(seconds)s) end
where job_id = %(job_id)s and number = %(number)s and lease = %(lease)s
"""


def checkpoint(connection: Connection, chunk: Chunk, done: Done) -> None:
    """Write results, counts and the lease down, with the commit of the effect."""
    results = done.applied(chunk.results)
    by_status = Counter(outcome.status for outcome in done.outcomes)
    values = {
        **chunk.claim.key,
        "results": Jsonb(results, dumps=dumps),
        "tallies": Jsonb(Counter(outcome.code for outcome in done.outcomes)),
        **{name: by_status[name] for name in ("succeeded", "failed", "skipped")},
        "parts": list(done.parts),
        "milliseconds": round(done.milliseconds, 3),
        "done": None not in results,
        "seconds": batch_settings().lease_seconds,
    }
    connection.defer(CHECKPOINT, values)


def dumps(results: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(results, separators=(",", ":"), default=str)


def note(chunk: Chunk, done: Done) -> None:
    """Know after the commit what was committed, and how fast."""
    chunk.results = done.applied(chunk.results)
    chunk.singly = max(chunk.singly - len(done.outcomes), 0)
    chunk.granted -= len(done.outcomes)
    chunk.milliseconds += done.milliseconds
    chunk.counts.items.update(outcome.status for outcome in done.outcomes)
    if done.milliseconds and done.outcomes:
        took = done.milliseconds / len(done.outcomes)
        known = _pace.get(chunk.operation.name, took)
        _pace[chunk.operation.name] = known + WEIGHT * (took - known)

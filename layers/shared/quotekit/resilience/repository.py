"""Breakers as rows: one state that every process reads and changes under its lock."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.resilience import signals
from quotekit.resilience.machine import Override, Phase, State

# A holder that hangs must not make every caller of a service hang: they go on by themselves.
LOCK_TIMEOUT: Final = "select set_config('lock_timeout', '500ms', true)"
READ: Final = """
select now.epoch as now, phase, extract(epoch from since)::float8 as since, generation, consecutive,
       step, good, bad, buckets, probes, override,
       extract(epoch from override_until)::float8 as override_until
from (select extract(epoch from clock_timestamp())::float8 as epoch) as now
left join ops.breakers on dependency = %(dependency)s
"""
LOCK: Final = """
select extract(epoch from clock_timestamp())::float8 as now, phase,
       extract(epoch from since)::float8 as since, generation, consecutive,
       step, good, bad, buckets, probes, override,
       extract(epoch from override_until)::float8 as override_until
from ops.breakers where dependency = %(dependency)s for update
"""
MAKE: Final = """
insert into ops.breakers (id, dependency, profile) values (%(id)s, %(dependency)s, %(profile)s)
on conflict (dependency) do nothing
"""


def read(connection: Connection, dependency: str) -> tuple[State, float]:
    """The state, and what time it is; a breaker nobody wrote yet is closed."""
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(READ, {"dependency": dependency})
    return _state(row), row["now"]


def lock(connection: Connection, dependency: str) -> tuple[State, float] | None:
    """The state, kept from others until the transaction ends; None when there is none yet."""
    connection.defer(LOCK_TIMEOUT, ())
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(LOCK, {"dependency": dependency}).fetchone()
    return None if row is None else (_state(row), row["now"])


def lock_new(connection: Connection, dependency: str, profile: str) -> tuple[State, float]:
    """The state of a breaker that comes to be known now."""
    connection.defer(MAKE, {"id": new_id(), "dependency": dependency, "profile": profile})
    made = lock(connection, dependency)
    if made is None:
        raise AssertionError("a breaker is never deleted")
    return made


def _state(row: Mapping[str, Any]) -> State:
    if row["phase"] is None:
        return State()
    override, until = row["override"], row["override_until"]
    return State(
        phase=row["phase"],
        since=row["since"],
        generation=row["generation"],
        consecutive=row["consecutive"],
        step=row["step"],
        good=row["good"],
        bad=row["bad"],
        buckets={int(start): (calls, bad) for start, (calls, bad) in row["buckets"].items()},
        probes=row["probes"],
        override=Override(override, until) if override else None,
    )


SAVE: Final = """
update ops.breakers
set profile = %(profile)s, phase = %(phase)s, since = to_timestamp(%(since)s),
    generation = %(generation)s,
    consecutive = %(consecutive)s, step = %(step)s, good = %(good)s, bad = %(bad)s,
    buckets = %(buckets)s, probes = %(probes)s, updated_at = clock_timestamp()
where dependency = %(dependency)s
"""


def save(connection: Connection, dependency: str, profile: str, state: State) -> None:
    values = {
        "dependency": dependency,
        "profile": profile,
        "phase": state.phase,
        "since": state.since,
        "generation": state.generation,
        "consecutive": state.consecutive,
        "step": state.step,
        "good": state.good,
        "bad": state.bad,
        "buckets": Jsonb({str(start): list(counts) for start, counts in state.buckets.items()}),
        "probes": Jsonb(dict(state.probes)),
    }
    connection.defer(SAVE, values)


RECORD: Final = """
insert into ops.breaker_transitions (id, dependency, from_phase, to_phase, reason, calls, failures)
values (%(id)s, %(dependency)s, %(from_phase)s, %(to_phase)s, %(reason)s, %(calls)s, %(failures)s)
"""


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker's change; what was counted, where it rests on counts."""

    from_phase: Phase
    to_phase: Phase
    reason: signals.Reason
    calls: int | None = None
    failures: int | None = None


def record(connection: Connection, dependency: str, transition: Transition) -> None:
    values = {"id": new_id(), "dependency": dependency, **asdict(transition)}
    connection.defer(RECORD, values)


OVERRIDE: Final = """
insert into ops.breakers (id, dependency, profile, override, override_until, override_reason)
values (%(id)s, %(dependency)s, 'default', %(phase)s,
        clock_timestamp() + make_interval(secs => %(seconds)s), %(reason)s)
on conflict (dependency) do update
set override = excluded.override, override_until = excluded.override_until,
    override_reason = excluded.override_reason, updated_at = clock_timestamp()
returning id
"""


def override(
    connection: Connection,
    dependency: str,
    *,
    phase: Phase,
    seconds: float,
    reason: str,
) -> UUID:
    values = {
        "id": new_id(),
        "dependency": dependency,
        "phase": phase,
        "seconds": seconds,
        "reason": reason,
    }
    (row,) = connection.execute(OVERRIDE, values)
    found: UUID = row[0]
    return found


LIFT: Final = """
update ops.breakers
set override = null, override_until = null, override_reason = null, phase = 'closed',
    since = clock_timestamp(), generation = generation + 1, consecutive = 0, step = 0, good = 0,
    bad = 0, buckets = '{}', probes = '{}', updated_at = clock_timestamp()
where dependency = %(dependency)s
returning id
"""


def lift(connection: Connection, dependency: str) -> UUID:
    """Close a known breaker and forget what it counted, and what an operator decided."""
    (row,) = connection.execute(LIFT, {"dependency": dependency})
    found: UUID = row[0]
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """A breaker as an operator sees it."""

    dependency: str
    profile: str
    phase: Phase
    since: datetime
    step: int
    override: Phase | None
    override_until: datetime | None
    override_reason: str | None
    opened_last_24_hours: int
    updated_at: datetime


KNOWN: Final = """
select dependency, profile, phase, since, step,
       case when override_until > now() then override end as override,
       case when override_until > now() then override_until end as override_until,
       case when override_until > now() then override_reason end as override_reason,
       (select count(*) from ops.breaker_transitions as moved
        where moved.dependency = breakers.dependency and moved.to_phase = 'open'
          and moved.occurred_at > now() - interval '24 hours')::integer as opened_last_24_hours,
       updated_at
from ops.breakers as breakers
order by dependency
"""


def known(connection: Connection) -> Sequence[Known]:
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        return cursor.execute(KNOWN).fetchall()

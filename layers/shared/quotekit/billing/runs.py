"""Runs of the reconcile and the differences they found, as rows for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit.database import Connection
from quotekit.errors import ConflictError
from quotekit.identifiers import new_id

LEASE_SECONDS: Final = 120  # a page and its answer take less; whoever needs longer has died
SHOWN: Final = 100

type Phase = Literal["products", "prices", "customers", "subscriptions", "ours"]
type Decision = Literal["applied", "would_apply", "ours_is_newer", "for_a_human"]


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of Stripe; it went as far as `phase` and `cursor` say."""

    id: UUID
    dry_run: bool
    status: Literal["running", "done"]
    phase: Phase
    cursor: str | None
    checked: int
    applied: int
    reason: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`ours` and `theirs` hold only what differs; null where one has no such thing."""

    kind: str
    object_id: str
    account_id: UUID | None
    ours: Mapping[str, Any] | None
    theirs: Mapping[str, Any] | None
    decided: Decision


@dataclass(frozen=True, slots=True)
class Report:
    """A run and what it was the first to find."""

    run: Run
    differences: Sequence[Difference]
    differences_total: int


COLUMNS: Final[LiteralString] = """id, dry_run, status, phase, cursor, checked, applied, reason,
    started_at, finished_at"""
BEGIN: Final[LiteralString] = (
    """
insert into ops.billing_reconciles (id, dry_run, leased_until)
values (%(id)s, coalesce(%(dry_run)s, false), now() + make_interval(secs => %(lease)s))
on conflict (status) where status = 'running' do nothing
returning """
    + COLUMNS
)
GO_ON: Final[LiteralString] = (
    """
update ops.billing_reconciles
set leased_until = now() + make_interval(secs => %(lease)s), reason = null
where status = 'running' and (leased_until is null or leased_until < now())
  and dry_run = coalesce(%(dry_run)s, dry_run)
returning """
    + COLUMNS
)


def begin(connection: Connection, *, dry_run: bool | None) -> Run:
    """Begin a run, or go on with the one that stopped. Raises ConflictError for one at work."""
    values = {"id": new_id(), "dry_run": dry_run, "lease": LEASE_SECONDS}
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        begun = cursor.execute(BEGIN, values).fetchone()
        begun = begun or cursor.execute(GO_ON, values).fetchone()
    if begun is None:
        raise ConflictError("A reconcile is at work, or waits to be finished with another dry_run.")
    return begun


SAVE: Final[LiteralString] = (
    """
update ops.billing_reconciles
set phase = %(phase)s, cursor = %(cursor)s, checked = checked + %(checked)s,
    applied = applied + %(applied)s, leased_until = now() + make_interval(secs => %(lease)s)
where id = %(id)s and status = 'running' and phase = %(at_phase)s
  and cursor is not distinct from %(at_cursor)s
returning """
    + COLUMNS
)


def save(
    connection: Connection,
    run: Run,
    *,
    phase: Phase,
    cursor: str | None,
    checked: int = 0,
    applied: int = 0,
) -> Run:
    """Note how far a run came. Raises ConflictError when another went on with it meanwhile."""
    place = {"id": run.id, "at_phase": run.phase, "at_cursor": run.cursor}
    moved = {"phase": phase, "cursor": cursor, "checked": checked, "applied": applied}
    with connection.cursor(row_factory=class_row(Run)) as rows:
        saved = rows.execute(SAVE, place | moved | {"lease": LEASE_SECONDS}).fetchone()
    if saved is None:
        raise ConflictError("Another process goes on with this reconcile.")
    return saved


STOP: Final = """
update ops.billing_reconciles set leased_until = null, reason = %(reason)s
where id = %(id)s and status = 'running'
"""


def stop(connection: Connection, run: Run, reason: str | None) -> None:
    """Leave the rest to the next call."""
    connection.execute(STOP, {"id": run.id, "reason": reason})


FINISH: Final = """
update ops.billing_reconciles
set status = 'done', finished_at = now(), leased_until = null, cursor = null,
    applied = applied + %(applied)s
where id = %(id)s
"""
FORGET_SEEN: Final = "delete from ops.billing_seen where run_id = %(id)s"


def finish(connection: Connection, run: Run, *, applied: int) -> None:
    connection.defer(FORGET_SEEN, {"id": run.id})
    connection.defer(FINISH, {"id": run.id, "applied": applied})


SEEN: Final = """
insert into ops.billing_seen (run_id, object_id) select %(id)s, unnest(%(ids)s::text[])
on conflict do nothing
"""


def mark_seen(connection: Connection, run: Run, object_ids: Sequence[str]) -> None:
    connection.defer(SEEN, {"id": run.id, "ids": list(object_ids)})


REPORT: Final = """
insert into ops.billing_differences
    (id, run_id, kind, object_id, account_id, ours, theirs, decided)
values (%(id)s, %(run_id)s, %(kind)s, %(object_id)s, %(account_id)s, %(ours)s, %(theirs)s,
    %(decided)s)
on conflict (kind, object_id, decided,
    md5(coalesce(ours::text, '') || ' / ' || coalesce(theirs::text, '')))
    where decided <> 'applied' do update set seen_at = now()
"""


def report(connection: Connection, run: Run, found: Sequence[Difference]) -> int:
    """Keep what differs, each once; how many were applied."""
    for difference in found:
        jsons = {
            "ours": None if difference.ours is None else Jsonb(difference.ours),
            "theirs": None if difference.theirs is None else Jsonb(difference.theirs),
        }
        values = asdict(difference) | jsons | {"id": new_id(), "run_id": run.id}
        connection.defer(REPORT, values)
    return sum(difference.decided == "applied" for difference in found)


GET: Final[LiteralString] = "select " + COLUMNS + " from ops.billing_reconciles where id = %(id)s"
FOUND: Final = """
select kind, object_id, account_id, ours, theirs, decided
from ops.billing_differences where run_id = %(id)s order by found_at, id limit %(limit)s
"""
TOTAL: Final = "select count(*) from ops.billing_differences where run_id = %(id)s"


def read(connection: Connection, run: Run) -> Report:
    values = {"id": run.id, "limit": SHOWN}
    with connection.cursor(row_factory=class_row(Run)) as rows:
        (now,) = rows.execute(GET, values)
    with connection.cursor(row_factory=class_row(Difference)) as rows:
        found = rows.execute(FOUND, values).fetchall()
    (total,) = connection.execute(TOTAL, values).fetchone() or (0,)
    return Report(now, found, total)

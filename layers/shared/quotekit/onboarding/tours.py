"""Tours: who may take which, how far a person is, and every step he takes written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import dict_row

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, QuotaExceededError, invalid
from quotekit.identifiers import new_id
from quotekit.onboarding import checklist
from quotekit.onboarding.model import Status, Tour, TourStep
from quotekit.onboarding.requests import StepReport, Where
from quotekit.paging import Page

SELECT: Final[LiteralString] = """
select tour.id, tour.name, tour.description, tour.gate, tour.requires, progress.status,
    progress.started_at, progress.completed_at, progress.last_active_at,
    app.plan_key((select auth.account_id())) as plan,
    array(
        select needed from unnest(tour.requires) as needed
        where not exists (
            select from app.tour_progress as other
            where other.account_id = (select auth.account_id())
              and other.user_id = (select auth.uid())
              and other.tour_id = needed and other.status = 'completed')) as missing,
    (select jsonb_agg(jsonb_build_object('key', step.key, 'title', step.title, 'fact', step.fact,
        'outcome', done.outcome, 'done_at', done.done_at) order by step.position)
     from app.tour_steps as step
     left join app.tour_steps_done as done
        on done.account_id = (select auth.account_id()) and done.user_id = (select auth.uid())
        and done.tour_id = step.tour_id and done.step = step.key
     where step.tour_id = tour.id) as steps
from app.tours as tour
left join app.tour_progress as progress
    on progress.account_id = (select auth.account_id())
    and progress.user_id = (select auth.uid()) and progress.tour_id = tour.id
where tour.is_active
"""
GET: Final[LiteralString] = SELECT + " and tour.id = %(id)s"
LIST: Final[LiteralString] = SELECT + " order by tour.sort_order, tour.id"


def tours(connection: Connection) -> Page[Tour]:
    """All there are, in their order, with how far the caller is."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return Page([assembled(row) for row in cursor.execute(LIST).fetchall()], None)


def get(connection: Connection, tour_id: str) -> Tour:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(GET, {"id": tour_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such tour.")
    return assembled(row)


def assembled(row: Mapping[str, Any]) -> Tour:
    said = {name: row[name] for name in SAID}
    steps = [step_of(step) for step in row["steps"] or ()]
    status: Status = row["status"] or "not_started"
    ahead = (step.key for step in steps if step.outcome is None)
    reason = refusal(row["gate"], row["plan"], row["missing"])
    return Tour(
        **said,
        steps=steps,
        status=status,
        available=reason is None,
        reason=reason,
        current_step=next(ahead, None) if status == "in_progress" else None,
    )


SAID: Final = (
    *("id", "name", "description", "gate", "requires"),
    *("started_at", "completed_at", "last_active_at"),
)


def step_of(step: Mapping[str, Any]) -> TourStep:
    done_at = step["done_at"] and datetime.fromisoformat(step["done_at"])
    return TourStep(**{**step, "done_at": done_at})


def refusal(gate: str, plan: str, missing: Sequence[str]) -> str | None:
    """Why a person may not take a tour now."""
    if gate == "paid" and plan == "free":
        return "This tour is for paid plans."
    if gate == "free" and plan != "free":
        return "This tour is for the free plan."
    return f"First comes {', '.join(missing)}." if missing else None


# Its row lock puts what one person does in one tour one after the other.
HOLD: Final = """
select status from app.tour_progress
where account_id = (select auth.account_id()) and user_id = (select auth.uid())
  and tour_id = %(id)s
for update
"""
BEGIN: Final = """
insert into app.tour_progress (tour_id, status, started_at, last_active_at)
values (%(id)s, %(status)s, %(started_at)s, %(now)s)
on conflict (account_id, user_id, tour_id) do nothing
returning tour_id
"""
MOVE: Final = """
update app.tour_progress
set status = %(status)s, last_active_at = %(now)s,
    started_at = coalesce(started_at, %(started_at)s),
    completed_at = case when %(status)s = 'completed' then %(now)s end
where account_id = (select auth.account_id()) and user_id = (select auth.uid())
  and tour_id = %(id)s
"""
# From which states a tour comes to which; a completed one stays completed.
MAY: Final[Mapping[str, Sequence[str | None]]] = {
    "in_progress": (None, "skipped", "abandoned"),
    "skipped": (None, "in_progress"),
    "abandoned": ("in_progress",),
}


def start(connection: Connection, tour_id: str, where: Where, now: datetime) -> Tour:
    """Begin a tour, or take it up again. Raises QuotaExceededError by gate, ConflictError while
    prerequisites are missing and once it is completed; twice is once."""
    tour = get(connection, tour_id)
    if tour.status == "in_progress":
        return tour
    if tour.gate == "paid" and not tour.available and "paid" in (tour.reason or ""):
        raise QuotaExceededError(tour.reason)
    if not tour.available:
        raise ConflictError(tour.reason)
    return moved(connection, tour_id, "in_progress", where, now)


def skip(connection: Connection, tour_id: str, where: Where, now: datetime) -> Tour:
    """Do without a tour. Raises ConflictError once it is completed."""
    return moved(connection, tour_id, "skipped", where, now)


def abandon(connection: Connection, tour_id: str, where: Where, now: datetime) -> Tour:
    """Leave a tour that was begun. Raises ConflictError for any other."""
    return moved(connection, tour_id, "abandoned", where, now)


def moved(connection: Connection, tour_id: str, status: str, where: Where, now: datetime) -> Tour:
    known = get(connection, tour_id)
    (present,) = connection.execute(HOLD, {"id": tour_id}).fetchone() or (None,)
    if present == status:
        return get(connection, tour_id)
    if present not in MAY[status]:
        state = known.status.replace("_", " ")
        raise ConflictError(f"A tour that is {state} cannot become {status.replace('_', ' ')}.")
    started_at = now if status == "in_progress" else None
    values = {"id": tour_id, "status": status, "started_at": started_at, "now": now}
    if present is not None:
        connection.execute(MOVE, values)
    elif connection.execute(BEGIN, values).fetchone() is None:  # begun in this moment by another
        return get(connection, tour_id)
    told = "resumed" if present and status == "in_progress" else NAMES.get(status, status)
    note(connection, tour_id, told, where, now)
    return get(connection, tour_id)


NAMES: Final = {"in_progress": "started"}
EVENT: Final = """
insert into app.tour_events (id, tour_id, step, event, session_id, device, occurred_at)
values (%(id)s, %(tour)s, %(step)s, %(event)s, %(session_id)s, %(device)s, %(now)s)
"""


def note(
    connection: Connection,
    tour_id: str,
    event: str,
    where: Where,
    now: datetime,
    *,
    step: str | None = None,
) -> None:
    """Write an event for the funnel, and what changed something for the audit."""
    event_id = new_id()
    said = {"session_id": where.session_id, "device": where.device}
    values = said | {"id": event_id, "tour": tour_id, "step": step, "event": event, "now": now}
    connection.execute(EVENT, values)
    if event != "step_viewed":
        details = {"tour": tour_id} | ({"step": step} if step else {})
        audit.record(connection, f"tour.{event}", event_id, details)


DONE: Final = """
insert into app.tour_steps_done as done (tour_id, step, outcome, done_at)
values (%(id)s, %(step)s, %(outcome)s, %(now)s)
on conflict (account_id, user_id, tour_id, step) do update
set outcome = excluded.outcome, done_at = excluded.done_at
where done.outcome = 'skipped' and excluded.outcome = 'completed'
returning step
"""


def report(
    connection: Connection, tour_id: str, step: str, body: StepReport, now: datetime
) -> Tour:
    """Take a step. The last one that is done or left out completes the tour.

    Raises InvalidInputError for an unknown step, ConflictError for a tour that is not under way
    or a step the database does not see done."""
    known = {each.key: each for each in get(connection, tour_id).steps}
    if step not in known:
        raise invalid("step", "is not one of this tour")
    (present,) = connection.execute(HOLD, {"id": tour_id}).fetchone() or (None,)
    if present != "in_progress":
        raise ConflictError("The tour is not under way; start it first.")
    if body.event == "viewed":
        note(connection, tour_id, "step_viewed", body, now, step=step)
        return get(connection, tour_id)
    fact = known[step].fact
    if body.event == "completed" and fact and fact not in checklist.facts(connection):
        raise ConflictError(f"It is not done yet: {fact.replace('_', ' ')}.")
    values = {"id": tour_id, "step": step, "outcome": body.event, "now": now}
    if connection.execute(DONE, values).fetchone() is not None:
        note(connection, tour_id, f"step_{body.event}", body, now, step=step)
    return finished(connection, tour_id, body, now)


def finished(connection: Connection, tour_id: str, where: Where, now: datetime) -> Tour:
    tour = get(connection, tour_id)
    if any(step.outcome is None for step in tour.steps):
        return tour
    values = {"id": tour_id, "status": "completed", "started_at": now, "now": now}
    connection.execute(MOVE, values)
    note(connection, tour_id, "completed", where, now)
    return get(connection, tour_id)

"""All that Stripe has, read page by page and compared with what its events left here.

A difference is applied only where our row is older than the moment Stripe was read at, by Stripe's
own clock; then the row is as true as that moment, and an event from before it changes nothing.
Each page is kept together with the place it was read to, so a run that was cut short goes on there.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.errors import DeadlockDetected
from psycopg.rows import dict_row
from pydantic_core import to_jsonable_python

from quotekit import database
from quotekit.billing import client, consequences, mirrors, objects, repository, runs
from quotekit.billing.client import MOST, Answer, Stripe
from quotekit.billing.mirrors import MIRRORS, Mirror
from quotekit.billing.model import Version
from quotekit.billing.objects import Json
from quotekit.billing.refusals import StripeUnavailableError
from quotekit.billing.runs import Difference, Report, Run
from quotekit.database import SERVICE, Connection
from quotekit.errors import ConflictError, QuoteKitError
from quotekit.webhooks.model import PermanentError

ONCE_MORE: Final = 2


def read_stripe(seconds: float, *, dry_run: bool | None) -> Report:
    """Reconcile for so long."""
    stripe = client.stripe(seconds)
    with stripe.leased():
        return reconcile(stripe, dry_run=dry_run)


def reconcile(stripe: Stripe, *, dry_run: bool | None) -> Report:
    """Read on until all is read or the time is over; without a `dry_run`, go on with any run."""
    with database.transaction(SERVICE) as connection:
        run = runs.begin(connection, dry_run=dry_run)
    reason: str | None = "it stopped by an error of ours"
    try:
        run = _read_on(stripe, run)
        reason = None
    except QuoteKitError as error:
        reason = error.message
        raise
    except PermanentError as error:
        reason = "Stripe's answer could not be read"
        raise StripeUnavailableError from error
    finally:
        with database.transaction(SERVICE) as connection:
            runs.stop(connection, run, reason)
    with database.transaction(SERVICE) as connection:
        return runs.read(connection, run)


def _read_on(stripe: Stripe, run: Run) -> Run:
    while run.phase != "ours" and time.monotonic() < stripe.until:
        mirror = MIRRORS[run.phase]
        after = {"starting_after": run.cursor} if run.cursor else {}
        try:
            answer = stripe.get(mirror.path, limit=MOST, **mirror.params, **after)
        except ConflictError:
            if run.cursor is None:
                raise
            with database.transaction(SERVICE) as connection:  # what it points to is gone
                run = runs.save(connection, run, phase=run.phase, cursor=None)
            continue
        run = _take_patiently(run, mirror, answer)
    if run.phase == "ours":
        with database.transaction(SERVICE) as connection:
            runs.finish(connection, run, applied=look_at_ours(connection, run))
    return run


def _take_patiently(run: Run, mirror: Mirror, answer: Answer) -> Run:
    """A page locks many customers; where that crosses a worker's way, once more from the start."""
    for _ in range(ONCE_MORE):
        try:
            with database.transaction(SERVICE) as connection:
                return take(connection, run, mirror, answer)
        except DeadlockDetected:
            continue
    with database.transaction(SERVICE) as connection:
        return take(connection, run, mirror, answer)


def take(connection: Connection, run: Run, mirror: Mirror, answer: Answer) -> Run:
    """Compare one page, apply what is newer, and note the place."""
    if mirror.kind in {"product", "price"}:
        repository.lock_catalogue(connection)
    things = {objects.name(thing): thing for thing in answer.data}
    known = mirrors.ours(connection, mirror, list(things))
    found = []
    for name, thing in things.items():
        difference = _compare(connection, run, Pair(mirror, known.get(name), thing, answer.read_at))
        if difference is not None:
            found.append(difference)
    runs.mark_seen(connection, run, list(things))
    applied = runs.report(connection, run, found)
    more = bool(answer.body.get("has_more")) and bool(things)
    phase = run.phase if more else mirror.following
    cursor = list(things)[-1] if more else None
    count = len(things)
    return runs.save(connection, run, phase=phase, cursor=cursor, checked=count, applied=applied)


class Pair(NamedTuple):
    """A thing of Stripe's beside our row of it."""

    mirror: Mirror
    row: Mapping[str, Any] | None
    thing: Json
    read_at: datetime


def _compare(connection: Connection, run: Run, pair: Pair) -> Difference | None:
    mirror, row, thing, read_at = pair
    name = str(thing["id"])
    try:
        said = mirror.said(connection, thing)
        version = Version(mirror.final(thing), read_at)
    except PermanentError as error:
        kind = f"{mirror.kind}.unreadable"
        return Difference(kind, name, None, None, {"reason": str(error)}, "for_a_human")
    differing = [key for key in said if row is None or (key in row and row[key] != said[key])]
    if not differing:
        return None
    decided = decide(run, row, version)
    if decided == "applied" and not mirror.apply(connection, thing, version):
        decided = "ours_is_newer"  # an event came in between
    return Difference(
        kind=f"{mirror.kind}.{'missing_here' if row is None else 'differs'}",
        object_id=name,
        account_id=None if row is None else row.get("account_id"),
        ours=None if row is None else shown(row, differing),
        theirs=shown(said, differing),
        decided=decided,
    )


def decide(run: Run, row: Mapping[str, Any] | None, version: Version) -> runs.Decision:
    if row is not None and row["final"] and not version.final:
        return "for_a_human"  # what is over here lives at Stripe
    if row is not None and row["as_of"] >= version.as_of and row["final"] == version.final:
        return "ours_is_newer"
    return "would_apply" if run.dry_run else "applied"


def shown(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = to_jsonable_python({name: values[name] for name in names})
    return chosen


# What no page can show: rows that Stripe does not have, customers of nobody, two subscriptions of
# one account, prices of no plan, and accounts whose subscription does not follow from the rows.
OURS: Final = """
select 'subscription.not_at_stripe' as kind, held.id as object_id, customer.account_id,
    jsonb_build_object('status', held.status) as ours, null::jsonb as theirs
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id
where not held.final and held.as_of < %(started_at)s
  and not exists (select from ops.billing_seen where run_id = %(id)s and object_id = held.id)
union all
select 'customer.not_at_stripe', customer.id, customer.account_id,
    jsonb_build_object('account_id', customer.account_id), null
from app.stripe_customers as customer
where not customer.final and customer.as_of < %(started_at)s
  and coalesce(customer.claimed_at, '-infinity') < %(started_at)s
  and not exists (select from ops.billing_seen where run_id = %(id)s and object_id = customer.id)
union all
select 'subscription.of_nobody', held.id, null, null,
    jsonb_build_object('customer_id', held.customer_id, 'status', held.status)
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id
where not held.final and customer.account_id is null
union all
select 'subscription.of_no_plan', held.id, customer.account_id, null,
    jsonb_build_object('product_ids', held.product_ids)
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id
where not held.final and customer.account_id is not null and not exists (
    select from app.stripe_products
    where id = any(held.product_ids) and plan_key is not null)
union all
select 'account.two_subscriptions', customer.account_id::text, customer.account_id, null,
    jsonb_build_object('subscriptions', jsonb_agg(held.id order by held.id))
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id
where held.status in ('active', 'trialing', 'past_due') and customer.account_id is not null
group by customer.account_id having count(*) > 1
"""
UNSETTLED: Final = """
select account_id, to_jsonb(held) - 'updated_at' as ours, to_jsonb(wanted) as theirs
from app.subscriptions as held full join app.subscriptions_in_force as wanted using (account_id)
where to_jsonb(held) - 'updated_at' is distinct from to_jsonb(wanted)
  and (held.stripe_subscription_id is not null or wanted.account_id is not null)
"""


def look_at_ours(connection: Connection, run: Run) -> int:
    """Report what only the whole shows, and settle what did not follow; how many were settled."""
    repository.lock_catalogue(connection)
    values = {"id": run.id, "started_at": run.started_at}
    with connection.cursor(row_factory=dict_row) as cursor:
        found = [
            Difference(**row, decided="for_a_human")
            for row in cursor.execute(OURS, values).fetchall()
        ]
        rows = cursor.execute(UNSETTLED).fetchall()
    accounts: list[UUID] = [row["account_id"] for row in rows]
    decided: runs.Decision = "would_apply" if run.dry_run else "applied"
    for row in rows:
        name = row["account_id"]
        keys = [key for key in (row["theirs"] or row["ours"]) if differs(row, key)]
        ours, theirs = (side and shown(side, keys) for side in (row["ours"], row["theirs"]))
        found.append(Difference("account.unsettled", str(name), name, ours, theirs, decided))
    if not run.dry_run:
        consequences.settle(connection, accounts)
    return runs.report(connection, run, found)


def differs(row: Mapping[str, Any], key: str) -> bool:
    ours, theirs = (row[side] or {} for side in ("ours", "theirs"))
    return key not in ours or key not in theirs or ours[key] != theirs[key]

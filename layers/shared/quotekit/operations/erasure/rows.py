"""The rows of an account under erasure: none can be added, all are deleted, a thousand at a time.

Each part is one statement in one transaction, which notes what it deleted: killed anywhere it is
done or not, and counted once. Two workers at once take turns: a part is looked for with the
erasure's row locked, so that who finds nothing knows that there is nothing.
"""

import time
from datetime import datetime
from typing import Final

from psycopg import sql
from psycopg.types.json import Jsonb

from quotekit import database
from quotekit.database import SERVICE, Connection
from quotekit.operations.erasure import asking, catalogue
from quotekit.operations.erasure.model import Open

BATCH: Final = 1000
PAGE: Final = 2000  # webhooks looked through at a time

LOCK: Final = "select from app.accounts where id = %(account)s for update"
WAITS: Final = "update ops.erasures set reason = %(reason)s where id = %(id)s"
BEGIN: Final = """
with begun as (
    update ops.erasures set status = 'erasing', begun_at = %(now)s, reason = null
    where id = %(id)s and status = 'waiting' returning account_sha256
)
insert into ops.erased_names (digest) select decode(account_sha256, 'hex') from begun
on conflict (digest) do nothing returning digest
"""


def begin(erasure: Open, now: datetime) -> None:
    """Shut the account: it has no members any more, and nobody can become one.

    Not while Stripe charges for it. An owner who takes it back at the same time comes first, or
    finds it begun."""
    about = {"id": erasure.id, "account": erasure.account_id, "now": now}
    with database.transaction(SERVICE) as connection:
        connection.execute(LOCK, about)
        if asking.is_charged(connection, erasure.account_id):
            connection.execute(WAITS, about | {"reason": asking.PAID_FOR})
        elif connection.execute(BEGIN, about).fetchone():
            for name in ("app.members", "app.invitations"):
                table = catalogue.account_table(name)
                values = catalogue.values(erasure.id, erasure.account_id, most=1_000_000)
                connection.execute(table.deleting, values)


LEADS: Final = """
select array[%(account)s::text]
    || array(select id from app.stripe_customers where account_id = %(account)s order by id)
    || array(select id from app.connected_accounts where account_id = %(account)s),
    array(select id::text from app.webhook_endpoints where account_id = %(account)s order by id),
    array(select id::text from app.batch_jobs where account_id = %(account)s order by id)
"""
KEEP_LEADS: Final = """
with kept as (update ops.erasures set leads = %(leads)s where id = %(id)s)
insert into ops.erased_names (digest)
select sha256(convert_to(name, 'UTF8')) from unnest(%(names)s::text[]) as name
on conflict (digest) do nothing
"""


def collect(erasure: Open) -> None:
    """Note what leads to the account from outside, before the rows that say so are gone."""
    with database.transaction(SERVICE) as connection:
        row = connection.execute(LEADS, {"account": erasure.account_id}).fetchone()
        names, endpoints, jobs = row or ([], [], [])
        leads = Jsonb({"names": names, "endpoints": endpoints, "jobs": jobs})
        values = {"id": erasure.id, "leads": leads, "names": [*names, *endpoints]}
        connection.execute(KEEP_LEADS, values)


# Where the account is only spoken of: by what in a row.
MENTIONS: Final = {
    "ops.webhook_dead_letters": "concat_ws(' ', kept.endpoint_id, kept.body)",
    "ops.webhook_refusals": "concat_ws(' ', kept.endpoint_id, kept.sample)",
    "ops.billing_differences": "concat_ws(' ', kept.object_id, kept.ours, kept.theirs)",
    "ops.billing_seen": "kept.object_id",
}
MENTIONED: Final = """
exists (select from unnest(%(names)s::text[]) as name where strpos({said}, name) > 0)
"""


def empty(erasure: Open, until: float) -> bool:
    """Delete the account's rows but its own; whether all that were there are gone."""
    with database.reading(SERVICE) as connection:
        tables = catalogue.doomed(connection)
    values = catalogue.values(erasure.id, erasure.account_id, BATCH)
    named = values | {"names": [*erasure.known.names, *erasure.known.endpoints]}
    deletions = [(table.deleting, values) for table in tables]
    for name, said in MENTIONS.items():
        own = sql.SQL(MENTIONED).format(said=sql.SQL(said))
        deletions.append((catalogue.deleting(name, own), named))
    for statement, given in deletions:
        while delete(statement, given):
            if time.monotonic() >= until:
                return False
    return walk(erasure, until)


HOLD: Final = "select from ops.erasures where id = %(erasure)s for update"


def delete(statement: sql.Composed, values: dict[str, object]) -> int:
    with database.transaction(SERVICE) as connection:
        connection.defer(HOLD, values)
        return counted(connection, statement, values)


def counted(connection: Connection, statement: sql.Composed, values: dict[str, object]) -> int:
    (count,) = connection.execute(statement, values).fetchone() or (0,)
    return int(count)


# A customer or an account is named somewhere in what Stripe said.
LOOK: Final = """
with page as materialized (
    select id, source, account_id, endpoint_id, body from ops.webhook_events
    where id > (select walked_to from ops.erasures where id = %(erasure)s)
    order by id limit %(page)s
)
select array(select id from page
    where account_id = %(account)s or endpoint_id = any(%(endpoints)s::uuid[])
       or source = 'stripe' and exists (
           select from unnest(%(names)s::text[]) as name where strpos(body, name) > 0)),
    (select id from page order by id desc limit 1)
"""
WALKED: Final = "update ops.erasures set walked_to = %(last)s where id = %(erasure)s"
OF_EVENTS: Final = {
    "ops.webhook_dead_letters": "webhook_id",
    "ops.webhook_redrive_items": "webhook_id",
    "ops.webhook_attempts": "webhook_id",
    "ops.webhook_events": "id",
}


def walk(erasure: Open, until: float) -> bool:
    """Look through all webhooks in the order of their ids; whether the end is reached."""
    known = erasure.known
    values = catalogue.values(erasure.id, erasure.account_id, most=1_000_000)
    values |= {"page": PAGE, "names": known.names, "endpoints": known.endpoints}
    while time.monotonic() < until:
        with database.transaction(SERVICE) as connection:
            connection.defer(HOLD, values)
            found, last = connection.execute(LOOK, values).fetchone() or ([], None)
            if last is None:
                return True
            for name, column in OF_EVENTS.items() if found else ():
                own = sql.SQL("kept.{} = any(%(found)s)").format(sql.Identifier(column))
                counted(connection, catalogue.deleting(name, own), values | {"found": found})
            connection.execute(WALKED, values | {"last": last})
    return False


# Webhooks that were being recorded when it began are looked for once more.
EMPTIED: Final = """
update ops.erasures
set emptied_at = %(now)s, walked_to = (select ops.id_floor(begun_at))
where id = %(erasure)s
"""


def close(erasure: Open, now: datetime) -> bool:
    """Delete the account's own row, and what came since its table was emptied: with the row locked
    nothing more can come. False when that was more than a transaction should do."""
    values = catalogue.values(erasure.id, erasure.account_id, BATCH)
    with database.transaction(SERVICE) as connection:
        connection.defer(HOLD, values)
        connection.execute(LOCK, values)
        for table in catalogue.doomed(connection):
            if counted(connection, table.deleting, values) == BATCH:
                return False
        counted(connection, catalogue.account_table("app.accounts", "id").deleting, values)
        connection.execute(EMPTIED, values | {"now": now})
    return True

"""The erasures that are due, each taken on as far as the time allows; killed anywhere, the next
call goes on."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.rows import class_row

from quotekit import database, mail
from quotekit.database import SERVICE
from quotekit.operations.erasure import objects, receipts, rows
from quotekit.operations.erasure.model import Open

type Step = Callable[[Open, datetime, float], bool]

REST: Final = timedelta(minutes=1)  # no request lives longer than the API waits
# Forms for uploads are good for an hour, and a function that is storing an object runs for less.
SETTLED: Final = timedelta(minutes=75)
PATIENCE: Final = timedelta(days=1)  # with the mail service
NO_ADDRESS: Final = "no address of the owner was known"

TAKE: Final = """
update ops.erasures set tried_at = %(now)s
where id in (
    select id from ops.erasures
    where status <> 'done' and due_at <= %(now)s and (tried_at is null or tried_at < %(now)s)
    order by tried_at nulls first, due_at limit 1 for update skip locked)
returning id
"""


def work(now: datetime, *, until: float) -> dict[UUID, str]:
    """Take each erasure that is due on, the one that rested the longest first, until `until`, a
    moment of the monotonic clock: how far each is."""
    done: dict[UUID, str] = {}
    while time.monotonic() < until:
        with database.transaction(SERVICE) as connection:
            taken = connection.execute(TAKE, {"now": now}).fetchone()
        if taken is None:
            break
        while advance(load(taken[0]), now, until):
            pass
        done[taken[0]] = load(taken[0]).status
    return done


LOAD: Final = """
select id, account_id, account_sha256, recipient, status, requested_at, due_at, begun_at, leads,
    emptied_at, noted, finished_at, receipt, receipt_sha256
from ops.erasures where id = %(id)s
"""


def load(erasure_id: UUID) -> Open:
    with (
        database.reading(SERVICE) as connection,
        connection.cursor(row_factory=class_row(Open)) as cursor,
    ):
        (found,) = cursor.execute(LOAD, {"id": erasure_id}).fetchall()
    return found


def advance(erasure: Open, now: datetime, until: float) -> bool:
    """Do the next step; whether there is another one to do now."""
    step = step_of(erasure, now)
    return step is not None and step(erasure, now, until)


def step_of(erasure: Open, now: datetime) -> Step | None:
    if erasure.begun_at is None:
        return begin
    if erasure.leads is None:
        return collect if erasure.begun_at + REST <= now else None
    if erasure.emptied_at is None:
        return empty
    if erasure.finished_at is None:
        return clear if erasure.emptied_at + SETTLED <= now else None
    return tell if erasure.status != "done" else None


def begin(erasure: Open, now: datetime, until: float) -> bool:  # noqa: ARG001 - a step
    rows.begin(erasure, now)
    return False


def collect(erasure: Open, now: datetime, until: float) -> bool:  # noqa: ARG001
    rows.collect(erasure)
    return True


def empty(erasure: Open, now: datetime, until: float) -> bool:
    return rows.empty(erasure, until) and rows.close(erasure, now)


def clear(erasure: Open, now: datetime, until: float) -> bool:
    """What is outside of PostgreSQL, and what came in late, when nothing can come any more."""
    if not (objects.clear(erasure, until) and rows.empty(erasure, until)):
        return False
    with database.transaction(SERVICE) as connection:
        receipts.make(connection, erasure, now)
    return True


def tell(erasure: Open, now: datetime, until: float) -> bool:  # noqa: ARG001
    """Mail the receipt, and forget to whom. Killed in between, it is mailed again."""
    mailed_at, reason = None, None
    try:
        if erasure.recipient is None:
            reason = NO_ADDRESS
        else:
            mail.send(receipts.letter(erasure, erasure.recipient))
            mailed_at = now
    except mail.MailRefusedError as error:
        reason = f"SES: {error}"
    except mail.MailDelayedError as error:
        if erasure.finished_at and erasure.finished_at > now - PATIENCE:
            return False
        reason = f"SES: {error}"
    with database.transaction(SERVICE) as connection:
        receipts.finish(connection, erasure, mailed_at=mailed_at, reason=reason)
    return False

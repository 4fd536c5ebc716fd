"""What is old is deleted, by its setting, a bounded part in each transaction.

Never: an event that is still to be done, one whose dead letter nobody settled yet, a promise that
was not kept, what nobody took out of an inbox, and audit rows, which go with their whole account
only. Events are counted before they go, so the figures of a period stay what they were.
"""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from quotekit import database
from quotekit.environment import RetentionSettings

BATCH: Final = 1000
FIRST: Final = UUID(int=0)
# The monitor looks back for ninety days, and counts a dead event as done once it is gone.
REPORTED: Final = 92

# Not before it is counted; and an event that was redriven is as old as its last attempt.
EVENTS: Final[LiteralString] = """
with old as (
    select event.id from ops.webhook_events as event
    where event.id > %(after)s
      and event.id < (select ops.id_floor(least(%(before)s, rolled_until)) from ops.webhook_rollup)
      and event.finished_at < (select least(%(before)s, rolled_until) from ops.webhook_rollup)
      and {over}
      and not exists (
          select from ops.webhook_dead_letters as letter
          where letter.webhook_id = event.id
            and (letter.resolved_at is null or letter.resolved_at >= %(before)s))
    order by event.id limit %(most)s for update skip locked
)
delete from ops.webhook_events as event using old where event.id = old.id returning event.id
"""
DONE: Final[LiteralString] = EVENTS.replace(
    "{over}", "event.status in ('applied', 'stale', 'ignored')"
)
SETTLED: Final[LiteralString] = EVENTS.replace(
    "{over}",
    """event.status = 'dead'
      and exists (select from ops.webhook_dead_letters where webhook_id = event.id)""",
)
# Settled for as long as events are kept. Redrives are kept: they are few, and say who did it.
LETTERS: Final = """
with old as (
    select id from ops.webhook_dead_letters
    where resolved_at < %(before)s
    order by resolved_at limit %(most)s for update skip locked
)
delete from ops.webhook_dead_letters as letter using old where letter.id = old.id
returning letter.id
"""
REFUSALS: Final = """
with old as (
    select id from ops.webhook_refusals where received_at < %(before)s
    order by received_at limit %(most)s for update skip locked
)
delete from ops.webhook_refusals as refusal using old where refusal.id = old.id
returning refusal.id
"""
ARRIVALS: Final = """
with old as (
    select id from app.webhook_inbox
    where id > %(after)s and id < (select ops.id_floor(%(before)s)) and created_at < %(before)s
    order by id limit %(most)s
)
delete from app.webhook_inbox as inbox using old where inbox.id = old.id returning inbox.id
"""
HANDLED: Final[LiteralString] = """
with old as (
    select id from ops.{table}
    where id > %(after)s and id < (select ops.id_floor(%(before)s)) and handled_at < %(before)s
    order by id limit %(most)s for update skip locked
)
delete from ops.{table} as inbox using old where inbox.id = old.id returning inbox.id
"""
PROMISES: Final = """
with old as (
    select id from app.outbox where sent_at < %(before)s
    order by sent_at limit %(most)s for update skip locked
)
delete from app.outbox as outbox using old where outbox.id = old.id returning outbox.id
"""
KEYS: Final = """
with old as (
    select account_id, key from app.idempotency_keys where expires_at < %(before)s
    order by expires_at limit %(most)s for update skip locked
)
delete from app.idempotency_keys as kept using old
where kept.account_id = old.account_id and kept.key = old.key returning kept.account_id
"""
TOKENS: Final = """
with old as (
    select jti from ops.revoked_tokens where expires_at < %(before)s
    order by expires_at limit %(most)s for update skip locked
)
delete from ops.revoked_tokens as revoked using old where revoked.jti = old.jti
returning null::uuid
"""
COUNTS: Final[LiteralString] = """
delete from ops.{table} where ctid in (
    select ctid from ops.{table} where {time} < %(before)s limit %(most)s
) returning null::uuid
"""


class Kind(NamedTuple):
    """Something that grows old: how it is deleted, and after how many days.

    `walks` says that the statement goes on behind the ids it saw, past what has to stay."""

    name: str
    statement: LiteralString
    days: float
    walks: bool = False


def kinds() -> tuple[Kind, ...]:
    """Every kind there is. What ends by its own time is kept for a day more, for questions."""
    settings = RetentionSettings
    inboxes = ("repository_events", "shop_events", "tracking_events")
    counts = (("webhook_hours", "hour"), ("webhook_days", "day"), ("webhook_latencies", "start"))
    return (
        Kind("webhook_events", DONE, settings.webhook_events, walks=True),
        Kind("webhook_events_settled", SETTLED, max(settings.webhook_events, REPORTED), walks=True),
        Kind("webhook_dead_letters", LETTERS, settings.webhook_events),
        Kind("webhook_refusals", REFUSALS, settings.webhook_refusals),
        Kind("webhook_inbox", ARRIVALS, settings.webhook_inbox, walks=True),
        *(
            Kind(table, HANDLED.replace("{table}", table), settings.handled, walks=True)
            for table in inboxes
        ),
        Kind("outbox", PROMISES, settings.outbox),
        Kind("idempotency_keys", KEYS, 1),
        Kind("revoked_tokens", TOKENS, 1),
        *(
            Kind(table, COUNTS.replace("{table}", table).replace("{time}", column), settings.counts)
            for table, column in counts
        ),
    )


class Purge(NamedTuple):
    """How many rows went, by kind; `finished` is false when the time ran out before the end."""

    deleted: Mapping[str, int]
    finished: bool


def purge(now: datetime, *, until: float) -> Purge:
    """Delete what is old until `until`, a moment of the monotonic clock."""
    deleted: dict[str, int] = {}
    for kind in kinds():
        before = now - timedelta(days=kind.days)
        count, finished = _purge(kind, before, until)
        deleted[kind.name] = count
        if not finished:
            return Purge(deleted, finished=False)
    return Purge(deleted, finished=True)


def _purge(kind: Kind, before: datetime, until: float) -> tuple[int, bool]:
    count, after = 0, FIRST
    while time.monotonic() < until:
        values = {"before": before, "after": after, "most": BATCH}
        with database.transaction(database.SERVICE) as connection:
            gone = [name for (name,) in connection.execute(kind.statement, values)]
        count += len(gone)
        if len(gone) < BATCH:
            return count, True
        after = max(gone) if kind.walks else FIRST
    return count, False

"""How much may go on at once, of one tenant or with one service, over all processes.

A lease ends by itself after its seconds (give it the function's time-out and a margin), so a holder
that died blocks nobody for longer. Up to a tier's `maximum` a lease is free; from there to its
`burst` each takes a token, and one token comes back every cool-down. Nobody waits in memory: what
is refused goes back to its queue, or to the caller as 429 with Retry-After. Without the database
there are no leases: DatabaseUnavailableError.

Not inside a transaction, as with breakers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from quotekit import audit, database
from quotekit.database import Connection
from quotekit.errors import DatabaseUnavailableError, NotFoundError, RateLimitedError, invalid
from quotekit.identifiers import new_id
from quotekit.performance import logger
from quotekit.resilience import signals


class AtCapacityError(RateLimitedError):
    """As much as allowed is going on already."""

    def __init__(self, resource: str, seconds: float) -> None:
        super().__init__()
        self.resource = resource
        self.retry_after = max(1, ceil(seconds))  # type: ignore[misc]  # each its own


@dataclass(frozen=True, slots=True)
class Lease:
    resource: str
    holder: UUID


@dataclass(frozen=True, slots=True)
class Taken:
    taken: bool
    live: int
    maximum: int
    burst: int
    cooldown_ms: int


@contextmanager
def held(resource: str, *, seconds: float, tier: str = "free") -> Iterator[Lease]:
    """Hold a lease meanwhile; `tier` is for a resource not known yet. Raises AtCapacityError."""
    lease = take(resource, seconds=seconds, tier=tier)
    try:
        yield lease
    finally:
        give_back(lease)


TAKE: Final = """
select taken, live, maximum, burst, cooldown_ms
from ops.take_lease_v1(%(resource)s, %(holder)s, %(seconds)s::numeric, %(pool)s, %(tier)s)
"""


def take(resource: str, *, seconds: float, tier: str = "free") -> Lease:
    lease = Lease(resource, new_id())
    values = {
        "resource": resource,
        "holder": lease.holder,
        "seconds": seconds,
        "pool": new_id(),
        "tier": tier,
    }
    with (
        database.transaction(database.SERVICE) as connection,
        connection.cursor(row_factory=class_row(Taken)) as cursor,
    ):
        (found,) = cursor.execute(TAKE, values)
    if not found.taken:
        signals.count("LeaseRefusals", resource=resource.partition(":")[0])
        raise AtCapacityError(resource, found.cooldown_ms / 1000)
    return lease


GIVE_BACK: Final = """
delete from ops.leases where resource = %(resource)s and holder = %(holder)s
returning expires_at > clock_timestamp() as in_time
"""


def give_back(lease: Lease) -> None:
    """End a lease; one that ran out before is told to the log, as others may have gone ahead."""
    values = {"resource": lease.resource, "holder": lease.holder}
    try:
        with database.transaction(database.SERVICE) as connection:
            row = connection.execute(GIVE_BACK, values).fetchone()
    except (DatabaseUnavailableError, psycopg.OperationalError):
        logger.warning("lease left to expire", resource=lease.resource)
        return
    if row is None or not row[0]:
        logger.warning("lease outlived", resource=lease.resource)


SET_TIER: Final = """
update ops.lease_pools as pools
set tier = tiers.key, tokens = tiers.burst - tiers.maximum, refilled_at = clock_timestamp(),
    updated_at = clock_timestamp()
from ops.tiers as tiers
where pools.resource = %(resource)s and tiers.key = %(tier)s
returning pools.id
"""
TIERS: Final = "select key from ops.tiers order by maximum"


def set_tier(connection: Connection, resource: str, tier: str) -> None:
    """Let a resource have another tier's limits, written down under the caller's name."""
    tiers = [key for (key,) in connection.execute(TIERS)]
    if tier not in tiers:
        raise invalid("tier", f"must be one of {', '.join(tiers)}")
    row = connection.execute(SET_TIER, {"resource": resource, "tier": tier}).fetchone()
    if row is None:
        raise NotFoundError("There is no such resource.")
    audit.record(connection, "lease_pool.tier_set", row[0], {"resource": resource, "tier": tier})


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a resource is in use now."""

    resource: str
    tier: str
    live: int
    maximum: int
    burst: int


IN_USE: Final = """
select pools.resource, pools.tier, tiers.maximum, tiers.burst,
       (select count(*)::integer from ops.leases as held
        where held.resource = pools.resource and held.expires_at > clock_timestamp()) as live
from ops.lease_pools as pools join ops.tiers as tiers on tiers.key = pools.tier
order by pools.resource
"""


def in_use(connection: Connection) -> Sequence[Use]:
    with connection.cursor(row_factory=class_row(Use)) as cursor:
        return cursor.execute(IN_USE).fetchall()

"""An account's own account at Stripe (Connect, Standard), in which its clients pay.

What it may do, Stripe says: in its answers, and by `account.updated`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from quotekit import audit
from quotekit.billing import objects
from quotekit.billing.model import Version
from quotekit.billing.objects import Json
from quotekit.database import Connection
from quotekit.errors import ConflictError

NOT_CONNECTED: Final = "No account at Stripe is connected."
NOTHING_SAID: Final = "Stripe has not said anything of the account yet."
DISCONNECTED: Final = "The account at Stripe was disconnected."
LISTED: Final = ("currently_due", "past_due", "pending_verification", "eventually_due")


@dataclass(frozen=True, slots=True)
class Connected:
    """The connected account as Stripe described it at `observed_at`; a null has its reason."""

    id: str | None = None
    charges_enabled: bool | None = None
    payouts_enabled: bool | None = None
    details_submitted: bool | None = None
    requirements: Mapping[str, Any] | None = None
    observed_at: datetime | None = None
    disconnected_at: datetime | None = None
    reason: str | None = None


READ: Final = """
select id, charges_enabled, payouts_enabled, details_submitted, requirements,
    case when as_of > 'epoch' then as_of end as observed_at, disconnected_at
from app.connected_accounts
where account_id = coalesce(%(account_id)s, (select auth.account_id()))
"""


def standing(connection: Connection, account_id: UUID | None = None) -> Connected:
    """The caller's connected account; the service says whose."""
    with connection.cursor(row_factory=class_row(Connected)) as cursor:
        found = cursor.execute(READ, {"account_id": account_id}).fetchone()
    if found is None:
        return Connected(reason=NOT_CONNECTED)
    if found.disconnected_at is not None:
        return replace(found, reason=DISCONNECTED)
    return found if found.observed_at is not None else replace(found, reason=NOTHING_SAID)


def payable(connection: Connection, account_id: UUID | None = None) -> str:
    """The id of a connected account that takes payments. Raises ConflictError for none."""
    found = standing(connection, account_id)
    if found.id is None or found.disconnected_at is not None:
        raise ConflictError(f"{found.reason} POST /v1/payments/connect first.")
    if not found.charges_enabled:
        raise ConflictError("Stripe does not let the connected account take payments yet.")
    return found.id


INSERT: Final = """
insert into app.connected_accounts as kept (account_id, id) values (%(account_id)s, %(id)s)
on conflict (account_id) do update set (id, charges_enabled, payouts_enabled, details_submitted,
    requirements, disconnected_at, final, as_of, as_of_rank, as_of_tie) = row(
    excluded.id, null, null, null, null, null, false, 'epoch', 0, '')
where kept.disconnected_at is not null
returning id
"""


def remember(connection: Connection, account_id: UUID, thing: Json, read_at: datetime) -> Connected:
    """Note an account that was just made; of two made at once the first is kept."""
    connected_id = objects.name(thing)
    values = {"account_id": account_id, "id": connected_id}
    if connection.execute(INSERT, values).fetchone() is not None:
        audit.record_for(
            connection, account_id, "payments.connected", account_id, {"id": values["id"]}
        )
    keep(connection, thing, Version(final=False, as_of=read_at))
    return standing(connection, account_id)


KEEP: Final = """
update app.connected_accounts as kept
set charges_enabled = %(charges_enabled)s, payouts_enabled = %(payouts_enabled)s,
    details_submitted = %(details_submitted)s, requirements = %(requirements)s,
    final = %(final)s, as_of = %(as_of)s, as_of_rank = %(rank)s, as_of_tie = %(tie)s
where id = %(id)s
  and (final, as_of, as_of_rank, as_of_tie) < (%(final)s, %(as_of)s, %(rank)s, %(tie)s)
returning account_id
"""
KNOWN: Final = "select account_id from app.connected_accounts where id = %(id)s"


def keep(connection: Connection, thing: Json, version: Version) -> bool:
    """Whether what Stripe says of a connected account was news."""
    values = {**described(thing), **columns(version)}
    return connection.execute(KEEP, values).fetchone() is not None


def owner(connection: Connection, connected_id: str) -> UUID | None:
    """Whose connected account it is, as far as we know."""
    row = connection.execute(KNOWN, {"id": connected_id}).fetchone()
    return row[0] if row else None


@objects.checked
def described(thing: Json) -> dict[str, Any]:
    asked = thing.get("requirements") or {}
    listed = {name: list(asked.get(name) or []) for name in LISTED}
    return {
        "id": objects.identifier(thing["id"]),
        **{
            name: bool(thing[name])
            for name in ("charges_enabled", "payouts_enabled", "details_submitted")
        },
        "requirements": Jsonb({**listed, "disabled_reason": asked.get("disabled_reason")}),
    }


def columns(version: Version) -> dict[str, Any]:
    """A version as the columns that hold it."""
    return {
        "final": version.final,
        "as_of": version.as_of,
        "rank": version.rank,
        "tie": version.tie,
    }


LEAVE: Final = """
update app.connected_accounts
set disconnected_at = %(at)s, charges_enabled = false, payouts_enabled = false, final = true,
    as_of = %(at)s
where id = %(id)s and disconnected_at is null
returning account_id
"""


def leave(connection: Connection, connected_id: str, at: datetime) -> UUID | None:
    """The contractor took our access back at Stripe; whose account it was."""
    row = connection.execute(LEAVE, {"id": connected_id, "at": at}).fetchone()
    return row[0] if row else None

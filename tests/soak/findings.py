"""What the system's tables say, in the ledger's form, and whether its own records agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg

from tests.soak.ledger import FINAL, Books, Difference, Effect, Name
from tests.soak.letters import Subject
from tests.soak.repositories import DEBOUNCE

type Owner = psycopg.Connection[Any]

EVENTS: Final = "select source, endpoint_id::text, event_id, status from ops.webhook_events"
OBJECTS: Final = """
select source, scope, kind, object_id, state, extract(epoch from version_at)::bigint
from ops.webhook_objects
"""
SUBSCRIPTIONS: Final = """
select 'stripe', 'subscription', account_id::text,
    concat_ws(' ', stripe_subscription_id, plan_key, status, quantity),
    extract(epoch from as_of)::bigint
from app.subscriptions where stripe_subscription_id is not null
"""
PRODUCTS: Final = """
select 'stripe', 'product', id, plan_key, extract(epoch from as_of)::bigint from app.stripe_products
"""
INVOICES: Final = """
select 'stripe', 'invoice', id, status, extract(epoch from as_of)::bigint from app.billing_history
"""
REPOSITORY_EVENTS: Final = """
select repository, kind, object_id, coalesce(action, ''), event_id,
    extract(epoch from version_at)::bigint, collapsed
from ops.repository_events
"""
SHOP_EVENTS: Final = "select 'shop', event_id from ops.shop_events"
SCANS: Final = """
select 'scan', source, tracking_number, extract(epoch from scanned_at)::bigint::text, code
from ops.tracking_events
"""
INBOX: Final = "select 'inbox', endpoint_id::text, event_id from app.webhook_inbox"

# An event whose attempts do not add up to what its row says.
INCONSISTENT: Final = """
select event.source, event.event_id, event.attempts, event.failures, event.status,
    count(attempt.number), max(attempt.number),
    count(*) filter (where attempt.outcome <> 'failed'),
    (array_agg(attempt.outcome order by attempt.number desc)) [1]
from ops.webhook_events as event
left join ops.webhook_attempts as attempt on attempt.webhook_id = event.id
group by event.id
having event.attempts <> count(attempt.number) or event.attempts <> max(attempt.number)
    or count(*) filter (where attempt.outcome <> 'failed') <> 1
    or (array_agg(attempt.outcome order by attempt.number desc)) [1] <> event.status
    or event.failures <> 0
"""
CHANGES: Final = """
select account_id::text, details ->> 'old_plan', details ->> 'old_status', details ->> 'plan',
    details ->> 'status'
from app.audit_events where action = 'subscription.changed'
"""
STANDINGS: Final = """
select account_id::text, plan_key, status from app.subscriptions
where stripe_subscription_id is not null
"""
LEFT: Final = """
select 'dead letters', count(*) from ops.webhook_dead_letters where resolved_at is null
union all select 'promises', count(*) from app.outbox
    where topic like 'webhooks%' and sent_at is null
union all select 'redrives', count(*) from ops.webhook_redrives
"""


def books(owner: Owner) -> Books:
    found = Books()
    statuses: defaultdict[Name, list[str]] = defaultdict(list)
    for source, endpoint_id, event_id, status in owner.execute(EVENTS):
        statuses[source, endpoint_id, event_id].append(status)
    found.statuses = dict(statuses)
    found.effects.update(_repository_effects(owner))
    for statement in (SHOP_EVENTS, SCANS, INBOX):
        found.effects.update(owner.execute(statement).fetchall())
    found.states = dict(_states(owner))
    return found


def _repository_effects(owner: Owner) -> Counter[Effect]:
    """Each row stands for itself and for those that collapsed into it."""
    counted: Counter[Effect] = Counter()
    for repository, kind, thing, action, event_id, at, collapsed in owner.execute(
        REPOSITORY_EVENTS
    ):
        window = ("window", repository, kind, thing, action, str(at // DEBOUNCE))
        counted[("event", event_id) if action == "opened" else window] += collapsed + 1
    return counted


def _states(owner: Owner) -> Iterator[tuple[Subject, tuple[str, int]]]:
    for statement in (OBJECTS, SUBSCRIPTIONS, PRODUCTS, INVOICES):
        for *subject, state, at in owner.execute(statement):
            yield tuple(subject), (state, at)


def done(owner: Owner, names: Iterable[str]) -> set[str]:
    """Which of these event ids came to their end."""
    asked = "select event_id from ops.webhook_events where event_id = any(%s) and status = any(%s)"
    return {event_id for (event_id,) in owner.execute(asked, [list(names), list(FINAL)])}


def disagreements(owner: Owner) -> Iterator[Difference]:
    """Where attempts, audit rows or what is left over contradict the events."""
    for row in owner.execute(INCONSISTENT):
        yield Difference("wrong", f"attempts of {row}")
    yield from unbalanced(
        owner.execute(CHANGES).fetchall(),
        {account_id: (plan, status) for account_id, plan, status in owner.execute(STANDINGS)},
    )
    for what, count in owner.execute(LEFT):
        if count:
            yield Difference("stuck", f"{count} {what}")


def unbalanced(
    changes: Iterable[tuple[Any, ...]], standings: dict[str, tuple[str, str]]
) -> Iterator[Difference]:
    """An account's audited changes lead from nothing to where it stands, none twice or left out.

    Each step leaves one standing and enters another, so in any order they cancel out but for the
    first and the last.
    """
    balance: defaultdict[str, Counter[tuple[str | None, str | None]]] = defaultdict(Counter)
    for account_id, old_plan, old_status, plan, status in changes:
        balance[account_id][old_plan, old_status] -= 1
        balance[account_id][plan, status] += 1
    for account_id in balance.keys() | standings.keys():
        wanted = Counter({(None, None): -1, standings.get(account_id, (None, None)): 1})
        left = {key: count for key, count in balance[account_id].items() if count}
        if left != dict(wanted):
            yield Difference("wrong", f"audited changes of {account_id} come to {left}")

"""Mending webhooks by hand: sent again, redriven, routed otherwise; each under a person's name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from quotekit import audit, database
from quotekit.auth import Principal
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.operations.webhooks.requests import BreakerDecision, RedriveStart
from quotekit.outbox import Promise
from quotekit.resilience import breakers, leases, repository
from quotekit.resilience.leases import Use
from quotekit.resilience.repository import Known
from quotekit.webhooks import publishing, routing, rules, service
from quotekit.webhooks.rules import StoredRule, Version
from quotekit.webhooks.service import Redrive


@dataclass(frozen=True, slots=True)
class Retried:
    """An event on its way to its queue again."""

    id: UUID
    status: str
    queue: str


@dataclass
class Retry:
    """Sending one event again; `promises` are to be delivered after the commit."""

    promises: list[Promise] = field(default_factory=list)

    def send(self, connection: Connection, webhook_id: UUID) -> Retried:
        promise = service.retry_event(connection, webhook_id)
        self.promises.append(promise)
        audit.record(connection, "webhook.retried", webhook_id, {"queue": promise.topic})
        return Retried(webhook_id, "queued", promise.topic)


def redrive(connection: Connection, body: RedriveStart, by: Principal, now: datetime) -> Redrive:
    """Begin to send dead events again, or only count them."""
    started = service.start_redrive(
        connection,
        body.chosen,
        now=now,
        by=by.user_id,
        reason=body.reason,
        per_minute=body.per_minute,
        dry_run=body.dry_run,
    )
    if started.id is not None:
        details = {"filter": dict(started.filter), "matching": started.matching}
        audit.record(connection, "webhook_redrive.started", started.id, details)
    return started


def cancel(connection: Connection, redrive_id: UUID) -> Redrive:
    """Send no more of a redrive's events. Raises NotFoundError."""
    before = service.redrive_status(connection, redrive_id)
    if before.status != "running":
        return before
    audit.record(connection, "webhook_redrive.cancelled", redrive_id)
    return service.cancel_redrive(connection, redrive_id)


def resume(connection: Connection, redrive_id: UUID) -> Redrive:
    """Go on behind the last part of what was cancelled. Raises NotFoundError."""
    before = service.redrive_status(connection, redrive_id)
    if before.status != "cancelled":
        return before
    audit.record(connection, "webhook_redrive.resumed", redrive_id)
    return service.resume_redrive(connection, redrive_id)


@dataclass(frozen=True, slots=True)
class Routing:
    """The rules as rows, and the newest version made of them; null while the defaults hold."""

    rules: Sequence[StoredRule]
    newest: Version | None
    observed_at: datetime
    source: str = "ops.webhook_rules, ops.webhook_routings"


def show_routing(connection: Connection, _: Body, now: datetime) -> Routing:
    return Routing(rules.list_rules(connection), rules.newest(connection), now)


@dataclass(frozen=True, slots=True)
class Published:
    """What the handler reads: a version, or with 0 the defaults, as no rules were ever stored."""

    version: int
    published_at: datetime | None
    rules: int


def publish(by: Principal) -> Published:
    """Tell the handler of the newest rules. Raises ServiceUnavailableError; try again then."""
    version = publishing.publish()
    if version is None:
        return Published(0, None, len(routing.DEFAULTS))
    with database.transaction(by.actor) as connection:
        details = {"version": version.version}
        audit.record(connection, "webhook_routing.published", rules.ROUTING, details)
    return Published(version.version, version.published_at, len(version.document["rules"]))


@dataclass(frozen=True, slots=True)
class Breakers:
    """Each breaker, and how much is going on at once beside how much may."""

    data: Sequence[Known]
    leases: Sequence[Use]
    observed_at: datetime
    source: str = "ops.breakers, ops.breaker_transitions, ops.leases"


def show_breakers(connection: Connection, _: Body, now: datetime) -> Breakers:
    return Breakers(repository.known(connection), leases.in_use(connection), now)


def decide(connection: Connection, dependency: str, body: BreakerDecision) -> Known:
    """Decide for a breaker for a while, or leave it to itself again. Raises NotFoundError."""
    known(connection, dependency)
    if body.phase == "automatic":
        breakers.lift(connection, dependency)
    else:
        seconds = body.minutes * 60.0
        breakers.override(connection, dependency, body.phase, seconds=seconds, reason=body.reason)
    return known(connection, dependency)


def known(connection: Connection, dependency: str) -> Known:
    found = [one for one in repository.known(connection) if one.dependency == dependency]
    if not found:
        raise NotFoundError("There is no such breaker.")
    return found[0]

"""What each of Stripe's events changes here, in the transaction of whoever delivers it.

No network and no guess: an event says what one object is, its row moves if that is news, and what
follows is computed from the rows. So any order, repeated, ends the same. Disputes and refunds are
kept for a human; nothing here answers one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import DataError
from psycopg.errors import CheckViolation

from quotekit.billing import consequences, entries, objects, repository, versions
from quotekit.billing.model import Claim, Entry, News, Version
from quotekit.billing.versions import Notice
from quotekit.database import Connection
from quotekit.invoices.effects import EFFECTS as CONNECTED
from quotekit.invoices.effects import on_connected_events
from quotekit.webhooks.model import Event, Outcome, PermanentError, State

UNSTORABLE: Final = (DataError, CheckViolation, UnicodeEncodeError)
SETTLED_INVOICES: Final = {"paid", "void"}
UNREAD: Final = Outcome("ignored", {"reason": "nothing here follows from it"})


class Told(NamedTuple):
    """A notice in its place among those that came with it, and the customer it is about."""

    place: int
    notice: Notice
    customer_id: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a notice came to, and what has yet to be computed anew for its customer."""

    state: State
    details: Mapping[str, Any] = field(default_factory=dict)
    chooses: bool = False
    settles: bool = False


class Telling(NamedTuple):
    """Whom a kind of notice is about, and what it changes once that customer is locked."""

    whose: Callable[[Connection, Notice], str | None]
    keep: Callable[[Connection, Told], Kept]


def on_stripe_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Apply verified events; raise PermanentError for what can never be applied.

    Those of connected accounts are told by other people's accounts at Stripe: they say nothing of
    our customers, whatever metadata they carry.
    """
    outcomes: dict[int, Outcome] = {}
    accounts = [event.payload.get("account") for event in events]
    own = [place for place, account in enumerate(accounts) if account is None]
    connected = [place for place, account in enumerate(accounts) if account is not None]
    for places, effect in ((own, on_own_events), (connected, on_connected_events)):
        try:
            found = effect(connection, [events[place] for place in places])
        except UNSTORABLE as error:
            types = ", ".join(sorted({events[place].type for place in places}))
            raise PermanentError(f"{types} says what cannot be stored: {error}") from error
        outcomes |= zip(places, found, strict=True)
    return [outcomes[place] for place in range(len(events))]


def on_own_events(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    """Those of our own account at Stripe.

    Locks are taken in one order: the whole catalogue, then customers by their ids, then accounts.
    """
    notices = [versions.opened(event.payload) for event in events]
    outcomes = {
        place: CATALOGUE[notice.type](connection, notice)
        for place, notice in enumerate(notices)
        if notice.type in CATALOGUE
    }
    for part in parts(connection, notices):
        outcomes |= apply(connection, part)
    return [outcomes.get(place, UNREAD) for place in range(len(notices))]


def parts(connection: Connection, notices: Sequence[Notice]) -> Iterator[list[Told]]:
    """What is told of customers, in parts that name each of them once, by their ids."""
    left = [
        Told(place, notice, CHANGES[notice.type].whose(connection, notice))
        for place, notice in enumerate(notices)
        if notice.type in CHANGES
    ]
    while left:
        firsts = {told.customer_id or told.notice.id: told for told in reversed(left)}
        yield [firsts[key] for key in sorted(firsts)]
        places = {told.place for told in firsts.values()}
        left = [told for told in left if told.place not in places]


def apply(connection: Connection, part: Sequence[Told]) -> dict[int, Outcome]:
    """Meet the customers, keep what is told, compute what follows: each for all of them."""
    accounts = meet(connection, part)
    rows = [(told, CHANGES[told.notice.type].keep(connection, told)) for told in part]
    chosen = [told.customer_id for told, row in rows if row.chooses and told.customer_id]
    if chosen:
        consequences.choose_default(connection, chosen)
    settled = [accounts[told.place] for told, row in rows if row.settles]
    changes = consequences.settle(connection, set(chain(*settled)))
    return {told.place: outcome(told, row, accounts[told.place], changes) for told, row in rows}


def meet(connection: Connection, part: Sequence[Told]) -> dict[int, list[UUID]]:
    """The accounts that were or are the customers', by the places of the notices."""
    news = [
        (
            claim(told.notice, told.customer_id),
            News(told.notice.id, told.notice.type, told.notice.created),
        )
        for told in part
        if told.customer_id
    ]
    met = repository.meet_all(connection, news) if news else {}
    return {told.place: met.get(told.customer_id or "", []) for told in part}


def claim(notice: Notice, customer_id: str) -> Claim:
    return Claim(customer_id, objects.claimed_account(notice.thing), notice.created, notice.id)


def outcome(
    told: Told, row: Kept, accounts: Sequence[UUID], changes: Mapping[UUID, Mapping[str, Any]]
) -> Outcome:
    """Says so when the customer is nobody's, for the reconcile."""
    if not row.settles:
        return Outcome(row.state, row.details)
    mine = consequences.described(changes[account] for account in accounts if account in changes)
    unmatched = {} if accounts else {"unmatched_customer": told.customer_id}
    return Outcome(row.state, {**mine, **unmatched, **row.details})


def himself(_: Connection, notice: Notice) -> str | None:
    return objects.customer(notice.thing).id


def payer(_: Connection, notice: Notice) -> str | None:
    return objects.payer(notice.thing)


def nobody(_: Connection, __: Notice) -> None:
    """A dispute names a payment only."""


def holder(connection: Connection, notice: Notice) -> str | None:
    """Who has a payment method, or had it."""
    said = objects.payment_method(notice.thing)
    before = objects.payer(notice.previous)
    return said.customer_id or before or repository.holder(connection, said.id)


def state(*, moved: bool) -> State:
    return "applied" if moved else "stale"


def keep_customer(connection: Connection, told: Told) -> Kept:
    said = objects.customer(told.notice.thing)
    version = told.notice.version(final=said.deleted)
    moved = repository.keep_customer(connection, said, version)
    return Kept(state(moved=moved), chooses=True, settles=True)


def keep_subscription(connection: Connection, told: Told) -> Kept:
    said = objects.subscription(told.notice.thing)
    version = told.notice.version(final=not said.live, latest=said.latest)
    moved = repository.keep_subscription(connection, said, version)
    return Kept(state(moved=moved), settles=True)


def keep_checkout(_: Connection, told: Told) -> Kept:
    """It says whose the customer is; what he subscribed to, the subscription's own event says."""
    if told.customer_id is None:
        return Kept("ignored", {"reason": "a checkout without a customer"})
    return Kept("applied", settles=True)


def keep_invoice(connection: Connection, told: Told) -> Kept:
    said = entries.invoice(told.notice.thing)
    if told.customer_id is None:
        return Kept("ignored", {"reason": "an invoice without a customer"})
    version = told.notice.version(final=said.status in SETTLED_INVOICES)
    return keep_entry(connection, failed(said, told.notice), version)


def failed(said: Entry, notice: Notice) -> Entry:
    """An open invoice whose payment failed says so."""
    unpaid = notice.verb == "payment_failed" and said.status == "open"
    return replace(said, status="payment_failed") if unpaid else said


def keep_refund(connection: Connection, told: Told) -> Kept:
    return keep_entry(connection, entries.refunds(told.notice.thing), told.notice.version())


def keep_dispute(connection: Connection, told: Told) -> Kept:
    return keep_entry(connection, entries.dispute(told.notice.thing), told.notice.version())


def keep_entry(connection: Connection, entry: Entry, version: Version) -> Kept:
    if not repository.keep_entry(connection, entry, version):
        return Kept("stale")
    return Kept("applied", {"entry": entry.id, "needs_answer": entry.needs_answer})


def keep_method(connection: Connection, told: Told) -> Kept:
    said = objects.payment_method(told.notice.thing)
    if told.notice.verb == "detached":
        said = replace(said, customer_id=None)
    version = told.notice.version(final=said.customer_id is None)
    moved = repository.keep_method(connection, said, version)
    return Kept(state(moved=moved), chooses=True)


def promised(_: Connection, notice: Notice) -> str | None:
    return objects.payer(notice.thing) if objects.method(notice.thing) else None


def keep_setup(connection: Connection, told: Told) -> Kept:
    """It promises a payment method; which card that is, the method's own event says."""
    method_id = objects.method(told.notice.thing)
    if told.customer_id is None or method_id is None:
        return Kept("ignored", {"reason": "a setup without a customer"})
    repository.expect_method(connection, method_id, told.customer_id, told.notice.created)
    return Kept("applied", chooses=True, settles=True)


def on_product(connection: Connection, notice: Notice) -> Outcome:
    repository.lock_catalogue(connection)
    said = repository.known(connection, objects.product(notice.thing))
    latest = objects.changed_at(notice.thing)
    if not repository.keep_product(connection, said, notice.version(latest=latest)):
        return Outcome("stale")
    consequences.set_plans(connection)
    changes = consequences.settle_holders(connection, said.id)
    warnings = {"warnings": list(said.warnings)} if said.warnings else {}
    return Outcome("applied", {**consequences.described(changes.values()), **warnings})


def on_price(connection: Connection, notice: Notice) -> Outcome:
    repository.lock_catalogue(connection)
    if not repository.keep_price(connection, objects.price(notice.thing), notice.version()):
        return Outcome("stale")
    consequences.set_plans(connection)
    return Outcome("applied")


def every[T](subject: str, *verbs: str, do: T) -> dict[str, T]:
    return {f"{subject}.{verb}": do for verb in verbs}


LIFE: Final = ("created", "updated", "deleted")
STATES: Final = (*LIFE, "paused", "resumed")
INVOICES: Final = ("finalized", "payment_succeeded", "payment_failed", "paid", "voided")
DISPUTES: Final = ("created", "updated", "funds_withdrawn", "funds_reinstated", "closed")
CHANGES: Final[Mapping[str, Telling]] = {
    **every("customer", *LIFE, do=Telling(himself, keep_customer)),
    **every("customer.subscription", *STATES, do=Telling(payer, keep_subscription)),
    **every("checkout.session", "completed", do=Telling(payer, keep_checkout)),
    **every("invoice", *INVOICES, do=Telling(payer, keep_invoice)),
    **every("setup_intent", "succeeded", do=Telling(promised, keep_setup)),
    **every("payment_method", "attached", "updated", "detached", do=Telling(holder, keep_method)),
    **every("charge", "refunded", do=Telling(payer, keep_refund)),
    **every("charge.dispute", *DISPUTES, do=Telling(nobody, keep_dispute)),
}
CATALOGUE: Final[Mapping[str, Callable[[Connection, Notice], Outcome]]] = {
    **every("product", *LIFE, do=on_product),
    **every("price", *LIFE, do=on_price),
}
TYPES: Final = {*CHANGES, *CATALOGUE, *CONNECTED}

"""How a contractor gets his own account at Stripe: made at the first call, a new link at each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quotekit import database
from quotekit.billing import client, objects, orders
from quotekit.billing.client import Answer, Stripe
from quotekit.billing.objects import Json
from quotekit.invoices import connecting
from quotekit.invoices.connecting import Connected
from quotekit.invoices.requests import ConnectRequest


@dataclass(frozen=True, slots=True)
class Linked:
    """Where the contractor tells Stripe who he is; the address works once, for some minutes."""

    account: Connected
    url: str
    expires_at: datetime | None


def connect(account_id: UUID, body: ConnectRequest, seconds: float) -> Linked:
    """Reads, asks Stripe, writes; the link's address is kept nowhere."""
    stripe = client.stripe(seconds)
    with database.transaction(database.SERVICE) as connection:
        held = connecting.standing(connection, account_id)
    return orders.place(stripe, account_id, lambda: ask(stripe, account_id, held, body))


def ask(stripe: Stripe, account_id: UUID, held: Connected, body: ConnectRequest) -> Linked:
    if held.id is None or held.disconnected_at is not None:
        answer = open_account(stripe, account_id, held.id)
        with database.transaction(database.SERVICE) as connection:
            held = connecting.remember(connection, account_id, answer.body, answer.read_at)
    return linked(held, open_link(stripe, held.id or "", body))


def open_account(stripe: Stripe, account_id: UUID, before: str | None) -> Answer:
    """A new connected account; asked twice at once, it is one."""
    key = orders.idempotency_key(account_id, "connect", before or "first")
    metadata = {"account_id": str(account_id)}
    return stripe.post("accounts", key=key, type="standard", metadata=metadata)


def open_link(stripe: Stripe, connected_id: str, body: ConnectRequest) -> Json:
    return stripe.post(
        "account_links",
        account=connected_id,
        return_url=body.return_url,
        refresh_url=body.refresh_url,
        type="account_onboarding",
    ).body


def linked(held: Connected, thing: Json) -> Linked:
    return Linked(held, objects.link(thing), objects.optional(thing.get("expires_at")))

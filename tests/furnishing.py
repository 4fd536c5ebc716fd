"""What exists behind a door before it is asked: made through the doors, by its name in `FURNISHED`.

Ids are left in the caller's `known`, by collection or by parameter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from docs.openapi.examples import QUOTE
from functions.dead_letter_recorder.app import lambda_handler as recorder
from quotekit import database as databases
from quotekit.webhooks import applying
from quotekit.webhooks.model import PermanentError
from quotekit.webhooks.repository import Delivery
from tests import deliveries
from tests.functions.conftest import ACCOUNT, OTHER_USER, LambdaContext, sqs_event

if TYPE_CHECKING:
    from tests.functions.test_bad_input import Caller

THINGS: Final = {
    "clients": {"name": "Grace Hopper"},
    "items": {"name": "Mowing", "unit": "h", "unit_cost": "48"},
    "categories": {"name": "Lawn"},
}
MEMBER: Final = "insert into app.members (account_id, user_id, role) values (%s, %s, 'member')"
OPENED: Final = re.compile(r"/mails/([A-Za-z0-9_-]{43})/opened\.gif")
GUEST: Final = "guest@example.com"


def with_account(caller: Caller) -> None:
    """A second member, and an invitation that waits."""
    caller.owner.execute(MEMBER, [ACCOUNT, OTHER_USER])
    caller.known["user_id"] = str(OTHER_USER)
    caller.known["invitation_id"] = caller.make("/v1/invitations", {"email": GUEST})


def with_name(caller: Caller) -> None:
    """An account with the name that the example of its erasure confirms."""
    caller.make("/v1/clients", THINGS["clients"])
    caller.owner.execute("update app.accounts set name = 'Green Gardens'")


def with_catalog(caller: Caller) -> None:
    for kind, body in THINGS.items():
        caller.known[kind] = caller.make(f"/v1/{kind}", body)


def with_assessment(caller: Caller) -> None:
    client = caller.make("/v1/clients", THINGS["clients"])
    place = {"client_id": client, "service_address": "1 Elm Street", "lawn_area_sqft": "5000"}
    place_id = caller.make("/v1/properties", place)
    caller.known |= {"client_id": client, "property_id": place_id, "properties": place_id}
    caller.known["assessments"] = caller.make("/v1/assessments", {"property_id": place_id})
    rule = {"factor": "area", "kind": "per_sqft", "currency": "USD", "amount": 1, "label": "Area"}
    caller.known["assessment-rules"] = caller.make("/v1/assessment-rules", rule)


def with_quote(caller: Caller) -> None:
    caller.known["quote_id"] = caller.make("/v1/quotes", QUOTE)


def with_sent_quote(caller: Caller) -> dict[str, Any]:
    with_quote(caller)
    path = f"/v1/quotes/{caller.known['quote_id']}/send"
    sent: dict[str, Any] = caller.do(path, {"channel": "link"})
    return sent


def with_page(caller: Caller) -> None:
    """The address a client was sent."""
    caller.known["token"] = with_sent_quote(caller)["link"].rpartition("/")[2]
    caller.known["colour"] = "1f5c4d.css"


def with_mails(caller: Caller) -> None:
    """A quote that was mailed, with a picture whose opening counts."""
    caller.call("PATCH", "/v1/company-settings", {"track_opens": True, "version": 0})
    with_quote(caller)
    caller.do(f"/v1/quotes/{caller.known['quote_id']}/send", {"channel": "email"})
    row = caller.owner.execute("select html_body from app.mails").fetchone()
    found = OPENED.search(row[0]) if row else None
    assert found
    caller.known["token"] = found[1]


def with_versions(caller: Caller) -> None:
    """A quote that was sent and revised."""
    with_sent_quote(caller)
    caller.do(f"/v1/quotes/{caller.known['quote_id']}/revise")
    caller.known |= {"before": "1", "after": "2"}


def with_invoice(caller: Caller) -> None:
    """An invoice, and a quote with a deposit that may become another."""
    for deposit in (None, {"type": "percent", "value": "50"}):
        quote_id = caller.make("/v1/quotes", QUOTE | {"deposit": deposit})
        caller.do(f"/v1/quotes/{quote_id}/send", {"channel": "link"})
        caller.do(f"/v1/quotes/{quote_id}/accept")
        if deposit is None:
            caller.known["invoice_id"] = caller.do(f"/v1/quotes/{quote_id}/invoice")["id"]
        else:
            caller.known["quote_id"] = quote_id


def with_packages(caller: Caller) -> None:
    with_quote(caller)
    item = caller.make("/v1/items", THINGS["items"])
    lines = [{"item_id": item, "quantity": "1"}]
    tiers = [{"name": name, "lines": lines} for name in ("Good", "Better")]
    package = caller.make("/v1/packages", {"name": "Hedges", "tiers": tiers})
    caller.known |= {"item_id": item, "package_id": package}


def with_template(caller: Caller) -> None:
    words = {"kind": "reminder", "language": "de", "subject": "{quote_number}", "body": "{link}"}
    caller.known["template_id"] = caller.make("/v1/mail-templates", words)


def with_shared(caller: Caller) -> None:
    """A category of the shared catalogue with an item, both the caller's to change."""
    shelf = caller.make("/v1/catalogue/categories", {"name": "Roofs"})
    item = {"category_id": shelf, "name": "Moss removal", "unit": "visit", "tier": "free"}
    made = caller.make("/v1/catalogue/items", item | {"suggested_cost": "80"})
    caller.known |= {"category_id": shelf, "item_id": made}


def with_tour(caller: Caller) -> None:
    caller.known |= {"tour_id": "welcome", "step": "greeting"}


def with_endpoints(caller: Caller) -> None:
    caller.known["endpoint_id"] = caller.make("/v1/webhook-endpoints", {"name": "billing"})


def with_dead_letters(caller: Caller) -> None:
    """An event that failed for good, its letter, and a redrive."""
    dead = deliveries.pull_request("open", 1)
    with databases.transaction(databases.SERVICE) as connection:
        delivery = Delivery("webhooks", 1, deliveries.NOON)
        failure = applying.fail(connection, dead, delivery, PermanentError("no"), most=1)
    assert failure
    event = sqs_event(dead.message)
    event["Records"][0]["eventSourceARN"] += "quotekit-local-webhooks-dead-letter"
    recorder(event, LambdaContext())
    with databases.reading(databases.SERVICE) as connection:
        row = connection.execute("select id from ops.webhook_dead_letters").fetchone()
    assert row
    caller.known |= {"webhook_id": str(failure.id), "letter_id": str(row[0])}
    caller.known |= {"dependency": "stripe", "event_id": str(failure.id)}
    caller.known["redrive_id"] = caller.make("/v1/webhook-monitor/redrive", {"all": True})


def with_batch(caller: Caller) -> None:
    body = {"operation": "delete_clients", "items": [str(uuid4())]}
    caller.known["job_id"] = caller.make("/v1/batches", body)


FURNISHED: Final = {
    "account-eraser": with_name,
    "account-manager": with_account,
    "assessment-manager": with_assessment,
    "batch-processor": with_batch,
    "catalog-manager": with_catalog,
    "invoice-manager": with_invoice,
    "mail-templates": with_template,
    "onboarding-manager": with_tour,
    "package-manager": with_packages,
    "quote-mails": with_mails,
    "quote-pdf-generator": with_quote,
    "quote-portal": with_page,
    "quote-processor": with_quote,
    "quote-versions": with_versions,
    "shared-catalogue": with_shared,
    "webhook-endpoints": with_endpoints,
    "webhook-monitor": with_dead_letters,
}

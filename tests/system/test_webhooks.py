"""A sender's events through the deployed stack: taken, applied once, seen by an operator."""

import hashlib
import hmac
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from local.settings import WEBHOOK_SECRETS
from tests.stacks import Stack, eventually


def secret(source: str) -> str:
    secrets: Any = WEBHOOK_SECRETS[source]["secrets"]
    return str(secrets[0])


def stripe_event(event_id: str, customer: str, **changes: Any) -> bytes:
    created = int(time.time())
    event = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28",
        "created": created,
        "livemode": False,
        "type": "customer.created",
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {
            "object": {
                "id": customer,
                "object": "customer",
                "created": created,
                "email": "owner@example.com",
                "metadata": {"account_id": "01900000-0000-7000-8000-0000000000a1"},
            }
        },
    }
    return json.dumps(event | changes).encode()


def signed(body: bytes, *, key: str | None = None) -> dict[str, str]:
    """Stripe's scheme: https://docs.stripe.com/webhooks#verify-manually."""
    moment = int(time.time())
    mac = hmac.new(
        (key or secret("stripe")).encode(), f"{moment}.".encode() + body, hashlib.sha256
    ).hexdigest()
    return {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}


def post(stack: Stack, body: bytes, headers: dict[str, str]) -> httpx.Response:
    with stack.http(None) as sender:
        return sender.post("/v1/webhooks/stripe", content=body, headers=headers)


def rows(stack: Stack, event_id: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.facts["database_url"]) as owner:
        return owner.execute(
            "select status, attempts from ops.webhook_events where event_id = %s", [event_id]
        ).fetchall()


def test_an_event_delivered_three_times_is_applied_once(stack: Stack) -> None:
    event_id, customer = f"evt_{uuid4().hex}", f"cus_{uuid4().hex}"
    body = stripe_event(event_id, customer)

    answers = [post(stack, body, signed(body)) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json() == {"received": True, "id": event_id}
    found = eventually(lambda: [row for row in rows(stack, event_id) if row[0] == "applied"])
    assert len(found) == 1
    with psycopg.connect(stack.facts["database_url"]) as owner:
        kept = eventually(
            lambda: owner.execute(
                "select count(*) from app.stripe_customers where id = %s", [customer]
            ).fetchone()
        )
    assert kept == (1,)


def test_a_forged_event_is_refused_and_leaves_no_trace(stack: Stack) -> None:
    event_id = f"evt_{uuid4().hex}"
    body = stripe_event(event_id, "cus_forged")

    refused = post(stack, body, signed(body, key="whsec_guess"))

    assert refused.status_code == 401
    assert refused.json()["code"] == "UNAUTHORIZED"
    assert refused.json()["details"] == []
    assert rows(stack, event_id) == []
    with stack.http(None) as anyone:
        assert anyone.post("/v1/webhooks/nobody", content=b"{}").status_code == 404


def test_an_operator_sees_the_events_and_a_user_does_not(stack: Stack) -> None:
    with stack.http("admin_token") as admin, stack.http("token") as user:
        overview = admin.get("/v1/webhook-monitor/overview")

        assert user.get("/v1/webhook-monitor/overview").status_code == 403
    assert overview.status_code == 200, overview.text
    assert overview.json()["summary"]["total_events"] >= 1


def test_a_subscription_answers_for_the_caller(stack: Stack) -> None:
    with stack.http() as api:
        answer = api.get("/v1/subscription")

    assert answer.status_code == 200, answer.text
    assert answer.json()["plan"]

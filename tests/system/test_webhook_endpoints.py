"""A tenant's own sender through the deployed stack."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.stacks import Stack, eventually


def send(stack: Stack, made: Any, secret: str, event_id: str) -> int:
    body, now = json.dumps({"type": "contact.created", "data": {"n": 1}}), datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body),
        "content-type": "application/json",
    }
    with stack.http(None) as sender:
        return sender.post(made["endpoint"]["path"], content=body, headers=headers).status_code


def test_what_a_tenants_sender_posts_is_there_for_him_alone(
    stack: Stack, api: httpx.Client
) -> None:
    made = api.post("/v1/webhook-endpoints", json={"name": "CRM"})
    assert made.status_code == 201, made.text
    path = f"/v1/webhook-endpoints/{made.json()['endpoint']['id']}"
    rotated = api.post(f"{path}/rotate", json={"overlap_seconds": 600}).json()

    answers = [
        send(stack, made.json(), made.json()["secret"], "msg_older"),
        send(stack, made.json(), rotated["secret"], "msg_newer"),
        send(stack, made.json(), "whsec_" + "A" * 43 + "=", "msg_forged"),
    ]

    assert answers == [200, 200, 401]
    arrived = eventually(lambda: api.get(f"{path}/events").json()["data"][1:] or None)
    assert {item["event_id"] for item in arrived} <= {"msg_older", "msg_newer"}
    with stack.http("admin_token") as other:
        assert other.get(f"{path}/events").status_code == 404
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert len(api.get(f"{path}/events").json()["data"]) == 2

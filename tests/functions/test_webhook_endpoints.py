"""A tenant's own endpoints through every door: made, signed for, received, rotated, removed."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import dict_row
from standardwebhooks import Webhook

from functions.webhook_endpoints.app import lambda_handler
from functions.webhook_handler.app import lambda_handler as webhook_handler
from functions.webhook_worker.app import lambda_handler as webhook_worker
from quotekit import exchange, secrets
from quotekit.webhooks import arrivals, keyring, routing
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    UNKNOWN,
    USER,
    Answer,
    Client,
    Issuer,
    LambdaContext,
    http_event,
    load_event,
    sqs_event,
)
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

BASE: Final = "/v1/webhook-endpoints"
QUEUE: Final = "https://sqs.test/quotekit-local-webhooks"


@pytest.fixture
def aws(database: Database, environment: pytest.MonkeyPatch) -> Iterator[Aws]:
    environment.setattr(exchange, "PAUSE", 0)
    with vendor.serve() as server:
        server.queues = {QUEUE: []}
        variables = {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_REGION": vendor.REGION,
            "AWS_ACCESS_KEY_ID": vendor.KEY,
            "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
            "WEBHOOK_SECRETS": "quotekit/local/webhooks",
            "WEBHOOKS_QUEUE_URL": QUEUE,
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        forget()
        yield server
        forget()


def forget() -> None:
    """As if SECRETS_TTL had passed."""
    secrets.forget()
    keyring.forget()
    routing.forget()


@dataclass
class Tenant:
    call: Client
    aws: Aws
    database: Database

    def make(self, **body: Any) -> Any:
        answer = self.call("POST", BASE, body)
        assert answer.status == 201, answer.text
        return answer.json

    def keyed(self, path: str, body: Any, key: str) -> Answer:
        return self.call("POST", path, body, headers={"idempotency-key": key})

    def events(self, endpoint_id: str, query: str = "") -> Any:
        answer = self.call("GET", f"{BASE}/{endpoint_id}/events", query=query)
        assert answer.status == 200, answer.text
        return answer.json

    def audited(self, endpoint_id: str) -> list[Any]:
        query = "select action, actor_id from app.audit_events where object_id = %s order by id"
        with psycopg.connect(self.database.owner_url, row_factory=dict_row) as owner:
            return [(row["action"], row["actor_id"]) for row in owner.execute(query, [endpoint_id])]


@pytest.fixture
def tenant(aws: Aws, database: Database, issuer: Issuer) -> Tenant:
    return Tenant(client(issuer.token(USER, ACCOUNT)), aws, database)


@pytest.fixture
def other(aws: Aws, database: Database, issuer: Issuer) -> Tenant:
    return Tenant(client(issuer.token(OTHER_USER)), aws, database)


def client(token: str | None) -> Client:
    return Client(lambda_handler, token, "ANY /v1/webhook-endpoints/{proxy+}")


def signed(secret: str, body: str, event_id: str) -> dict[str, str]:
    """By the library that Standard Webhooks publishes for senders."""
    now = datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body),
    }


def send(endpoint: Any, headers: dict[str, str], body: str) -> int:
    """What the sender is answered."""
    route = "POST /v1/webhooks/standard/{endpoint_id}"
    event = http_event("POST", endpoint["path"], body, route=route)
    event["headers"] |= headers
    return int(webhook_handler(event, LambdaContext())["statusCode"])


def post(made: Any, body: str = "{}", event_id: str = "msg_1", secret: str | None = None) -> int:
    forget()
    headers = signed(secret or made["secret"], body, event_id)
    return send(made["endpoint"], headers, body)


def work(aws: Aws) -> None:
    """The worker takes what the queue holds."""
    event = sqs_event(*aws.messages(QUEUE))
    for record in event["Records"]:
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:quotekit-local-webhooks"
    aws.queues[QUEUE].clear()
    assert webhook_worker(event, LambdaContext()) == {"batchItemFailures": []}


BODY: Final = '{"type": "contact.created", "timestamp": "2026-11-22T12:00:00Z", "data": {"n":  1}}'


def test_what_a_tenants_sender_signs_is_in_the_tenants_inbox_byte_for_byte(tenant: Tenant) -> None:
    made = tenant.make(name="CRM")

    answered = post(made, BODY, "msg_42")
    work(tenant.aws)

    (arrived,) = tenant.events(made["endpoint"]["id"])["data"]
    assert answered == 200
    assert (arrived["event_id"], arrived["type"]) == ("msg_42", "contact.created")
    assert (arrived["body"], arrived["bytes"], arrived["reason"]) == (BODY, len(BODY), None)
    one = tenant.call("GET", f"{BASE}/{made['endpoint']['id']}/events/{arrived['id']}")
    assert one.json == arrived


def test_a_sender_with_a_key_of_his_own_signs_by_ed25519(tenant: Tenant) -> None:
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    made = tenant.make(scheme="ed25519", public_key=public)
    now = int(datetime.now(UTC).timestamp())
    signature = base64.b64encode(private.sign(f"msg_1.{now}.{BODY}".encode())).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now)}

    answered = send(made["endpoint"], headers | {"webhook-signature": f"v1a,{signature}"}, BODY)
    forged = send(made["endpoint"], headers | {"webhook-signature": f"v1a,{signature}"}, "{}")

    assert (answered, forged) == (200, 401)
    assert made["secret"] is None


def test_another_tenant_sees_and_changes_nothing(tenant: Tenant, other: Tenant) -> None:
    made = tenant.make()
    post(made, BODY)
    work(tenant.aws)
    (arrived,) = tenant.events(made["endpoint"]["id"])["data"]
    path = f"{BASE}/{made['endpoint']['id']}"

    answers = [
        other.call("GET", path),
        other.call("GET", f"{path}/events"),
        other.call("GET", f"{path}/events/{arrived['id']}"),
        other.call("PATCH", path, {"enabled": False}),
        other.call("POST", f"{path}/rotate", {}),
        other.call("DELETE", path),
    ]

    assert {answer.status for answer in answers} == {404}
    assert other.call("GET", BASE).json == {"data": [], "next_cursor": None}
    assert post(made, BODY, "msg_2") == 200


def test_a_secret_signed_by_another_tenants_is_refused(tenant: Tenant, other: Tenant) -> None:
    mine, theirs = tenant.make(), other.make()

    assert post(mine, secret=theirs["secret"]) == 401


def test_a_rotated_secret_and_the_one_before_it_are_both_good_meanwhile(tenant: Tenant) -> None:
    first = tenant.make()
    path = f"{BASE}/{first['endpoint']['id']}/rotate"

    second = tenant.call("POST", path, {"overlap_seconds": 3600})
    meanwhile = [post(first, event_id="a"), post(second.json, event_id="b")]
    third = tenant.call("POST", path, {"overlap_seconds": 0})

    assert (second.status, third.status) == (201, 201)
    assert meanwhile == [200, 200]
    assert second.json["previous_until"] is not None
    secrets_after = [made["secret"] for made in (first, second.json, third.json)]
    assert [post(first, secret=secret) for secret in secrets_after] == [401, 401, 200]


def test_one_that_is_off_is_answered_401_until_it_is_on(tenant: Tenant) -> None:
    made = tenant.make()
    path = f"{BASE}/{made['endpoint']['id']}"

    off = tenant.call("PATCH", path, {"enabled": False})
    while_off = post(made)
    on = tenant.call("PATCH", path, {"enabled": True})

    assert (off.json["enabled"], while_off) == (False, 401)
    assert (on.json["enabled"], post(made)) == (True, 200)


def test_a_removed_one_leaves_no_secret_and_keeps_what_came(tenant: Tenant) -> None:
    made = tenant.make()
    endpoint_id = made["endpoint"]["id"]
    post(made, BODY)
    work(tenant.aws)

    removed = tenant.call("DELETE", f"{BASE}/{endpoint_id}")

    assert (removed.status, removed.text) == (204, "")
    assert tenant.aws.secrets == {}
    assert post(made) == 401
    assert tenant.call("GET", f"{BASE}/{endpoint_id}").status == 404
    assert tenant.call("DELETE", f"{BASE}/{endpoint_id}").status == 404
    assert len(tenant.events(endpoint_id)["data"]) == 1


def test_a_removal_that_failed_halfway_accepts_nothing_and_can_be_repeated(tenant: Tenant) -> None:
    made = tenant.make()
    path = f"{BASE}/{made['endpoint']['id']}"
    tenant.aws.trouble("secretsmanager", *["error"] * exchange.ATTEMPTS)

    failed = tenant.call("DELETE", path)
    seen = tenant.call("GET", path).json
    again = tenant.call("DELETE", path)

    assert (failed.status, failed.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert seen["enabled"] is False
    assert again.status == 204


def test_the_same_request_makes_one_endpoint_and_tells_its_secret_once(tenant: Tenant) -> None:
    first, second = (tenant.keyed(BASE, {"name": "CRM"}, "k") for _ in range(2))
    third = tenant.keyed(BASE, {"name": "other"}, "k")

    assert (first.status, second.status, third.status) == (201, 201, 409)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (second.json["secret"], second.json["replayed"]) == (None, True)
    assert second.json["endpoint"] == first.json["endpoint"]
    assert len(tenant.call("GET", BASE).json["data"]) == 1
    with psycopg.connect(tenant.database.owner_url) as owner:
        kept = owner.execute("select body from app.idempotency_keys").fetchall()
    assert first.json["secret"] not in str(kept)


def test_a_secret_that_could_not_be_stored_comes_with_the_next_attempt(tenant: Tenant) -> None:
    tenant.aws.trouble("secretsmanager", *["error"] * exchange.ATTEMPTS * 2)

    failed = tenant.keyed(BASE, {}, "k")
    tenant.aws.troubles.clear()
    made = tenant.keyed(BASE, {}, "k")

    assert failed.status == 503
    assert made.status == 201
    assert post(made.json) == 200
    assert len(tenant.call("GET", BASE).json["data"]) == 1


def test_a_repeated_rotation_does_not_push_out_the_secret_before_it(tenant: Tenant) -> None:
    first = tenant.make()
    path = f"{BASE}/{first['endpoint']['id']}/rotate"

    second, again = (tenant.keyed(path, None, "k") for _ in range(2))

    assert (again.status, again.json["secret"]) == (201, None)
    assert again.json["previous_until"] == second.json["previous_until"]
    assert [post(first, event_id="a"), post(second.json, event_id="b")] == [200, 200]


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_who_does_not_manage_the_account_may_only_read(
    tenant: Tenant, issuer: Issuer, role: str
) -> None:
    made = tenant.make()
    path = f"{BASE}/{made['endpoint']['id']}"
    with psycopg.connect(tenant.database.owner_url) as owner:
        owner.execute("insert into app.members values (%s, %s, %s)", [ACCOUNT, OTHER_USER, role])
    call = client(issuer.token(OTHER_USER, ACCOUNT))

    refused = [
        call("POST", BASE, {}),
        call("PATCH", path, {"enabled": False}),
        call("POST", f"{path}/rotate", {}),
        call("DELETE", path),
    ]

    assert {answer.status for answer in refused} == {403}
    assert call("GET", path).status == call("GET", f"{path}/events").status == 200
    assert len(tenant.aws.secrets) == 1


def test_who_did_what_is_written_down(tenant: Tenant) -> None:
    endpoint_id = tenant.make()["endpoint"]["id"]
    path = f"{BASE}/{endpoint_id}"

    tenant.call("PATCH", path, {"name": "CRM"})
    tenant.call("POST", f"{path}/rotate", {})
    tenant.call("DELETE", path)

    verbs = ["created", "renamed", "rotated", "disabled", "deleted"]
    assert tenant.audited(endpoint_id) == [(f"webhook_endpoint.{verb}", USER) for verb in verbs]


def arrive(tenant: Tenant, endpoint_id: str, *bodies: str) -> None:
    insert = """insert into app.webhook_inbox (id, account_id, endpoint_id, event_id, type, body,
        occurred_at, received_at) values (%s, %s, %s, %s, 't', %s, now(), now())"""
    with psycopg.connect(tenant.database.owner_url) as owner:
        for number, body in enumerate(bodies):
            name = f"{number:032x}"
            owner.execute(insert, [name, ACCOUNT, endpoint_id, f"m{number}", body])


def test_events_come_newest_first_page_by_page(tenant: Tenant) -> None:
    endpoint_id = tenant.make()["endpoint"]["id"]
    arrive(tenant, endpoint_id, *["{}"] * 5)

    first = tenant.events(endpoint_id, "limit=2")
    second = tenant.events(endpoint_id, f"limit=2&cursor={first['next_cursor']}")
    last = tenant.events(endpoint_id, f"limit=2&cursor={second['next_cursor']}")

    pages = [[item["event_id"] for item in page["data"]] for page in (first, second, last)]
    assert pages == [["m4", "m3"], ["m2", "m1"], ["m0"]]
    assert last["next_cursor"] is None


def test_bodies_beyond_what_an_answer_can_hold_are_null_with_a_reason(tenant: Tenant) -> None:
    endpoint_id = tenant.make()["endpoint"]["id"]
    small, large, huge = ('"' + "x" * size + '"' for size in (10, 900_000, 3_000_000))
    arrive(tenant, endpoint_id, huge, large, large, small)

    page = tenant.events(endpoint_id)["data"]
    path = f"{BASE}/{endpoint_id}/events"
    alone = [tenant.call("GET", f"{path}/{item['id']}").json for item in page]

    assert [item["body"] for item in page] == [small, large, None, None]
    assert [item["bytes"] for item in page] == [12, 900_002, 900_002, 3_000_002]
    assert {item["reason"] for item in page[2:]} == {arrivals.NOT_HERE}
    assert [item["body"] for item in alone] == [small, large, large, None]
    assert alone[3]["reason"] == arrivals.TOO_LARGE


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"scheme": "ed25519"}, 422),
        ("POST", "", {"public_key": "whpk_" + "A" * 43 + "="}, 422),
        ("POST", "", {"scheme": "rsa"}, 422),
        ("POST", "", {"name": "x" * 201}, 422),
        ("POST", "", {"name": "a\x00b"}, 422),
        ("POST", "", "{", 400),
        ("PATCH", "/{id}", {}, 422),
        ("PATCH", "/{id}", {"enabled": None}, 422),
        ("POST", "/{id}/rotate", {"overlap_seconds": -1}, 422),
        ("POST", "/{id}/rotate", {"public_key": "whpk_" + "A" * 43 + "="}, 422),
        ("GET", "/{id}/events?limit=0", None, 422),
        ("GET", "/{id}/events?cursor=foreign", None, 422),
        ("GET", "/not-an-id", None, 422),
        ("GET", f"/{UNKNOWN}", None, 404),
        ("GET", f"/{UNKNOWN}/events", None, 404),
        ("GET", f"/{{id}}/events/{UNKNOWN}", None, 404),
        ("PUT", "/{id}", {}, 405),
    ],
)
def test_what_cannot_be_is_refused(
    tenant: Tenant, method: str, path: str, body: Any, status: int
) -> None:
    made = tenant.make()
    path, _, query = path.replace("{id}", made["endpoint"]["id"]).partition("?")

    answer = tenant.call(method, BASE + path, body, query=query)

    assert answer.status == status, answer.text
    assert json.loads(answer.text)["code"]


def test_without_a_token_nothing_is_said(aws: Aws) -> None:
    assert client(None)("GET", BASE).status == 401


def test_the_committed_event_is_a_request_of_this_door(tenant: Tenant, issuer: Issuer) -> None:
    event = load_event("webhook_endpoints")
    event["headers"]["authorization"] = f"Bearer {issuer.token(USER, ACCOUNT)}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 201

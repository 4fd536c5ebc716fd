"""GitHub's published examples of its webhooks, all of them: signed, taken, stored.

They are `@octokit/webhooks-examples` of npm, which `local/setup.sh examples` fetches by hash.
"""

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from functions.webhook_handler.app import lambda_handler as handler
from functions.webhook_worker.app import lambda_handler as worker
from quotekit import secrets
from quotekit.webhooks import github, keyring, routing
from tests.conftest import Database
from tests.functions.conftest import LambdaContext, load_event, sqs_event
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / ".local/tools/node/node_modules/@octokit/webhooks-examples"
SECRET: Final = "It's a Secret to Everybody"
QUEUES: Final = ("WEBHOOKS_CRITICAL", "WEBHOOKS", "WEBHOOKS_BULK")
# GitHub itself, and the releases of its server, as the pinned package has them.
EXAMPLES: Final = {
    "api.github.com": 329,
    "ghes-31": 49,
    "ghes-32": 49,
    "ghes-33": 50,
    "ghes-34": 124,
    "ghes-35": 125,
}

type Example = tuple[str, dict[str, Any]]


def examples(release: str) -> list[Example]:
    """Each event's type and payload."""
    place = PACKAGE / release / "index.json"
    if not place.exists():
        pytest.fail("GitHub's examples are not here: run `bash local/setup.sh examples`")
    kinds = json.loads(place.read_text())
    return [(kind["name"], example) for kind in kinds for example in kind["examples"]]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The services of the handler, and the variables that lead it there."""
    with vendor.serve() as aws:
        aws.give("webhooks/github", {"secrets": [SECRET]})
        variables = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": vendor.REGION,
            "AWS_ACCESS_KEY_ID": vendor.KEY,
            "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
            "WEBHOOK_SECRETS": "webhooks",
            "WEBHOOK_REFUSALS_SAMPLED": "0",
            "DOCUMENTS_BUCKET": "documents",
        }
        variables |= {f"{name}_QUEUE_URL": f"https://sqs.test/{name}" for name in QUEUES}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_SESSION_TOKEN", "ROUTING_BUCKET", "ROUTING_KEY"):
            monkeypatch.delenv(name, raising=False)
        aws.queues = {f"https://sqs.test/{name}": [] for name in QUEUES}
        forget()
        yield aws
        forget()


def forget() -> None:
    secrets.forget()
    keyring.forget()
    routing.forget()


def post(kind: str, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    """GitHub's request: https://docs.github.com/webhooks/webhook-events-and-payloads."""
    event = load_event("webhook_handler")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/v1/webhooks/github"
    event |= {"body": body.decode(), "isBase64Encoded": False}
    event["headers"] = {
        "content-type": content_type,
        "x-github-event": kind,
        "x-github-delivery": str(uuid4()),
        "x-hub-signature-256": f"sha256={hmac.digest(SECRET.encode(), body, 'sha256').hex()}",
    }
    answer = handler(event, LambdaContext())
    return answer["statusCode"], json.loads(answer["body"])


def form(payload: dict[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


FORM: Final = "application/x-www-form-urlencoded"


def taken(aws: Aws) -> list[dict[str, Any]]:
    """What the handler queued, in the order of arrival."""
    messages = [message for url in aws.queues for message in aws.messages(url)]
    return sorted(messages, key=lambda message: message["received_at"])


def work(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Ten at a time; what stays in the queue."""
    left = []
    for start in range(0, len(messages), 10):
        event = sqs_event(*messages[start : start + 10])
        for record in event["Records"]:
            record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:quotekit-local-webhooks"
        left += worker(event, LambdaContext())["batchItemFailures"]
    return left


def stored(database: Database) -> list[dict[str, Any]]:
    query = "select event_id, type, status, body, attempts from ops.webhook_events"
    with psycopg.connect(database.owner_url, row_factory=dict_row) as owner:
        return owner.execute(query).fetchall()


@pytest.mark.parametrize("release", EXAMPLES)
def test_each_example_is_taken_stored_once_and_never_fails(
    release: str, aws: Aws, database: Database
) -> None:
    given = examples(release)
    answers = [post(kind, json.dumps(payload).encode()) for kind, payload in given]
    messages = taken(aws)

    left = work(messages) + work(messages)

    assert len(given) == EXAMPLES[release]
    assert {status for status, _ in answers} == {200}
    assert left == []
    rows = {row["event_id"]: row for row in stored(database)}
    assert sorted(rows) == sorted(answer["id"] for _, answer in answers)
    for (kind, payload), (_, answer) in zip(given, answers, strict=True):
        row = rows[answer["id"]]
        wanted = {"applied", "stale"} if kind in github.READERS else {"ignored"}
        assert row["status"] in wanted, (kind, row)
        assert (row["type"], json.loads(row["body"]), row["attempts"]) == (kind, payload, 1)


def test_each_example_says_the_same_as_a_form(aws: Aws) -> None:
    for kind, payload in examples("api.github.com"):
        as_json = post(kind, json.dumps(payload).encode())
        as_form = post(kind, form(payload), f"{FORM}; charset=utf-8")

        assert (as_json[0], as_form[0]) == (200, 200)
        first, second = taken(aws)
        assert first | {"event_id": "", "received_at": ""} == second | {
            "event_id": "",
            "received_at": "",
        }
        for queue in aws.queues.values():
            queue.clear()


def test_a_form_is_stored_as_the_json_it_holds(aws: Aws, database: Database) -> None:
    payload = {"zen": "Ünïcode & = + % ; 🛠", "hook_id": 1}

    status, _ = post("ping", form(payload), FORM)

    assert status == 200
    assert work(taken(aws)) == []
    assert [json.loads(row["body"]) for row in stored(database)] == [payload]


MALFORMED: Final = (
    *(b"", b"payload", b"payload=", b"payload=%7B", b"payload=%ff", b"payload=%zz", b"a=%7B%7D"),
    *(b"payload=%7B%7D&payload=%7B%7D", b"payload=%7B%7D&a=1", b'{"zen": "x"}', b"payload=[]"),
    *(b"payload=%00", b"payload=" + b"[" * 100_000, "payload={\u00e9}".encode()),
)


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[:30])
def test_a_signed_form_without_one_payload_is_400(body: bytes, aws: Aws) -> None:
    status, answer = post("ping", body, FORM)

    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert taken(aws) == []


def test_a_forms_signature_is_over_its_bytes_and_not_over_the_json(aws: Aws) -> None:
    event = load_event("webhook_handler")
    payload = b'{"zen": "x"}'
    event |= {"body": urlencode({"payload": payload}), "isBase64Encoded": False}
    digest = hmac.digest(SECRET.encode(), payload, "sha256").hex()
    event["headers"] |= {"content-type": FORM, "x-hub-signature-256": f"sha256={digest}"}

    answer = handler(event, LambdaContext())

    assert answer["statusCode"] == 401

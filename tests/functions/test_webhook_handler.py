"""webhook-handler through its door, with AWS as a server that answers late, wrong, twice or never.

Whatever happens: nothing forged is accepted, and nothing is answered 200 that no queue holds.
"""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from functions.webhook_handler.app import lambda_handler
from quotekit import exchange, queues, secrets, telemetry
from quotekit.webhooks import ingress, keyring, model, routing, sending
from quotekit.webhooks.routing import Rule
from tests.functions.conftest import ACCOUNT, Answer, LambdaContext, load_event
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

ENDPOINT = "01900000-0000-7000-8000-0000000000e1"
OTHER_ENDPOINT = "01900000-0000-7000-8000-0000000000e2"
QUEUES = {name: f"https://sqs.test/{name}" for name in ("critical", "standard", "bulk")}
SECRETS = {
    "stripe": {"secrets": ["whsec_stripe"]},
    "github": {"secrets": ["It's a Secret to Everybody"]},
    "tiktok-shop": {"secrets": ["e59af819cc"], "app_key": "29a39d"},
    "easypost": {"secrets": ["sécret"]},
    "shippo": {"secrets": ["shippo-secret"]},
    f"standard/{ENDPOINT}": {"secrets": ["whsec_c2VjcmV0"], "account_id": str(ACCOUNT)},
}
PREFIX = "quotekit/local/webhooks"


@dataclass
class House:
    """The door, and what it says about itself."""

    aws: Aws
    environment: pytest.MonkeyPatch
    output: pytest.CaptureFixture[str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> Answer:
        answer = lambda_handler(event, LambdaContext())
        self.lines = [json.loads(line) for line in self.output.readouterr().out.splitlines()]
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    @property
    def measured(self) -> dict[str, Any]:
        (line,) = [line for line in self.lines if "_aws" in line]
        return line

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        return {name: self.aws.messages(url) for name, url in QUEUES.items()}

    def taken(self) -> list[dict[str, Any]]:
        return [message for queue in self.messages().values() for message in queue]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[House]:
    with vendor.serve() as aws:
        for source, document in SECRETS.items():
            aws.give(f"{PREFIX}/{source}", document)
        aws.queues = {url: [] for url in QUEUES.values()}
        variables = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": vendor.REGION,
            "AWS_ACCESS_KEY_ID": vendor.KEY,
            "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
            "POWERTOOLS_SERVICE_NAME": "webhook-handler",
            "WEBHOOK_SECRETS": PREFIX,
            "WEBHOOK_REFUSALS_SAMPLED": "0",
            "WEBHOOKS_CRITICAL_QUEUE_URL": QUEUES["critical"],
            "WEBHOOKS_QUEUE_URL": QUEUES["standard"],
            "WEBHOOKS_BULK_QUEUE_URL": QUEUES["bulk"],
            "DOCUMENTS_BUCKET": "documents",
            "ROUTING_BUCKET": "documents",
            "ROUTING_KEY": "routing/webhooks.json",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(exchange, "PAUSE", 0)
        forget()
        yield House(aws, monkeypatch, capsys)
        forget()


def forget() -> None:
    secrets.forget()
    keyring.forget()
    routing.forget()
    telemetry.metrics.cold = True


# --- requests as the senders make them ----------------------------------------------------------


def request(
    source: str, body: bytes, headers: dict[str, str], *, as_base64: bool = False
) -> dict[str, Any]:
    event = load_event("webhook_handler")
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/v1/webhooks/{source}"
    event["isBase64Encoded"] = as_base64
    event["body"] = base64.b64encode(body).decode() if as_base64 else body.decode()
    event["headers"] = {"content-type": "application/json", "user-agent": "sender/1", **headers}
    return event


def signed(source: str, body: bytes, secret: str | None = None) -> dict[str, str]:
    """The headers a sender makes; by the vendor's own library where there is one."""
    key = secret or str(SECRETS[source]["secrets"][0])
    now = int(time.time())

    def hexadecimal(message: bytes, key: str = key) -> str:
        return hmac.digest(key.encode(), message, "sha256").hex()

    match source.partition("/")[0]:
        case "stripe":
            header = stripe.WebhookSignature.generate_signature_header(body.decode(), key, now)
            return {"stripe-signature": header}
        case "github":
            named = {"x-github-event": "pull_request", "x-github-delivery": "72d3162e-cc78-11e3"}
            return named | {"x-hub-signature-256": f"sha256={hexadecimal(body)}"}
        case "tiktok-shop":
            return {"authorization": hexadecimal(b"29a39d" + body)}
        case "easypost":
            decomposed = key.replace("é", "e\u0301")
            return {"x-hmac-signature": f"hmac-sha256-hex={hexadecimal(body, decomposed)}"}
        case "shippo":
            return {"shippo-auth-signature": f"t={now},v1={hexadecimal(b'%d.' % now + body)}"}
    return standard(body, key)


def standard(body: bytes, key: str) -> dict[str, str]:
    from datetime import UTC, datetime

    moment = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(key).sign("msg_1", moment, body.decode()),
    }


def sent(source: str, payload: Any, *, as_base64: bool = False) -> dict[str, Any]:
    body = json.dumps(payload, ensure_ascii=False).encode()
    return request(source, body, signed(source, body), as_base64=as_base64)


INVOICE = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "created": 1700000000,
    "data": {"object": {"id": "in_1", "object": "invoice", "customer": "cus_1"}},
}
PULL_REQUEST = {
    "action": "synchronize",
    "number": 7,
    "pull_request": {"id": 1, "number": 7, "updated_at": "2026-11-22T10:00:00Z"},
    "repository": {"full_name": "octo/hello-world"},
}
ORDER = {
    "type": 1,
    "tts_notification_id": "7327112393057371910",
    "shop_id": "7494049642642441621",
    "timestamp": 1644412885,
    "data": {"order_id": "576486316948490001", "order_status": "CANCEL", "update_time": 1644412885},
}
TRACKER = {
    "id": "evt_9",
    "description": "tracker.updated",
    "user_id": "user_1",
    "updated_at": "2024-08-02T19:26:52.000Z",
    "result": {"id": "trk_1", "status": "in_transit", "weight": 136.0},
}
TRACK = {
    "event": "track_updated",
    "carrier": "usps",
    "data": {
        "tracking_number": "9205590164917312751089",
        "tracking_status": {"status": "DELIVERED", "status_date": "2024-08-02T19:26:52Z"},
    },
}
PAYLOADS = {
    "stripe": INVOICE,
    "github": PULL_REQUEST,
    "tiktok-shop": ORDER,
    "easypost": TRACKER,
    "shippo": TRACK,
    f"standard/{ENDPOINT}": {"type": "contact.created", "data": {"id": "c_1", "name": "Zoë 🛠"}},
}
SAID = {  # queue, type, action, object, sender's time, handler, debounce
    "stripe": (
        "critical",
        "invoice.paid",
        None,
        "in_1",
        "2023-11-14T22:13:20+00:00",
        "stripe",
        None,
    ),
    "github": (
        *("standard", "pull_request", "synchronize", "octo/hello-world#7"),
        *("2026-11-22T10:00:00+00:00", "github", 5),
    ),
    "tiktok-shop": (
        *("critical", "1", "CANCEL", "576486316948490001"),
        *("2022-02-09T13:21:25+00:00", "tiktok-shop", None),
    ),
    "easypost": (
        *("standard", "tracker.updated", "in_transit", "trk_1"),
        *("2024-08-02T19:26:52+00:00", "carrier", None),
    ),
    "shippo": (
        *("standard", "track_updated", "DELIVERED", "9205590164917312751089"),
        *("2024-08-02T19:26:52+00:00", "carrier", None),
    ),
}


# --- accepted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_base64", [False, True])
@pytest.mark.parametrize("source", PAYLOADS)
def test_a_signed_event_is_on_its_queue_byte_for_byte(house, source, as_base64):
    event = sent(source, PAYLOADS[source], as_base64=as_base64)

    answer = house(event)

    (message,) = house.taken()
    assert answer.status == 200
    assert answer.json == {"received": True, "id": message["event_id"]}
    exact = json.dumps(PAYLOADS[source], ensure_ascii=False)
    assert message["body"] == exact
    assert model.Event.of(message).message == message  # the worker reads what was written


@pytest.mark.parametrize("source", SAID)
def test_an_event_says_what_it_is_about(house, source):
    house(sent(source, PAYLOADS[source]))

    ((queue, message),) = [(name, m) for name, all_ in house.messages().items() for m in all_]
    names = ("type", "action", "object_id", "created_at", "handler", "debounce_seconds")
    assert (queue, *(message[name] for name in names)) == SAID[source]
    assert message["signature_key"] == 0


def test_a_tenants_event_carries_account_and_endpoint(house):
    house(sent(f"standard/{ENDPOINT}", {"type": "x", "timestamp": "2026-01-01T00:00:00Z"}))

    (message,) = house.taken()
    assert (message["source"], message["event_id"]) == ("standard", "msg_1")
    assert (message["account_id"], message["endpoint_id"]) == (str(ACCOUNT), ENDPOINT)
    assert message["created_at"] == "2026-01-01T00:00:00+00:00"


def test_an_event_without_an_id_is_known_by_its_body(house):
    house(sent("shippo", TRACK))

    (message,) = house.taken()
    assert message["event_id"] == model.body_id(message["body"])


def test_deliveries_are_shared_out_among_tenants_shops_and_customers(house):
    for source, payload in PAYLOADS.items():
        house(sent(source, payload))

    groups = {entry["MessageGroupId"] for queue in house.aws.queues.values() for entry in queue}
    assert groups == {
        "stripe:cus_1",
        "github:octo/hello-world",
        "tiktok-shop:7494049642642441621",
        "easypost:user_1",
        "shippo:usps",
        f"standard:{ACCOUNT}",
    }


def test_the_committed_event_is_accepted(house):
    answer = house(load_event("webhook_handler"))

    assert answer.status == 200
    (message,) = house.messages()["bulk"]
    assert (message["type"], message["event_id"]) == (
        "ping",
        "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    )


def test_no_second_question_for_the_same_secret_and_rules(house):
    for _ in range(5):
        house(sent("stripe", INVOICE))

    assert house.aws.count("GetSecretValue") == 1
    assert house.aws.count("GET") == 1
    assert house.aws.connections == 1


# --- forged -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", PAYLOADS)
def test_a_forged_event_is_refused_and_on_no_queue(house, source):
    body = json.dumps(PAYLOADS[source]).encode()
    forged = request(source, body, signed(source, body, "whsec_Zm9yZ2Vk"))

    answer = house(forged)

    assert answer.status == 401
    assert (answer.json["code"], answer.json["details"]) == ("UNAUTHORIZED", [])
    assert house.taken() == []
    assert house.measured["reason"] == "mismatch"


@pytest.mark.parametrize("source", PAYLOADS)
def test_an_unsigned_event_is_refused(house, source):
    answer = house(request(source, json.dumps(PAYLOADS[source]).encode(), {}))

    assert answer.status == 401
    assert house.measured["reason"] == "unsigned"
    assert house.taken() == []


def test_a_changed_body_is_refused(house):
    body = json.dumps(INVOICE).encode()
    headers = signed("stripe", body)

    answer = house(request("stripe", body.replace(b"cus_1", b"cus_2"), headers))

    assert answer.status == 401
    assert house.taken() == []


@pytest.mark.parametrize("offset", [-301, 301])
def test_an_event_of_another_time_is_refused(house, offset):
    body = json.dumps(INVOICE).encode()
    then = int(time.time()) + offset
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), "whsec_stripe", then)

    answer = house(request("stripe", body, {"stripe-signature": header}))

    assert answer.status == 401
    assert house.measured["reason"] == "expired"


def test_another_tenants_secret_opens_no_endpoint(house):
    other = {"secrets": ["whsec_b3RoZXI="], "account_id": str(ACCOUNT)}
    house.aws.give(f"{PREFIX}/standard/{OTHER_ENDPOINT}", other)
    body = b'{"type": "x"}'

    answer = house(request(f"standard/{OTHER_ENDPOINT}", body, standard(body, "whsec_c2VjcmV0")))

    assert answer.status == 401


@pytest.mark.parametrize("endpoint", [OTHER_ENDPOINT, "nobody", "../stripe", "%00", "é"])
def test_an_unknown_endpoint_answers_as_a_wrong_signature_does(house, endpoint):
    body = b'{"type": "x"}'
    headers = standard(body, "whsec_Zm9yZ2Vk")

    unknown = house(request(f"standard/{endpoint}", body, headers))
    wrong = house(request(f"standard/{ENDPOINT}", body, headers))

    if "/" not in endpoint:
        assert unknown.status == wrong.status == 401
    assert {**unknown.json, "code": ""}.keys() == wrong.json.keys()
    if unknown.status == 401:
        assert unknown.json == wrong.json
        assert unknown.headers == wrong.headers


def test_an_unknown_endpoint_costs_as_many_questions_as_a_wrong_signature(house):
    body = b'{"type": "x"}'
    headers = standard(body, "whsec_Zm9yZ2Vk")

    asked = []
    for endpoint in (OTHER_ENDPOINT, ENDPOINT):
        before = house.aws.count("GetSecretValue")
        for _ in range(5):
            house(request(f"standard/{endpoint}", body, headers))
        asked.append(house.aws.count("GetSecretValue") - before)

    assert asked == [1, 1]


def test_a_source_without_a_secret_accepts_nothing(house):
    del house.aws.secrets[f"{PREFIX}/github"]

    answer = house(sent("github", PULL_REQUEST))

    assert answer.status == 401
    assert house.measured["reason"] == "no_secret"


@pytest.mark.parametrize("document", [{}, {"secrets": []}, {"secrets": [""]}, {"secrets": "x"}])
def test_a_secret_without_secrets_accepts_nothing(house, document):
    house.aws.give(f"{PREFIX}/github", document)
    body = b"{}"
    empty = hmac.digest(b"", body, "sha256").hex()

    answer = house(request("github", body, {"x-hub-signature-256": f"sha256={empty}"}))

    assert answer.status == 401
    assert house.taken() == []


# --- rotation -----------------------------------------------------------------------------------


def test_during_a_rotation_both_secrets_are_good_and_the_older_is_counted(house):
    house.aws.give(f"{PREFIX}/stripe", {"secrets": ["whsec_new", "whsec_stripe"]})
    body = json.dumps(INVOICE).encode()

    answers = [house(request("stripe", body, signed("stripe", body, "whsec_new"))).status]
    newer = house.measured["OlderSecret"]
    answers.append(house(request("stripe", body, signed("stripe", body, "whsec_stripe"))).status)

    assert answers == [200, 200]
    assert [message["signature_key"] for message in house.taken()] == [0, 1]
    assert (newer, house.measured["OlderSecret"]) == (0, 1)


def test_a_secret_rotated_meanwhile_is_fetched_when_a_signature_fails(house, monkeypatch):
    house(sent("stripe", INVOICE))
    house.aws.give(f"{PREFIX}/stripe", {"secrets": ["whsec_new", "whsec_stripe"]})
    body = json.dumps(INVOICE).encode()
    event = request("stripe", body, signed("stripe", body, "whsec_new"))

    at_once = house(event).status  # asked less than half a minute ago
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31)
    later = house(event).status

    assert (at_once, later) == (401, 200)
    assert house.aws.count("GetSecretValue") == 2


def test_forgers_cannot_make_us_ask_more_than_twice_a_minute(house, monkeypatch):
    house(sent("stripe", INVOICE))
    body = json.dumps(INVOICE).encode()
    started = time.time()
    for second in range(0, 60, 2):
        monkeypatch.setattr(time, "time", lambda second=second: started + second)
        forged = request("stripe", body, {"stripe-signature": f"t={int(started)},v1=00"})
        assert house(forged).status == 401

    assert house.aws.count("GetSecretValue") == 1 + 1


def test_a_flood_of_invented_endpoints_is_asked_for_only_so_often(house):
    body = b"{}"
    headers = standard(body, "whsec_Zm9yZ2Vk")
    known = house(sent(f"standard/{ENDPOINT}", {"type": "x"})).status
    statuses = [
        house(request(f"standard/{ENDPOINT[:-3]}{number:03x}", body, headers)).status
        for number in range(0x100, 0x140)
    ]

    still = house(sent(f"standard/{ENDPOINT}", {"type": "x"})).status

    assert (known, still) == (200, 200)
    assert statuses == [401] * keyring.MOST_STRANGERS + [503] * (64 - keyring.MOST_STRANGERS)
    assert house.aws.count("GetSecretValue") == 1 + keyring.MOST_STRANGERS


# --- Secrets Manager in trouble -----------------------------------------------------------------


def test_without_secrets_manager_the_sender_is_asked_to_come_again(house):
    house.aws.trouble("secretsmanager", *["error"] * 3)

    answer = house(sent("stripe", INVOICE))

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["code"] == "SERVICE_UNAVAILABLE"
    assert house.measured["reason"] == "secrets_unavailable"
    assert house.measured["Errors"] == 1


@pytest.mark.parametrize("trouble", ["error", "throttle", "drop"])
def test_a_passing_trouble_of_secrets_manager_is_not_the_senders(house, trouble):
    house.aws.trouble("secretsmanager", trouble, trouble)

    assert house(sent("stripe", INVOICE)).status == 200


def test_an_old_secret_serves_while_secrets_manager_is_silent(house, monkeypatch):
    house(sent("stripe", INVOICE))
    house.aws.trouble("secretsmanager", *["error"] * 100)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 299)
    near = house(sent("stripe", INVOICE)).status

    statuses = []
    for seconds in range(900, 930, 5):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
        statuses.append(house(sent("stripe", INVOICE)).status)

    assert [near, *statuses] == [200] * 7
    assert house.aws.count("GetSecretValue") == 1 + 3  # one look of three attempts, not six


def test_a_silent_secrets_manager_is_not_asked_by_everybody_who_waits(house):
    house.aws.trouble("secretsmanager", *["error"] * 100)

    statuses = [house(sent("stripe", INVOICE)).status for _ in range(5)]

    assert statuses == [503] * 5
    assert house.aws.count("GetSecretValue") == 3


def test_invented_endpoints_do_not_fill_the_memory(house, monkeypatch):
    monkeypatch.setattr(keyring, "MOST_KEPT", 20)
    body = b"{}"
    headers = standard(body, "whsec_Zm9yZ2Vk")
    event = sent(f"standard/{ENDPOINT}", {"type": "x"})
    started = time.time()
    house(event)
    for number in range(60):
        monkeypatch.setattr(time, "time", lambda number=number: started + number)
        house(request(f"standard/{ENDPOINT[:-2]}{number:02x}", body, headers))

    assert len(keyring._kept) <= 20
    assert house(event).status == 200
    assert house.aws.count("GetSecretValue") == 1 + 60  # the known one was not forgotten


@pytest.mark.parametrize("value", ["hunter2", '["hunter2"]', '"hunter2"'])
def test_a_malformed_secret_is_our_trouble_and_its_value_is_not_told(house, value):
    house.aws.secrets[f"{PREFIX}/stripe"] = value

    answer = house(sent("stripe", INVOICE))

    assert answer.status == 503
    assert "hunter2" not in answer.text
    assert all("hunter2" not in json.dumps(line) for line in house.lines)


def test_an_endpoint_whose_secret_names_no_account_is_not_taken(house):
    house.aws.give(f"{PREFIX}/standard/{ENDPOINT}", {"secrets": ["whsec_c2VjcmV0"]})

    answer = house(sent(f"standard/{ENDPOINT}", {"type": "x"}))

    assert answer.status == 503
    assert house.taken() == []


# --- SQS in trouble -----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["error", "throttle", "drop", "lost"])
def test_a_passing_trouble_of_the_queue_loses_nothing(house, trouble):
    house.aws.trouble("sqs", trouble)

    answer = house(sent("stripe", INVOICE))

    assert answer.status == 200
    assert {message["event_id"] for message in house.taken()} == {"evt_1"}


@pytest.mark.parametrize("trouble", ["error", "throttle", "drop", "denied", "wrong"])
def test_what_the_queue_did_not_confirm_is_not_confirmed_to_the_sender(house, trouble):
    house.aws.trouble("sqs", *[trouble] * 9)

    answer = house(sent("stripe", INVOICE))

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert house.measured["reason"] == "queue_unavailable"
    assert house.taken() == []


def test_a_queue_that_confirms_another_message_is_not_believed(house, monkeypatch):
    monkeypatch.setattr(exchange, "call", lambda *_, **__: {"MD5OfMessageBody": "0" * 32})
    keyring._kept[f"{PREFIX}/stripe"] = keyring.Kept(time.time(), {"secrets": ["whsec_stripe"]})

    assert house(sent("stripe", INVOICE)).status == 503


def test_a_queue_that_does_not_answer_is_waited_for_no_longer_than_the_deadline(house):
    house.environment.setenv("WEBHOOK_TIMEOUT", "0.2")
    house.environment.setenv("WEBHOOK_DEADLINE", "0.5")
    house.aws.delay = 3
    house(sent("stripe", INVOICE))
    house.aws.trouble("sqs", *["late"] * 9)
    started = time.monotonic()

    answer = house(sent("stripe", INVOICE))

    assert answer.status == 503
    assert time.monotonic() - started < 1.5


def test_a_queue_that_is_not_there_is_503(house):
    del house.aws.queues[QUEUES["critical"]]

    assert house(sent("stripe", INVOICE)).status == 503


def test_a_queue_nobody_configured_is_503(house):
    house.environment.delenv("WEBHOOKS_CRITICAL_QUEUE_URL")

    assert house(sent("stripe", INVOICE)).status == 503


# --- large bodies -------------------------------------------------------------------------------


def test_a_body_above_the_limit_of_sqs_travels_by_claim_check(house):
    event = sent("github", PULL_REQUEST | {"padding": "é" * 200_000})

    answer = house(event)

    ((key, content),) = [
        (path, body) for path, body in house.aws.objects.items() if "claims" in path
    ]
    (entry,) = house.aws.queues[QUEUES["standard"]]
    assert answer.status == 200
    assert f"/documents/{json.loads(entry['MessageBody'])[queues.CLAIM]}" == key
    assert json.loads(json.loads(content)["body"])["padding"] == "é" * 200_000


def test_a_body_that_cannot_be_stored_is_503_and_on_no_queue(house):
    house(sent("github", PULL_REQUEST))
    house.aws.trouble("s3", *["error"] * 9)

    answer = house(sent("github", PULL_REQUEST | {"padding": "x" * 300_000}))

    assert answer.status == 503
    assert len(house.taken()) == 1


def test_limit_and_form_of_a_claim_are_those_of_the_house():
    assert (sending.LARGEST_MESSAGE, sending.CLAIM) == (queues.LARGEST_MESSAGE, queues.CLAIM)


@pytest.mark.parametrize("as_base64", [False, True])
def test_a_body_above_our_limit_is_413(house, as_base64):
    house.environment.setenv("WEBHOOK_BODY_LIMIT", "1000")
    largest = {"type": "x", "padding": "x" * (1000 - len('{"type": "x", "padding": ""}'))}

    fits = house(sent(f"standard/{ENDPOINT}", largest, as_base64=as_base64))
    too_large = house(
        sent(f"standard/{ENDPOINT}", largest | {"padding": "x" * 999}, as_base64=as_base64)
    )
    huge = house(sent(f"standard/{ENDPOINT}", {"padding": "x" * 9999}, as_base64=as_base64))

    assert [fits.status, too_large.status, huge.status] == [200, 413, 413]
    assert too_large.json["code"] == "PAYLOAD_TOO_LARGE"


# --- unreadable ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"x"', b"{", b"NaN", b'{"a": NaN}', b'{"a": Infinity}', b"payload={}",
     b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_a_signed_body_that_is_no_json_object_is_400(house, body):
    answer = house(request("github", body, signed("github", body)))

    assert answer.status == 400
    assert answer.json["code"] == "BAD_REQUEST"
    assert house.taken() == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"a": "\xff"}', b"{\x00"])
def test_signed_bytes_that_are_no_text_are_400(house, body):
    answer = house(request("github", body, signed("github", body), as_base64=True))

    assert answer.status == 400


@pytest.mark.parametrize("text", ["!", "e30", "e30=\n=", "é"])
def test_broken_base64_is_400(house, text):
    event = request("github", b"", {"x-hub-signature-256": "sha256=00"})
    event |= {"isBase64Encoded": True, "body": text}

    assert house(event).status == 400


def test_unreadable_bytes_without_a_signature_are_401_first(house):
    answer = house(request("github", b"\xff", {"x-hub-signature-256": "sha256=00"}, as_base64=True))

    assert answer.status == 401


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/v1/webhooks/paypal", "/v1/webhooks/", "/v1/webhooks/standard", "/v1/webhooks/stripe/x",
     "/v1/webhooks/STRIPE", "/v1/webhooks/stripe/", "/v1/webhooks/stripe\n", "/v2/webhooks/stripe",
     "/v1/webhooks/../stripe", f"/v1/webhooks/standard/{ENDPOINT}/x"],
)  # fmt: skip
def test_an_unknown_address_is_404(house, path):
    event = sent("stripe", INVOICE) | {"rawPath": path}

    answer = house(event)

    assert answer.status == 404
    assert house.measured["source"] == "unknown"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_another_method_is_405(house, method):
    event = sent("stripe", INVOICE)
    event["requestContext"]["http"]["method"] = method

    answer = house(event)

    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


# --- what it says -------------------------------------------------------------------------------


def test_an_error_has_the_body_and_the_headers_of_the_house(house):
    answer = house(sent("stripe", INVOICE) | {"rawPath": "/v1/webhooks/x"})

    request_id = load_event("webhook_handler")["requestContext"]["requestId"]
    assert answer.json == {
        "code": "NOT_FOUND",
        "message": "There is no such thing here.",
        "details": [],
        "request_id": request_id,
    }
    assert answer.headers["X-Request-Id"] == request_id
    assert answer.headers["Cache-Control"] == "no-store"


def test_one_line_tells_an_invocation_in_the_metrics_of_the_house(house):
    house(sent("stripe", INVOICE))

    (line,) = house.lines
    assert (line["service"], line["status"], line["event_id"]) == ("webhook-handler", 200, "evt_1")
    assert (line["Accepted"], line["ColdStart"], line["Errors"]) == (1, 1, 0)
    directives = line["_aws"]["CloudWatchMetrics"]
    sets = {m["Name"]: d["Dimensions"] for d in directives for m in d["Metrics"]}
    assert sets["Duration"] == [["service"], ["service", "route"]]
    assert sets["Accepted"] == [["service"], ["service", "source"]]
    assert {d["Namespace"] for d in directives} == {"QuoteKit"}


def test_every_refusal_is_a_metric_with_its_reason(house):
    house(request("stripe", b"{}", {"stripe-signature": "t=1,v1=0"}))

    line = house.measured
    sets = {
        m["Name"]: d["Dimensions"] for d in line["_aws"]["CloudWatchMetrics"] for m in d["Metrics"]
    }
    assert (line["Refusals"], line["SignatureFailures"], line["reason"]) == (1, 1, "mismatch")
    assert sets["Refusals"] == [["service"], ["service", "source", "reason"]]
    assert sets["SignatureFailures"] == [["service"], ["service", "source"]]


def test_a_sampled_refusal_goes_to_bulk_without_body_and_secrets(house):
    house.environment.setenv("WEBHOOK_REFUSALS_SAMPLED", "1")
    event = request(
        "tiktok-shop",
        b'{"card": "4242424242424242"}',
        {"authorization": "topsecret", "cookie": "topsecret", "stripe-signature": "topsecret"},
    )
    event["queryStringParameters"] = {"token": "topsecret"}

    answer = house(event)

    (message,) = house.messages()["bulk"]
    sample = json.loads(message["body"])
    assert answer.status == 401
    assert (message["source"], message["refused"]) == ("tiktok-shop", "mismatch")
    assert sample["source_ip"] == "192.0.2.10"
    assert sample["headers"] == {"content-type": "application/json", "user-agent": "sender/1"}
    assert "authorization" in sample["header_names"]
    assert "topsecret" not in json.dumps(message)
    assert "4242" not in json.dumps(message)
    assert model.Event.of(message).refused == "mismatch"


def test_trouble_with_the_record_of_a_refusal_is_not_the_callers(house):
    house.environment.setenv("WEBHOOK_REFUSALS_SAMPLED", "1")
    house.aws.trouble("sqs", *["error"] * 9)

    assert house(request("github", b"{}", {})).status == 401


def test_no_secret_and_no_body_is_in_the_log(house):
    for trouble in ([], ["error"] * 9):
        house.aws.trouble("sqs", *trouble)
        house(sent("stripe", INVOICE | {"card": "4242424242424242"}))

        logged = json.dumps(house.lines)
        assert "whsec_stripe" not in logged
        assert "4242" not in logged
        assert vendor.SECRET_KEY not in logged


def test_a_mistake_of_ours_is_500_and_told_to_the_log_alone(house, monkeypatch):
    monkeypatch.setattr(ingress, "accept", lambda *_: 1 / 0)

    answer = house(sent("stripe", INVOICE))

    assert (answer.status, answer.json["code"]) == (500, "INTERNAL_ERROR")
    assert "division" not in answer.text
    assert any("division" in line.get("exception", "") for line in house.lines)
    assert house.measured["Errors"] == 1


# --- routing ------------------------------------------------------------------------------------


def publish(house: House, *rules: Rule, version: int = 1) -> None:
    document = routing.document(version, rules)
    house.aws.objects["/documents/routing/webhooks.json"] = json.dumps(document).encode()


def test_the_published_rules_decide(house):
    publish(
        house,
        Rule("stripe", "*", "*", "*", "standard", "stripe"),
        Rule("stripe", "invoice.*", "*", "*", "bulk", "elsewhere", 30),
    )

    house(sent("stripe", INVOICE))

    (message,) = house.messages()["bulk"]
    assert (message["handler"], message["debounce_seconds"]) == ("elsewhere", 30)


def test_the_last_good_rules_hold_when_the_new_ones_are_broken_or_out_of_reach(house, monkeypatch):
    publish(house, Rule("stripe", "*", "*", "*", "bulk", "stripe"))
    house(sent("stripe", INVOICE))
    now = time.time()
    house.aws.objects["/documents/routing/webhooks.json"] = b'{"version": 2, "rules": [{}]}'
    monkeypatch.setattr(time, "time", lambda: now + 61)
    house(sent("stripe", INVOICE))
    broken = [line for line in house.lines if line.get("level") == "WARNING"]
    house.aws.trouble("s3", *["error"] * 3)
    monkeypatch.setattr(time, "time", lambda: now + 122)
    house(sent("stripe", INVOICE))

    assert len(house.messages()["bulk"]) == 3
    assert len(broken) == 1
    assert house.measured["RoutingStale"] == 1


def test_newer_rules_hold_after_a_minute(house, monkeypatch):
    publish(house, Rule("stripe", "*", "*", "*", "bulk", "stripe"))
    house(sent("stripe", INVOICE))
    publish(house, Rule("stripe", "*", "*", "*", "standard", "stripe"), version=2)
    house(sent("stripe", INVOICE))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    house(sent("stripe", INVOICE))

    counts = {name: len(messages) for name, messages in house.messages().items()}
    assert counts == {"critical": 0, "standard": 1, "bulk": 2}


def test_without_published_rules_the_defaults_hold_and_that_is_no_trouble(house):
    house(sent("stripe", INVOICE))

    assert len(house.messages()["critical"]) == 1
    assert "RoutingStale" not in house.measured


# --- strangers ----------------------------------------------------------------------------------

text = st.text(max_size=40)
header_names = st.sampled_from(
    [
        *("stripe-signature", "x-hub-signature-256", "authorization", "x-hmac-signature"),
        *("shippo-auth-signature", "webhook-id", "webhook-timestamp", "webhook-signature"),
        *("x-github-event", "x-github-delivery", "content-type"),
    ]
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    source=st.sampled_from([*PAYLOADS, f"standard/{OTHER_ENDPOINT}", "standard/x"]),
    headers=st.dictionaries(header_names, st.text(st.characters(), max_size=40)),
    body=st.text(st.characters(), max_size=60),
    as_base64=st.booleans(),
)
def test_strangers_get_400_or_401_whatever_they_send(house, source, headers, body, as_base64):
    event = request(source, b"", headers) | {"body": body, "isBase64Encoded": as_base64}

    assert house(event).status in {400, 401}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "data", "object", "created", "customer", "timestamp",
                         "repository", "full_name", "pull_request", "number", "result", "event",
                         "tracking_status", "order_id", "shop_id", "updated_at", "account"]),
        inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    source=st.sampled_from(list(PAYLOADS)),
    payload=st.dictionaries(
        st.sampled_from(["id", "type", "data", "created", "repository", "result", "event", "action",
                         "timestamp", "description", "tts_notification_id", "shop_id", "user_id"]),
        json_values, max_size=8),
    github=st.text(st.characters(), max_size=300),
)  # fmt: skip
def test_whatever_a_true_sender_says_is_taken_and_readable(house, source, payload, github):
    body = json.dumps(payload).encode()
    headers = signed(source, body) | ({"x-github-event": github} if source == "github" else {})
    for queue in house.aws.queues.values():
        queue.clear()

    answer = house(request(source, body, headers))

    (message,) = house.taken()
    event = model.Event.of(message)
    assert answer.status == 200
    assert 0 < len(event.event_id) <= 255
    assert 0 < len(event.type) <= 200
    assert all("\x00" not in (value or "") for value in (event.type, event.action, event.object_id))
    (entry,) = [entry for queue in house.aws.queues.values() for entry in queue]
    assert 0 < len(entry["MessageGroupId"]) <= 128

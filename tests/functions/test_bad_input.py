"""Every HTTP door, asked for what its document allows and for what it forbids: never a 5xx, never
an undocumented status, never another body than the document's, and never a success for what the
document forbids.

schemathesis makes the requests from docs/openapi.json. QUOTEKIT_EXAMPLES sets how many for each
operation, and takes new ones each time where the default takes the same.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as rules
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks

from local.settings import WEBHOOK_SECRETS
from quotekit import exchange, secrets, settings
from quotekit.webhooks import keyring, routing
from tests import documented
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    USER,
    Answer,
    Aws,
    Issuer,
)
from tests.functions.test_subscription_status import amazon_services, stripe  # noqa: F401 fixtures
from tests.furnishing import FURNISHED
from tests.gateway import Gateway, routes
from tests.vendors import aws as vendor
from tests.vendors.stripe import Stripe

HOST: Final = "http://api.test"
MANY: Final = os.environ.get("QUOTEKIT_EXAMPLES")
# Whoever asks is known by his token here, so schemathesis is not told of tokens.
SCHEMA: Final = schemathesis.openapi.from_dict(documented.document() | {"security": []})
# Too much is refused before it is looked at, and what has ended is, whatever is asked of it.
REFUSALS: Final = SCHEMA.config.checks.negative_data_rejection
REFUSALS.expected_statuses = [*REFUSALS.expected_statuses, "410", "413"]
OPERATIONS: Final = [found.ok() for found in SCHEMA.get_all_operations()]
DOORS: Final = sorted({operation.tags[0] for operation in OPERATIONS})
POSITIVE: Final = GenerationMode.POSITIVE
RULES: Final = rules(
    max_examples=int(MANY or 8),
    deadline=None,
    derandomize=MANY is None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LOOKED: Final = RULES if MANY else rules(RULES, max_examples=5)  # nothing is written by these
# What only a sender's signed delivery makes; test_webhook_handler and test_webhook_endpoints do.
DELIVERED: Final = {
    ("/v1/webhooks/standard/{endpoint_id}", "endpoint_id"),
    ("/v1/webhook-endpoints/{endpoint_id}/events/{event_id}", "event_id"),
}
# Nothing prints here, so the client's page says that his PDF is not ready.
ON_PURPOSE: Final = {("/q/{token}/pdf", 503)}
# What stands around a door; the others have the services of `aws_services`.
PREMIUM: Final = """
insert into app.subscriptions (account_id, plan_key, status) values (%s, 'premium', 'active')
"""
SURROUNDINGS: Final = {
    "account-manager": "batch_services",
    "batch-processor": "batch_services",
    "invoice-manager": "invoice_services",
    "subscription-status": "stripe",
    "webhook-monitor": "own_aws",
    "webhook-endpoints": "own_aws",
    "webhook-handler": "own_aws",
}


@pytest.fixture
def own_aws(environment: pytest.MonkeyPatch) -> Iterator[vendor.Aws]:
    """SQS, S3 and Secrets Manager for the house's own client."""
    with vendor.serve() as aws:
        environment.setenv("AWS_ENDPOINT_URL", aws.url)
        environment.delenv("AWS_SESSION_TOKEN", raising=False)
        furnish(aws, environment)
        yield aws
        forget()


def furnish(aws: vendor.Aws, environment: pytest.MonkeyPatch) -> None:
    """The queues of webhooks, where their routing is kept, and what senders sign with."""
    variables = {
        "AWS_REGION": vendor.REGION,
        "AWS_ACCESS_KEY_ID": vendor.KEY,
        "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
        "ROUTING_BUCKET": "documents",
        "ROUTING_KEY": "routing/webhooks.json",
        "WEBHOOK_SECRETS": "webhooks",
        "WEBHOOK_REFUSALS_SAMPLED": "0",
        "WEBHOOK_TIMEOUT": "20",
        "SECRETS_TIMEOUT": "20",
    }
    for name in ("WEBHOOKS_CRITICAL", "WEBHOOKS", "WEBHOOKS_BULK"):
        variables[f"{name}_QUEUE_URL"] = f"https://sqs.test/{name}"
        aws.queues[f"https://sqs.test/{name}"] = []
    for name, value in variables.items():
        environment.setenv(name, value)
    # Unknown endpoints in a flood are 503 on purpose; it has a test of its own.
    environment.setattr(keyring, "MOST_STRANGERS", 1_000_000)
    for source, document in WEBHOOK_SECRETS.items():
        aws.give(f"webhooks/{source}", dict(document))
    forget()


def forget() -> None:
    settings.forget()
    secrets.forget()
    exchange.forget()
    keyring.forget()
    routing.forget()


@pytest.fixture
def batch_services(aws_services: Aws, environment: pytest.MonkeyPatch) -> Iterator[None]:
    """The queues of batches, and what notifications are signed with."""
    with vendor.serve() as aws:
        variables = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url,
            "AWS_REGION": vendor.REGION,
            "AWS_ACCESS_KEY_ID": vendor.KEY,
            "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        queue_batches(aws, environment)
        forget()
        yield
        forget()


def queue_batches(aws: vendor.Aws, environment: pytest.MonkeyPatch) -> None:
    aws.give("notify", {"key": "k" * 64})
    environment.setenv("NOTIFY_SECRET", "notify")
    for name in ("batch_high", "batch", "batch_low", "notifications"):
        queue = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        environment.setenv(f"{name}_queue_url".upper(), queue)


@pytest.fixture
def invoice_services(
    aws_services: Aws,
    stripe: Stripe,  # noqa: F811
    environment: pytest.MonkeyPatch,
) -> None:
    """Stripe, and what a quote needs to be sent."""
    environment.setenv("AWS_ACCESS_KEY_ID", vendor.KEY)  # moto has set its own
    environment.setenv("AWS_SECRET_ACCESS_KEY", vendor.SECRET_KEY)


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """The caller owns an account, pays for it, and is an admin of the house."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        owner.execute(
            "insert into app.members (account_id, user_id, role) values (%s, %s, 'owner')",
            [ACCOUNT, USER],
        )
        owner.execute("insert into app.user_roles (user_id, role) values (%s, 'admin')", [USER])
        owner.execute(PREMIUM, [ACCOUNT])
        yield owner


class Caller:
    """Sends requests through the gateway as one user, and looks at every answer."""

    def __init__(self, token: str, owner: psycopg.Connection[Any]) -> None:
        self.gateway = Gateway()
        self.token = token
        self.owner = owner
        self.known: dict[str, str] = {}  # ids of what exists, by collection or by parameter
        self._turn = itertools.count()

    def ask(self, path: str, method: str, request: requests.Request) -> Answer | None:
        """None for what HTTP cannot carry. `path` is the document's."""
        request.headers = {"Authorization": f"Bearer {self.token}", **(request.headers or {})}
        try:
            answer = self.gateway.send(request.prepare())
        except (requests.exceptions.RequestException, UnicodeError):
            return None
        assert answer.status < 500 or (path, answer.status) in ON_PURPOSE, answer.text
        documented.check_operation(path, method, answer.status, answer.text)
        return answer

    def id_of(self, path: str, name: str) -> str | None:
        return self.known.get(name) or self.known.get(path.split("/")[2])

    def make(self, path: str, body: Any = None) -> str:
        """The id of something new."""
        answer = self.ask(path, "post", requests.Request("POST", HOST + path, json=body))
        assert answer is not None
        assert answer.status < 300, answer.text
        made = answer.json
        return str(made.get("endpoint", made)["id"])

    def call(
        self, method: str, path: str, body: Any = None, *, query: str = "", **headers: str
    ) -> Answer:
        """What is answered to a request, its path with ids and all."""
        known = documented.operation(method, path)
        assert known, path
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = requests.Request(method, f"{HOST}{path}?{query}", json=body, headers=given)
        answer = self.ask(known, method, request)
        assert answer
        return answer

    def do(self, path: str, body: Any = None) -> Any:
        """The answer to a POST that has to succeed."""
        answer = self.call("POST", path, body)
        assert answer.status < 300, answer.text
        return answer.json

    def try_case(self, case: Case[Any]) -> None:
        """Every second case is about things that exist, unless what is wrong is the address."""
        address = case.meta and case.meta.components.get(ParameterLocation.PATH)
        if next(self._turn) % 2 and not (address and address.mode.is_negative):
            for name, wild in (case.path_parameters or {}).items():
                case.path_parameters[name] = self.id_of(case.operation.path, name) or wild
        given = case.as_transport_kwargs(base_url=HOST)
        given["headers"] = dict(given.pop("headers", None) or {})
        request = requests.Request(**given)
        if answer := self.ask(case.operation.path, case.method, request):
            response = as_told(answer, request.prepare())
            case.validate_response(response, checks=[checks.negative_data_rejection])


def as_told(answer: Answer, request: requests.PreparedRequest) -> Response:
    """An answer as schemathesis looks at it."""
    headers = {name.lower(): [value] for name, value in answer.headers.items()}
    content = answer.text.encode()
    return Response(answer.status, headers, content, request, elapsed=0.0, verify=False)


@pytest.fixture
def caller(
    door: str, request: pytest.FixtureRequest, owner: psycopg.Connection[Any], issuer: Issuer
) -> Iterator[Caller]:
    request.getfixturevalue(SURROUNDINGS.get(door, "aws_services"))
    caller = Caller(issuer.token(USER, ACCOUNT), owner)
    if door in FURNISHED:
        FURNISHED[door](caller)
    yield caller
    caller.gateway.loop.close()


def of(door: str) -> list[Any]:
    """Its operations; what removes something comes last."""
    found = [operation for operation in OPERATIONS if operation.tags == [door]]
    return sorted(found, key=lambda operation: operation.method == "delete")


def test_no_operation_is_left_out() -> None:
    asked = [(one.path, one.method) for door in DOORS for one in of(door)]

    told = documented.document()["paths"]
    assert sorted(asked) == sorted((path, method) for path in told for method in told[path])
    assert set(DOORS) == {route.function for route in routes()}


@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_asked_is_answered_as_documented(
    door: str, caller: Caller, subtests: pytest.Subtests
) -> None:
    """The forbidden first: it changes nothing."""
    for mode, operation in itertools.product(reversed(GenerationMode), of(door)):
        if mode is not POSITIVE and not (any(operation.iter_parameters()) or operation.body):
            continue  # nothing to get wrong

        @(LOOKED if operation.method == "get" else RULES)
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: Case[Any]) -> None:
            caller.try_case(case)

        # Where any text will do, as in a path's name, there is nothing to get wrong.
        unbreakable = suppress(Unsatisfiable) if mode is not POSITIVE else nullcontext()
        with subtests.test(f"{mode.value} {operation.label}"), unbreakable:
            asked()


JSON: Final = "application/json"
DEEP: Final = b"[" * 50_000
BODIES: Final[tuple[tuple[str | None, bytes], ...]] = (
    *((JSON, body) for body in (b"", b"{", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", DEEP)),
    *((JSON, body) for body in (b'{"a":' * 5_000, b'{"": null}', b'{"a": 1, "a": 2}', b"{}{}")),
    *((JSON, body) for body in (b'{"name": "\\u0000"}', b'{"name": "\\ud800"}', b'{"x": NaN}')),
    (JSON, b'{"limit": ' + b"9" * 5_000 + b"}"),
    (JSON, b'{"version": 99999999999999999999999999999999999}'),
    (JSON, b'{"name": "' + b"x" * 1_100_000 + b'"}'),
    (None, b"{}"),
    *((f"{JSON}; charset={charset}", b"{}") for charset in ("utf-16", "nonsense", '"')),
    ("application/x-www-form-urlencoded", b"name=x&name=y"),
    ("application/x-www-form-urlencoded", b"\xff=%zz"),
    ("multipart/form-data", b"--x\r\n\r\n--x--"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n'),
    *((kind, b"name") for kind in ("text/plain", "application/xml", "/", "", "application/json5")),
)
HEADERS: Final[tuple[dict[str, str], ...]] = (
    *({"Authorization": text} for text in ("", "Bearer", "Bearer x", "Basic eDp5", "Bearer ..")),
    *({"Idempotency-Key": key} for key in (" ", "é", "x" * 5_000, "\x7f")),
    *({"If-Match": tag} for tag in ("", "*", 'W/"1"', '"-1"', '"1", "2"', "٣", "9" * 5_000)),
    *({"Content-Encoding": "gzip"}, {"Origin": "null"}, {"Accept-Encoding": "gzip"}),
    *({"Content-Length": "-1"}, {"Cookie": "=;=;"}, {"X-Forwarded-For": "\x00"}),
)
QUERIES: Final = (
    *("limit=", "limit=0", "limit=1&limit=2", "limit=1e3", "limit=٣", "limit=99999999999999999999"),
    *("cursor=", "cursor=W10", "cursor=%00", "cursor=%ff", "cursor=" + "x" * 5_000, "q=%00"),
    *("q=" + "(" * 150, "q=%F0%9F%98%80", "sort=", "status=", "status=,", "%00=1", "a=b", "&&=&"),
    *("from=0000-01-01", "from=9999-12-31&to=2000-01-01", "to=infinity", "since=1e400", "path=.."),
    *("client_id=x", "days_back=-1", "days_back=NaN", "until=now", "path=a&value=%00", "value=x"),
    *("source=%00", "source=stripe&type=%ff", "is_template=2", "favorite=maybe", "error=%25_%5C"),
)
IDS: Final = (
    "x",
    "%00",
    "%2e%2e",
    "%2F",
    "0" * 32,
    "a" * 3_000,
    "%F0%9F%98%80",
    "%ff",
    "{}",
    "null",
)


@pytest.mark.parametrize("door", DOORS)
def test_a_malformed_request_is_refused_as_documented(
    door: str, caller: Caller, subtests: pytest.Subtests
) -> None:
    unknown, asked = set(), set()
    for operation in of(door):
        path = operation.path
        for name in documented.placeholders(path):
            known = caller.id_of(operation.path, name)
            path = path.replace(f"{{{name}}}", known or str(UUID(int=7)))
            unknown |= set() if known else {(operation.path, name)}
        with subtests.test(operation.label):
            for request in malformed(
                operation, HOST + path, is_first=operation.method not in asked
            ):
                caller.ask(operation.path, operation.method, request)
        asked.add(operation.method)

    assert unknown <= DELIVERED


def malformed(operation: Any, url: str, *, is_first: bool) -> Iterator[requests.Request]:
    """Headers, and a query that nothing takes, are read alike by all of a door: once a method."""
    method, path = operation.method.upper(), operation.path
    for kind, body in BODIES if method in {"POST", "PUT", "PATCH"} else ():
        headers = {} if kind is None else {"Content-Type": kind}
        yield requests.Request(method, url, data=body, headers=headers)
    for headers in HEADERS if is_first else ():
        yield requests.Request(method, url, headers=headers, json={} if method != "GET" else None)
    for query in QUERIES if method == "GET" and (is_first or len(operation.query)) else ():
        yield requests.Request(method, f"{url}?{query}")
    for name in documented.placeholders(path):
        for wrong in IDS:
            place = path.replace(f"{{{name}}}", wrong)
            for other in documented.placeholders(place):
                place = place.replace(f"{{{other}}}", str(uuid4()))
            yield requests.Request(method, HOST + place)


# ---- what was found and mended ----


@pytest.mark.parametrize("door", ["catalog-manager"])
def test_a_number_with_more_digits_than_python_reads_is_no_json(caller: Caller, door: str) -> None:
    body = b'{"name": "Mowing", "unit": "h", "unit_cost": ' + b"9" * 5_000 + b"}"
    request = requests.Request("POST", f"{HOST}/v1/items", data=body)

    answer = caller.ask("/v1/items", "post", request)

    assert answer
    assert (answer.status, answer.json["message"]) == (400, "The body is not valid JSON.")


@pytest.mark.parametrize("door", ["catalog-manager"])
@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "application/x-www-form-urlencoded", "application/jsonlines"]
)
def test_only_json_is_read_whatever_the_resolver_could(
    caller: Caller, door: str, kind: str
) -> None:
    headers = {"Content-Type": kind}
    request = requests.Request("POST", f"{HOST}/v1/clients", data=b"name=x", headers=headers)

    answer = caller.ask("/v1/clients", "post", request)

    assert answer
    assert (answer.status, answer.json["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")

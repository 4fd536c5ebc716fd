"""Event in, answer out: a token issuer, API Gateway's and SQS's events, the AWS services in
process."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws

from quotekit import auth, aws, exchange, settings
from quotekit.operations.webhooks import waiting
from tests import documented
from tests.vendors import aws as vendor

ROOT: Final = Path(__file__).parents[2]
ISSUER: Final = "https://issuer.test"
AUDIENCE: Final = "quotekit"
CSV: Final = "text/csv; charset=utf-8"
PORTAL: Final = "https://quotes.test"
REGION: Final = "us-east-1"

# Logger and metrics are made when a door is imported, from these.
os.environ |= {"POWERTOOLS_SERVICE_NAME": "test", "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit"}


@dataclass
class Issuer:
    """Signs tokens; its public key is what `jwks` says."""

    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    kid: str = "key-1"

    @property
    def jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [public | {"kid": self.kid, "alg": "RS256", "use": "sig"}]}

    def claims(self, user: UUID, account: UUID | None = None, **extra: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user),
            "account_id": str(account or user),
            "iat": now,
            "exp": now + 600,
            "jti": uuid4().hex,
        }
        return {name: value for name, value in (claims | extra).items() if value is not None}

    def token(self, user: UUID, account: UUID | None = None, **extra: Any) -> str:
        return jwt.encode(
            self.claims(user, account, **extra), self.key, "RS256", headers={"kid": self.kid}
        )


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@dataclass
class LambdaContext:
    """The context object of the Lambda runtime."""

    function_name: str = "quotekit-test"
    function_version: str = "1"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:quotekit-test:live"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def lambda_context() -> LambdaContext:
    return LambdaContext()


@pytest.fixture
def environment(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[pytest.MonkeyPatch]:
    """The variables of a deployed function; the issuer's keys come from a file."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(issuer.jwks))
    variables = {
        "STAGE": "local",
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS_URL": jwks.as_uri(),
        "API_CORS_ORIGINS": "https://app.test",
        "PORTAL_URL": PORTAL,
        "ACCOUNT_INVITATION_URL": "https://app.test/invitation",
        "MAIL_FROM": "quotes@quotekit.test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    forget()
    yield monkeypatch
    forget()


def forget() -> None:
    settings.forget()
    auth.verifier.cache_clear()
    aws.forget()


@dataclass
class Aws:
    """The account's queues and buckets."""

    mail_queue: str
    pdf_queue: str
    mail_dead_letter_queue: str
    pdf_dead_letter_queue: str

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """Take what is on a queue."""
        answer = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def aws_services(environment: pytest.MonkeyPatch) -> Iterator[Aws]:
    with mock_aws():
        sqs, s3 = boto3.client("sqs"), boto3.client("s3")
        names = ("mail_queue", "pdf_queue", "mail_dead_letter_queue", "pdf_dead_letter_queue")
        urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
        for name, url in urls.items():
            environment.setenv(f"{name}_url".upper(), url)
        for bucket in ("documents", "assets"):
            s3.create_bucket(Bucket=bucket)
            environment.setenv(f"{bucket}_bucket".upper(), bucket)
        boto3.client("ses").verify_email_identity(EmailAddress="quotes@quotekit.test")
        forget()
        yield Aws(**urls)


@pytest.fixture
def sqs_over_http(environment: pytest.MonkeyPatch) -> Iterator[vendor.Aws]:
    """SQS for what asks it without boto3, which moto does not hear of."""
    elsewhere = exchange.endpoint
    with vendor.serve() as server:
        environment.setenv("AWS_ACCESS_KEY_ID", vendor.KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", vendor.SECRET_KEY)
        environment.setattr(
            exchange, "endpoint", lambda of: server.url if of == "sqs" else elsewhere(of)
        )
        waiting.forget()
        yield server
        waiting.forget()
        exchange.forget()


@pytest.fixture
def webhook_queues(
    aws_services: Aws, sqs_over_http: vendor.Aws, environment: pytest.MonkeyPatch
) -> dict[str, str]:
    """Addresses of the three queues of webhooks and of their dead letters, by name."""
    urls = {}
    for queue in ("webhooks-critical", "webhooks", "webhooks-bulk"):
        for name in (queue, f"{queue}-dead-letter"):
            urls[name] = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
            environment.setenv(f"{name}-queue-url".upper().replace("-", "_"), urls[name])
            sqs_over_http.queues[urls[name]] = []
    forget()
    return urls


type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Client:
    """Calls one door as one user, by API Gateway's payload format 2.0."""

    handler: Handler
    token: str | None
    route: str

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> Answer:
        event = http_event(method, path, body, query=query, route=self.route)
        if self.token is not None:
            event["headers"]["authorization"] = f"Bearer {self.token}"
        event["headers"] |= headers or {}
        answer = self.handler(event, LambdaContext())
        if answer["headers"].get("Content-Type") not in {"application/x-ndjson", CSV}:
            documented.check(method, path, answer["statusCode"], answer["body"])
        return Answer(answer["statusCode"], answer["headers"], answer["body"])


def http_event(
    method: str, path: str, body: Any = None, *, query: str = "", route: str = "ANY /v1/quotes"
) -> dict[str, Any]:
    """An event as API Gateway makes it; a body that is not text goes as JSON."""
    from urllib.parse import parse_qs

    event = load_event("quote_processor")
    event |= {"routeKey": route, "rawPath": path, "rawQueryString": query}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    event["requestContext"]["routeKey"] = route
    event["queryStringParameters"] = {k: ",".join(v) for k, v in parse_qs(query).items()}
    event.pop("body", None)
    event["headers"].pop("authorization", None)
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    return event


def load_event(name: str) -> dict[str, Any]:
    """The committed event of a function."""
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event


def sqs_event(*messages: dict[str, Any], receives: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": json.dumps(message),
                "attributes": {
                    "ApproximateReceiveCount": str(receives),
                    "SentTimestamp": "1763812800000",
                    "SenderId": "AIDATEST",
                    "ApproximateFirstReceiveTimestamp": "1763812800001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:queue",
                "awsRegion": REGION,
            }
            for number, message in enumerate(messages, start=1)
        ]
    }


USER: Final = UUID("01900000-0000-7000-8000-000000000001")
ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")
OTHER_USER: Final = UUID("01900000-0000-7000-8000-000000000003")
UNKNOWN: Final = UUID("01900000-0000-7000-8000-0000000000ff")  # of nothing there is

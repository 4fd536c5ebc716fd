"""HTTP GET /v1/health: the shallow one for anyone, the deep one for admins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest
from botocore.exceptions import EndpointConnectionError

from functions.edge_functions_health_check.app import lambda_handler
from quotekit import aws
from quotekit.operations import health
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Aws, Client, Issuer, LambdaContext, load_event

ROUTE = "GET /v1/health/{proxy+}"
GRANT = "insert into app.user_roles (user_id, role, is_active, expires_at) values (%s, %s, %s, %s)"


@pytest.fixture
def door(
    database: Database, aws_services: Aws, webhook_queues: dict[str, str], issuer: Issuer
) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), ROUTE)


@pytest.fixture
def admin(door: Client, database: Database) -> Client:
    grant(database)
    return door


def grant(database: Database, *, active: bool = True, expires: str | None = None) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(GRANT, [USER, "admin", active, expires])


def test_the_shallow_check_needs_no_token_and_no_database(
    environment: pytest.MonkeyPatch,
) -> None:
    anyone = Client(lambda_handler, None, "GET /v1/health")

    answer = anyone("GET", "/v1/health")

    assert (answer.status, answer.json["status"]) == (200, "healthy")
    assert anyone("GET", "/v1/health/deep").status == 401


def test_the_deep_check_asks_every_part_and_measures_it(admin: Client) -> None:
    answer = admin("GET", "/v1/health/deep")

    assert (answer.status, answer.json["status"]) == (200, "healthy"), answer.text
    names = [check["name"] for check in answer.json["checks"]]
    queues = ["mail", "pdf", "webhooks-critical", "webhooks", "webhooks-bulk"]
    assert sorted(names) == sorted(
        [
            *("database", "bucket:documents", "bucket:assets"),
            *(f"queue:{name}" for name in queues),
            *(f"dead-letters:{name}" for name in queues),
        ]
    )
    assert all(check["latency_ms"] > 0 for check in answer.json["checks"])


def put_age(queue: str, seconds: float, minutes_ago: int = 2) -> None:
    """As SQS tells CloudWatch."""
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": [{"Name": "QueueName", "Value": queue}],
                "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
                "Value": seconds,
            }
        ],
    )


def checks(admin: Client) -> dict[str, Any]:
    answer = admin("GET", "/v1/health/deep")
    assert answer.status == 200, answer.text
    return {check["name"]: check for check in answer.json["checks"]}


def test_a_queues_depth_and_age_are_what_aws_says_of_it(
    admin: Client, webhook_queues: dict[str, str]
) -> None:
    boto3.client("sqs").send_message(QueueUrl=webhook_queues["webhooks"], MessageBody="{}")
    put_age("webhooks", 5, minutes_ago=4)
    put_age("webhooks", 125)

    found = checks(admin)

    queue = found["queue:webhooks"]
    assert (queue["value"], queue["age_seconds"], queue["unknown"]) == (1, 125, None)
    assert found["queue:webhooks-bulk"]["age_seconds"] is None
    assert found["queue:webhooks-bulk"]["unknown"] == health.NO_FIGURE


@pytest.mark.parametrize(
    ("queue", "age", "state"),
    [
        ("webhooks-critical", 2418, "healthy"),  # all retries, with the longest jitter
        ("webhooks-critical", 2701, "degraded"),
        ("mail", 599, "healthy"),
        ("mail", 601, "degraded"),
    ],
)
def test_a_message_older_than_its_retries_degrades_the_queue(
    admin: Client, queue: str, age: int, state: str
) -> None:
    put_age("mail_queue" if queue == "mail" else queue, age)

    found = checks(admin)[f"queue:{queue}"]

    assert found["state"] == state
    assert (found["reason"] is None) == (state == "healthy")


def test_without_cloudwatch_the_age_is_null_and_says_why(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudwatch = aws.client("cloudwatch")

    def away(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://monitoring.test")

    monkeypatch.setattr(cloudwatch, "get_metric_statistics", away)

    found = checks(admin)["queue:pdf"]

    assert (found["state"], found["age_seconds"]) == ("healthy", None)
    assert found["unknown"] == "CloudWatch: EndpointConnectionError"


@pytest.mark.parametrize(("active", "expires"), [(False, None), (True, "2020-01-01"), (None, None)])
def test_only_an_active_unexpired_role_in_the_database_opens_it(
    door: Client, database: Database, issuer: Issuer, active: bool | None, expires: str | None
) -> None:
    if active is not None:
        grant(database, active=active, expires=expires)
    claimed = issuer.token(USER, ACCOUNT, role="admin", admin=True, scope="admin")

    answer = Client(lambda_handler, claimed, ROUTE)("GET", "/v1/health/deep")

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")


def test_a_dead_letter_degrades_it_with_the_count(admin: Client, aws_services: Aws) -> None:
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=aws_services.mail_dead_letter_queue, MessageBody="{}")

    answer = admin("GET", "/v1/health/deep")

    found = {check["name"]: check for check in answer.json["checks"]}
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert found["dead-letters:mail"]["value"] == 1
    assert found["queue:mail"]["value"] == 0


def test_a_missing_bucket_is_503_and_says_which(admin: Client) -> None:
    boto3.client("s3").delete_bucket(Bucket="assets")

    answer = admin("GET", "/v1/health/deep")

    assert (answer.status, answer.json["status"]) == (503, "unhealthy")
    (bad,) = [check for check in answer.json["checks"] if check["state"] == "unhealthy"]
    assert (bad["name"], bad["reason"]) == ("bucket:assets", "ClientError")


def test_the_schedule_reports_the_same(admin: Client) -> None:
    event = load_event("outbox_sweeper")

    answer = lambda_handler(event, LambdaContext())

    assert answer["status"] == "healthy"


def test_the_committed_event_is_answered(environment: pytest.MonkeyPatch) -> None:
    event = load_event("edge_functions_health_check")

    assert lambda_handler(event, LambdaContext())["statusCode"] == 200

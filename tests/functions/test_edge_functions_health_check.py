"""HTTP GET /v1/health: the shallow one for anyone, the deep one for admins."""

import boto3
import psycopg
import pytest

from functions.edge_functions_health_check.app import lambda_handler
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Aws, Client, Issuer, LambdaContext, load_event

ROUTE = "GET /v1/health/{proxy+}"
GRANT = "insert into app.user_roles (user_id, role, is_active, expires_at) values (%s, %s, %s, %s)"


@pytest.fixture
def door(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
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
    assert len(names) == 7
    assert all(check["latency_ms"] > 0 for check in answer.json["checks"])


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

"""What happened to a batch, told to a server that is there, late, wrong or gone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
from psycopg.rows import dict_row
from standardwebhooks import Webhook, WebhookVerificationError

from functions.batch_processor.app import lambda_handler as batch_processor
from functions.notification_sender.app import RESTS, lambda_handler
from quotekit import database as house
from quotekit import destinations, outbox, queues, secrets, settings
from quotekit.batches import notices, signatures
from quotekit.errors import NotFoundError
from tests import receivers
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    sqs_event,
)
from tests.receivers import Receiver
from tests.vendors import aws as amazon

SECRET: Final = "quotekit/local/notify"
STRANGER: Final = UUID("01900000-0000-7000-8000-0000000000a9")
JOB: Final = """
insert into app.batch_jobs (id, account_id, created_by, operation, status, total, notify_url,
    started_at)
values (%(id)s, %(account)s, %(user)s, 'delete_clients', 'running', 10, %(url)s,
    now() - interval '1 minute')
"""
CHUNK: Final = """
insert into app.batch_chunks (job_id, number, account_id, first_position, size, items, results,
    succeeded, failed)
values (%(id)s, 0, %(account)s, 1, 10, to_jsonb(array_fill(1, array[10])), '[]', 6, 1)
"""


@pytest.fixture
def sent_later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests that were asked of SQS, in seconds, before their jitter."""
    rests: list[float] = []
    monkeypatch.setattr(queues, "rest", lambda *given: rests.append(given[2]))
    return rests


@dataclass
class World:
    owner: psycopg.Connection[dict[str, Any]]
    receiver: Receiver
    aws: Aws
    queue: str
    amazon: amazon.Aws
    jobs: list[UUID] = field(default_factory=list)

    def job(self, url: str | None = "here", account: UUID = ACCOUNT) -> UUID:
        self.jobs.append(uuid4())
        here = f"http://127.0.0.1:{self.receiver.port}/hook"
        values = {"id": self.jobs[-1], "account": account, "user": USER}
        self.owner.execute(JOB, values | {"url": here if url == "here" else url})
        self.owner.execute(CHUNK, values)
        return self.jobs[-1]

    def finish(self, job: UUID, status: str = "completed_with_errors") -> None:
        self.owner.execute(
            "update app.batch_jobs set status = %s, error = %s, finished_at = now() where id = %s",
            [status, "too many failed" if status == "failed" else None, job],
        )

    def promise(self, job: UUID, event: notices.Event, **details: Any) -> list[outbox.Promise]:
        with house.transaction(house.SERVICE) as connection:
            return notices.promise(connection, job, ACCOUNT, event, details)

    def tell(self, job: UUID, event: notices.Event = "finished", **details: Any) -> dict[str, Any]:
        """Promise and queue a notification; the message as it came to the queue."""
        promised = self.promise(job, event, **details)
        assert outbox.deliver(promised) == 1
        (message,) = self.aws.messages(self.queue)
        return message

    def notice(self, job: UUID) -> dict[str, Any]:
        return self.owner.execute(
            "select * from app.batch_notices where job_id = %s order by created_at", [job]
        ).fetchall()[-1]


@pytest.fixture
def world(
    database: Database, aws_services: Aws, environment: pytest.MonkeyPatch
) -> Iterator[World]:
    queue = boto3.client("sqs").create_queue(QueueName="notifications")["QueueUrl"]
    with amazon.serve() as server, receivers.receiver() as receiver:
        server.give(SECRET, {"key": "k" * 64})
        variables = {
            "NOTIFICATIONS_QUEUE_URL": queue,
            "NOTIFY_SECRET": SECRET,
            "NOTIFY_LOCALLY": "1",
            "NOTIFY_TIMEOUT": "0.4",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.url,
            "AWS_REGION": amazon.REGION,
            "AWS_ACCESS_KEY_ID": amazon.KEY,
            "AWS_SECRET_ACCESS_KEY": amazon.SECRET_KEY,
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        settings.forget()
        secrets.forget()
        with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as owner:
            for account in (ACCOUNT, STRANGER):
                owner.execute("insert into app.accounts (id) values (%s)", [account])
            yield World(owner, receiver, aws_services, queue, server)
        secrets.forget()


def deliver(message: dict[str, Any], receives: int = 1) -> bool:
    """Whether the message left the queue."""
    answer = lambda_handler(sqs_event(message, receives=receives), LambdaContext())
    return answer == {"batchItemFailures": []}


def test_the_receiver_gets_what_happened_signed_as_standard_webhooks_has_it(world: World):
    job = world.job()
    world.finish(job)
    message = world.tell(job, took_over=1)

    assert deliver(message)

    (got,) = world.receiver.received
    (secret,) = signatures.signing_secrets(ACCOUNT)
    document = Webhook(secret).verify(got.body, dict(got.headers))
    assert document["type"] == "batch.finished"
    told = world.notice(job)
    assert got.headers["webhook-id"] == str(told["id"])
    moment = datetime.fromisoformat(document["timestamp"])
    assert moment == told["created_at"]
    data = document["data"]
    assert (data["batch_id"], data["status"]) == (str(job), "completed_with_errors")
    counts = [data[name] for name in ("total", "succeeded", "failed", "skipped", "pending")]
    assert counts == [10, 6, 1, 0, 3]
    assert data["took_over"] == 1
    assert datetime.fromisoformat(data["finished_at"]).tzinfo is not None
    outcome = [told[name] for name in ("status", "attempts", "response_status", "reason")]
    assert outcome == ["delivered", 1, 204, None]


def test_another_accounts_secret_does_not_verify_it(world: World):
    deliver(world.tell(world.job()))

    (got,) = world.receiver.received
    (strange,) = signatures.signing_secrets(STRANGER)
    with pytest.raises(WebhookVerificationError):
        Webhook(strange).verify(got.body, dict(got.headers))


def test_while_the_houses_secret_changes_the_older_ones_verify_too(world: World):
    (older,) = signatures.signing_secrets(ACCOUNT)
    world.amazon.give(SECRET, {"key": "n" * 64, "previous": "k" * 64})
    secrets.forget()

    deliver(world.tell(world.job()))

    (got,) = world.receiver.received
    newer, previous = signatures.signing_secrets(ACCOUNT)
    assert previous == older
    for secret in (newer, older):
        Webhook(secret).verify(got.body, dict(got.headers))


def test_nobody_is_told_where_nobody_asked_to_be(world: World):
    job = world.job(url=None)

    promised = world.promise(job, "finished")

    assert promised == []
    assert world.owner.execute("select from app.batch_notices").fetchall() == []


def test_a_run_starts_and_ends_once_however_many_workers_say_so(world: World):
    job = world.job()

    counts = [len(world.promise(job, event)) for event in ("started", "started", "finished")]
    world.owner.execute("update app.batch_jobs set retries = 1 where id = %s", [job])
    counts.append(len(world.promise(job, "started")))

    assert counts == [1, 0, 1, 1]


def test_progress_is_told_every_ten_seconds_at_most(world: World):
    job = world.job()

    first, second = world.promise(job, "progress"), world.promise(job, "progress")
    world.owner.execute(
        "update app.batch_jobs set announced_at = now() - interval '10 seconds' where id = %s",
        [job],
    )
    third = world.promise(job, "progress")

    assert [len(first), len(second), len(third)] == [1, 0, 1]


def test_a_job_that_just_started_or_is_over_has_no_progress_to_tell(world: World):
    fresh, over = world.job(), world.job()
    world.owner.execute("update app.batch_jobs set started_at = now() where id = %s", [fresh])
    world.finish(over)

    assert world.promise(fresh, "progress") == world.promise(over, "progress") == []


def test_progress_waits_for_no_worker_that_holds_the_job(world: World, database: Database):
    job = world.job()
    with psycopg.connect(database.owner_url) as other:
        other.execute("select from app.batch_jobs where id = %s for no key update", [job])

        promised = world.promise(job, "progress")

    assert promised == []


def test_a_server_that_is_away_is_asked_again_and_told_once(world: World, sent_later: list[float]):
    job = world.job()
    away = receivers.answers(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    world.receiver.behaviours = [away, receivers.hangs_up, receivers.answers(receivers.TAKEN)]
    message = world.tell(job)

    outcomes = [deliver(message, receives) for receives in (1, 2, 3, 4)]

    assert outcomes == [False, False, True, True]  # the fourth is SQS delivering once too often
    assert len(world.receiver.received) == 3
    assert {got.headers["webhook-id"] for got in world.receiver.received} == {
        str(world.notice(job)["id"])
    }
    assert sent_later == [RESTS[0], RESTS[1]]
    told = world.notice(job)
    assert (told["status"], told["attempts"], told["reason"]) == ("delivered", 3, None)


@pytest.mark.parametrize(
    ("behave", "status", "reason"),
    [
        (receivers.never, None, "no answer in 0.4 s"),
        (receivers.drips, None, "no answer in 0.4 s"),
        (receivers.hangs_up, None, "no answer: RemoteDisconnected"),
        (receivers.answers(b"nonsense\r\n\r\n"), None, "no answer: BadStatusLine"),
        (receivers.answers(b"HTTP/1.1 500 No\r\n\r\n"), 500, "answered with 500"),
        (receivers.answers(b"HTTP/1.1 404 No\r\n\r\n"), 404, "answered with 404"),
    ],
)
def test_an_answer_that_is_late_wrong_or_missing_is_written_down(
    behave, status, reason, world: World, sent_later: list[float]
):
    job = world.job()
    world.receiver.behaviours = [behave]

    assert not deliver(world.tell(job))

    told = world.notice(job)
    assert (told["status"], told["response_status"], told["reason"]) == ("pending", status, reason)
    assert told["milliseconds"] > 0


def test_a_redirect_is_not_followed(world: World, sent_later: list[float]):
    elsewhere = f"http://127.0.0.1:{world.receiver.port}/elsewhere"
    redirect = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere}\r\n\r\n".encode()
    world.receiver.behaviours = [receivers.answers(redirect)]

    assert not deliver(world.tell(world.job()))

    assert [got.line for got in world.receiver.received] == ["POST /hook HTTP/1.1"]


def test_a_receiver_that_asks_for_a_longer_rest_gets_it_within_an_hour(
    world: World, sent_later: list[float]
):
    busy = "HTTP/1.1 429 Later\r\nRetry-After: {}\r\n\r\n"
    world.receiver.behaviours = [
        receivers.answers(busy.format(seconds).encode()) for seconds in (90, 999_999)
    ]
    message = world.tell(world.job())

    deliver(message)
    deliver(message)

    assert sent_later == [90, 3_600]


def test_a_server_that_stays_away_ends_as_a_dead_letter(world: World, sent_later: list[float]):
    job = world.job()
    world.receiver.behaviours = [receivers.hangs_up]
    message = world.tell(job)

    outcomes = [deliver(message, receives) for receives in range(1, 9)]

    assert outcomes == [False] * 8  # the eighth time, SQS puts it aside
    assert sent_later == list(RESTS)
    told = world.notice(job)
    assert (told["status"], told["attempts"]) == ("failed", 8)


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(world: World, sent_later: list[float]):
    job = world.job()
    world.receiver.behaviours = [receivers.answers(b"HTTP/1.1 410 Gone\r\n\r\n")]

    assert deliver(world.tell(job))

    told = world.notice(job)
    assert (told["status"], told["reason"]) == ("failed", "answered with 410")
    assert sent_later == []


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        (["10.0.0.7"], "https://hooks.example.com/"),
        (["93.184.215.14", "169.254.169.254"], "https://hooks.example.com/"),
        ([], "http://hooks.example.com/"),
        ([], "https://user@hooks.example.com/"),
    ],
)
def test_a_server_inside_is_never_called_and_the_account_is_told_why(
    addresses, url, world: World, monkeypatch, sent_later: list[float]
):
    monkeypatch.setattr(destinations, "resolve", lambda *_: addresses)
    job = world.job(url)

    assert deliver(world.tell(job))

    told = world.notice(job)
    assert told["status"] == "failed"
    assert told["reason"].startswith("it")
    assert not any(address in told["reason"] for address in addresses)
    assert world.receiver.connections == 0


def test_progress_that_newer_news_has_overtaken_is_not_told(world: World):
    job = world.job()
    message = world.tell(job, "progress")
    world.promise(job, "finished")

    assert deliver(message)

    assert world.receiver.connections == 0
    dropped = world.owner.execute("select status from app.batch_notices where event = 'progress'")
    assert dropped.fetchone() == {"status": "dropped"}


def test_a_batch_that_was_deleted_meanwhile_is_not_told_of(world: World):
    job = world.job()
    message = world.tell(job)
    world.owner.execute("delete from app.batch_jobs where id = %s", [job])

    assert deliver(message)

    assert world.receiver.connections == 0


def test_without_its_secret_nothing_is_sent_and_nothing_is_lost(world: World):
    job = world.job()
    world.amazon.secrets.clear()

    assert not deliver(world.tell(job))

    assert world.receiver.connections == 0
    assert world.notice(job)["status"] == "pending"


def test_an_account_sees_its_own_notifications_and_no_other(world: World):
    job = world.job()
    deliver(world.tell(job))
    own, strange = (
        house.Actor(
            "authenticated", {"role": "authenticated", "sub": str(USER), "account_id": str(one)}
        )
        for one in (ACCOUNT, STRANGER)
    )

    with house.reading(own) as connection:
        (told,) = notices.told(connection, job)
    with house.reading(strange) as connection, pytest.raises(NotFoundError):
        notices.told(connection, job)

    assert (told.type, told.status, told.response_status) == ("batch.finished", "delivered", 204)
    assert told.attempted_at is not None
    assert datetime.now(UTC) - told.attempted_at < timedelta(minutes=1)


def test_the_signed_body_is_the_one_that_was_sent(world: World):
    deliver(world.tell(world.job()))

    (got,) = world.receiver.received
    (secret,) = signatures.signing_secrets(ACCOUNT)
    changed = json.dumps(json.loads(got.body)).encode()
    assert changed != got.body
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(changed, dict(got.headers))


MEMBER: Final = "insert into app.members (account_id, user_id, role) values (%s, %s, %s)"


@pytest.fixture
def door(world: World, issuer: Issuer) -> Client:
    return Client(batch_processor, issuer.token(USER, ACCOUNT), "ANY /v1/batches/{proxy+}")


def test_who_manages_the_account_is_told_the_secret_that_signs(world: World, door: Client):
    world.owner.execute(MEMBER, [ACCOUNT, USER, "owner"])
    deliver(world.tell(world.job()))

    answer = door("GET", "/v1/batches/signing-secret")

    assert answer.status == 200
    assert answer.json["previous"] is None
    (got,) = world.receiver.received
    Webhook(answer.json["secret"]).verify(got.body, dict(got.headers))


@pytest.mark.parametrize("role", ["member", None])
def test_nobody_else_is_told_it(role, world: World, door: Client):
    if role:
        world.owner.execute(MEMBER, [ACCOUNT, USER, role])

    answer = door("GET", "/v1/batches/signing-secret")

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")


def test_an_account_reads_what_came_of_its_notifications(
    world: World, door: Client, issuer: Issuer, sent_later: list[float]
):
    world.owner.execute(MEMBER, [ACCOUNT, USER, "owner"])
    world.owner.execute(MEMBER, [STRANGER, OTHER_USER, "owner"])
    job = world.job()
    world.receiver.behaviours = [receivers.answers(b"HTTP/1.1 500 No\r\n\r\n")]
    deliver(world.tell(job))

    mine = door("GET", f"/v1/batches/{job}/notifications")
    stranger = Client(batch_processor, issuer.token(OTHER_USER, STRANGER), door.route)
    theirs = stranger("GET", f"/v1/batches/{job}/notifications")

    (told,) = mine.json["data"]
    assert (told["type"], told["status"], told["attempts"]) == ("batch.finished", "pending", 1)
    assert (told["response_status"], told["reason"]) == (500, "answered with 500")
    assert (theirs.status, theirs.json["code"]) == (404, "NOT_FOUND")

"""The queues of webhooks: recorded once, applied once, each attempt written down."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError
from psycopg.rows import dict_row

from functions.webhook_worker.app import lambda_handler
from quotekit import aws, performance, queues, settings, storage
from quotekit.errors import RateLimitedError, ServiceUnavailableError
from quotekit.webhooks import effects
from quotekit.webhooks.model import Event, Outcome, PermanentError
from tests import deliveries
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, UNKNOWN, LambdaContext, load_event, sqs_event

type Queues = dict[str, str]


@pytest.fixture
def owner(database: Database, webhook_queues: Queues) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        yield connection


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long messages are told to rest, before the jitter."""
    asked: list[float] = []
    monkeypatch.setattr(queues, "rest", lambda _record, _url, seconds: asked.append(seconds))
    return asked


def records(*events: Event | dict[str, Any], receives: int = 1, queue: str = "webhooks") -> Any:
    given = sqs_event(
        *(item.message if isinstance(item, Event) else item for item in events), receives=receives
    )
    for record in given["Records"]:
        record["eventSourceARN"] = f"arn:aws:sqs:us-east-1:000000000000:quotekit-local-{queue}"
    return given


def work(*events: Event | dict[str, Any], receives: int = 1, queue: str = "webhooks") -> list[str]:
    """The messages that stay in the queue."""
    given = records(*events, receives=receives, queue=queue)
    answer = lambda_handler(given, LambdaContext())
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def stored(owner: psycopg.Connection[Any]) -> Any:
    return owner.execute("select * from ops.webhook_events order by id").fetchall()


def attempts(owner: psycopg.Connection[Any]) -> Any:
    return owner.execute("select * from ops.webhook_attempts order by number").fetchall()


def dead(webhook_queues: Queues, queue: str = "webhooks") -> list[str]:
    url = webhook_queues[f"{queue}-dead-letter"]
    answer = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def raising(monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> list[Event]:
    """Have the next effects raise these in turn, after having written something."""
    seen: list[Event] = []
    left = list(errors)

    def effect(connection: Any, events: Sequence[Event]) -> list[Outcome]:
        for event in events:
            seen.append(event)
            connection.execute("insert into app.accounts (id) values (%s)", [uuid4()])
            if (error := left.pop(0)) is not None:
                raise error
        return [Outcome("applied")] * len(events)

    monkeypatch.setattr(effects, "effect_of", lambda _handler: effect)
    return seen


def poison(monkeypatch: pytest.MonkeyPatch, errors: Mapping[str, Exception]) -> list[list[str]]:
    """Have the effects of these events raise, whenever they are tried; which were tried at once."""
    tried: list[list[str]] = []

    def effect(connection: Any, events: Sequence[Event]) -> list[Outcome]:
        tried.append([event.event_id for event in events])
        for event in events:
            connection.execute("insert into app.accounts (id) values (%s)", [uuid4()])
            if event.event_id in errors:
                raise errors[event.event_id]
        return [Outcome("applied")] * len(events)

    monkeypatch.setattr(effects, "effect_of", lambda _handler: effect)
    return tried


def test_the_committed_event_is_applied(owner: psycopg.Connection[Any]) -> None:
    answer = lambda_handler(load_event("webhook_worker"), LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert [row["status"] for row in stored(owner)] == ["applied"]


def test_an_event_is_recorded_exactly_as_it_came_with_its_attempt(
    owner: psycopg.Connection[Any],
) -> None:
    given = deliveries.pull_request("open", 10, action="opened", signature_key=1)

    assert work(given, receives=3) == []

    (row,) = stored(owner)
    (attempt,) = attempts(owner)
    assert (row["source"], row["event_id"], row["type"]) == ("github", given.event_id, given.type)
    assert (row["body"], row["is_json"], row["bytes"]) == (given.body, True, len(given.body))
    assert (row["signature_key"], row["attempts"], row["queue"]) == (1, 1, "webhooks")
    assert (attempt["outcome"], attempt["receives"]) == ("applied", 3)
    assert 0 < attempt["milliseconds"] < 10_000


def test_duplicates_do_nothing(owner: psycopg.Connection[Any]) -> None:
    given = deliveries.pull_request("open", 10)

    assert work(given, given) == []
    assert work(given, receives=2) == []

    logged = owner.execute("select collapsed from ops.repository_events").fetchall()
    assert [row["collapsed"] for row in logged] == [0]
    assert len(stored(owner)) == len(attempts(owner)) == 1


def test_an_event_without_an_id_is_known_by_its_body(owner: psycopg.Connection[Any]) -> None:
    first = deliveries.tracker((1, "in_transit")).message | {"event_id": ""}
    other = deliveries.tracker((2, "delivered")).message | {"event_id": None}

    assert work(first, other, first) == []

    assert [row["event_id"][:7] for row in stored(owner)] == ["sha256:", "sha256:"]


def test_the_same_id_at_two_tenants_endpoints_is_two_events(
    owner: psycopg.Connection[Any],
) -> None:
    given = deliveries.event(
        "standard", "contact.created", {"n": 1}, "msg_1", account_id=ACCOUNT, endpoint_id=uuid4()
    )

    assert work(given, replace(given, endpoint_id=uuid4())) == []

    assert len(owner.execute("select from app.webhook_inbox").fetchall()) == 2


@pytest.mark.parametrize(
    ("source", "kind", "handler"),
    [
        ("github", "sponsorship", "github"),
        ("github", "ping", "github"),
        ("tiktok-shop", "9999", "tiktok-shop"),
        ("easypost", "batch.created", "carrier"),
        ("shippo", "transaction_created", "carrier"),
        ("stripe", "radar.early_fraud_warning.created", "stripe"),
        ("somebody", "something", "nobody-wrote-it"),
    ],
)
def test_an_unknown_type_is_stored_as_ignored(
    source: str, kind: str, handler: str, owner: psycopg.Connection[Any]
) -> None:
    thing = {"id": "issfr_1", "object": "radar.early_fraud_warning"}
    payload = {"id": "evt_1", "type": kind, "created": 1, "data": {"object": thing}}
    given = deliveries.event(source, kind, payload, handler=handler)

    assert work(given) == []

    assert [row["status"] for row in stored(owner)] == ["ignored"]
    assert [row["outcome"] for row in attempts(owner)] == ["ignored"]
    assert attempts(owner)[0]["details"]["reason"]


def test_a_failure_leaves_an_attempt_though_its_transaction_was_rolled_back(
    owner: psycopg.Connection[Any], rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, ServiceUnavailableError("the shop is closed"), None)
    given = deliveries.pull_request("open", 10)

    assert work(given) == ["message-1"]
    accounts = owner.execute("select from app.accounts").rowcount
    failed = stored(owner)[0]["status"]
    assert work(given, receives=2) == []

    assert (accounts, failed, stored(owner)[0]["status"]) == (1, "failed", "applied")
    assert [(row["number"], row["outcome"], row["category"]) for row in attempts(owner)] == [
        (1, "failed", "external"),
        (2, "applied", None),
    ]
    assert attempts(owner)[0]["error"] == "ServiceUnavailableError: the shop is closed"
    assert owner.execute("select from app.accounts").rowcount == 2  # the effect, once


def test_pauses_double_and_the_sixth_failure_is_the_last(
    owner: psycopg.Connection[Any],
    webhook_queues: Queues,
    rests: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising(monkeypatch, *[RuntimeError("a bug")] * 6)
    given = deliveries.pull_request("open", 10)

    left = [work(given, receives=receives) for receives in range(1, 7)]

    assert left == [["message-1"]] * 5 + [[]]
    assert rests == [60, 120, 240, 480, 960]
    assert [json.loads(body) for body in dead(webhook_queues)] == [given.message]
    (row,) = stored(owner)
    assert (row["status"], row["failures"], row["category"]) == ("dead", 6, "unknown")


def test_a_pause_is_thirty_percent_around_what_is_asked_and_an_hour_at_most(
    webhook_queues: Queues, environment: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    client = aws.client("sqs")
    environment.setattr(
        client,
        "change_message_visibility",
        lambda **given: asked.append(given["VisibilityTimeout"]),
    )
    for _ in range(200):
        queues.back_off(record(), "url", first=60, longest=3600, failures=3)
        queues.back_off(record(), "url", first=60, longest=3600, failures=900)

    short, long = asked[::2], asked[1::2]
    assert 168 <= min(short) < 190
    assert 290 < max(short) <= 312
    assert 2520 <= min(long) < max(long) <= 4680


def record() -> Any:
    from aws_lambda_powertools.utilities.data_classes import SQSEvent

    return next(SQSEvent(records(deliveries.pull_request("open", 1))).records)


@pytest.mark.parametrize(
    "message",
    [
        deliveries.event("github", "pull_request", {"action": "opened"}),
        deliveries.event("github", "issues", "no JSON"),
        deliveries.event("github", "push", "[1, 2]"),
        deliveries.event("github", "push", "[" * 200_000),
        deliveries.event("tiktok-shop", "1", {"data": "text"}),
        deliveries.event("easypost", "tracker.updated", {"result": None}),
        deliveries.event("standard", "contact.created", {}),
        deliveries.event("standard", "x", {}, account_id=uuid4(), endpoint_id=uuid4()),
        deliveries.event("github", "pull_request", {"pull_request": {"number": 1}, "a": "\x00"}),
    ],
    ids=lambda given: f"{given.source}-{given.body[:20]}",
)
def test_what_can_never_be_applied_is_dead_at_once(
    message: Event, owner: psycopg.Connection[Any], webhook_queues: Queues, rests: list[float]
) -> None:
    assert work(message) == []

    (row,) = stored(owner)
    assert (row["status"], row["category"], row["failures"]) == ("dead", "validation", 1)
    assert len(dead(webhook_queues)) == 1
    assert rests == []


NO_MESSAGES = ("no JSON", "[]", "1", '"text"', "null", "{}", '{"source": null}', '{"stored": "x"}')
GONE = (json.dumps({"stored": str(UNKNOWN)}), json.dumps({queues.CLAIM: "claims/gone.json"}))


WHOLE = deliveries.pull_request("open", 1).message
MALFORMED: list[tuple[str, Any]] = [
    *(("source", 5), ("type", None), ("handler", []), ("body", {}), ("event_id", 7)),
    *(("debounce_seconds", 2**31), ("debounce_seconds", "5"), ("signature_key", -1)),
    *(("received_at", "noon"), ("account_id", "me"), ("created_at", 5), ("action", {})),
]
WRONG = tuple(json.dumps(WHOLE | {name: value}) for name, value in MALFORMED)


@pytest.mark.parametrize("body", [*NO_MESSAGES, *GONE, *WRONG])
def test_a_message_that_is_none_goes_to_the_dead_letters_raw(
    body: str, owner: psycopg.Connection[Any], webhook_queues: Queues
) -> None:
    given = records(deliveries.pull_request("open", 1), queue="webhooks-bulk")
    given["Records"][0]["body"] = body

    answer = lambda_handler(given, LambdaContext())

    assert answer == {"batchItemFailures": []}
    assert dead(webhook_queues, "webhooks-bulk") == [body]
    assert stored(owner) == []


def test_one_bad_record_does_not_hold_up_the_batch(
    owner: psycopg.Connection[Any], rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [deliveries.pull_request("open", number) for number in range(10)]
    poison(monkeypatch, {events[4].event_id: RateLimitedError()})

    assert work(*events) == ["message-5"]

    status = {row["event_id"]: row["status"] for row in stored(owner)}
    assert status == {one.event_id: "applied" for one in events} | {events[4].event_id: "failed"}
    assert owner.execute("select from app.accounts").rowcount == 1 + 9  # the effects
    assert rests == [60]


def test_what_can_never_be_applied_takes_nothing_along(
    owner: psycopg.Connection[Any], webhook_queues: Queues, rests: list[float]
) -> None:
    good = [deliveries.pull_request("open", number) for number in range(4)]
    orphan = deliveries.event("standard", "t", {}, account_id=uuid4(), endpoint_id=uuid4())
    odd = deliveries.event("github", "push", "no JSON")

    left = work(*good[:2], orphan, *good[2:], odd, good[0])

    status = {row["event_id"]: row["status"] for row in stored(owner)}
    assert left == []
    assert [status.pop(one.event_id) for one in good] == ["applied"] * 4
    assert set(status.values()) == {"dead"}
    assert {json.loads(body)["event_id"] for body in dead(webhook_queues)} == set(status)
    assert rests == []


def test_what_may_share_a_transaction_does_and_the_odd_go_alone(
    owner: psycopg.Connection[Any], webhook_queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = poison(monkeypatch, {})
    events = [deliveries.pull_request("open", number) for number in range(4)]
    refusal = replace(deliveries.pull_request("open", 9), refused="bad signature")
    given = records(*events, refusal, deliveries.pull_request("open", 5))
    given["Records"][1]["attributes"]["ApproximateReceiveCount"] = "11"
    given["Records"][5]["body"] = "no JSON"

    assert lambda_handler(given, LambdaContext()) == {"batchItemFailures": []}

    assert tried == [
        [events[0].event_id, events[2].event_id, events[3].event_id],
        [events[1].event_id],
    ]
    assert len(dead(webhook_queues)) == 1


def test_a_batch_that_comes_again_after_its_commit_changes_nothing(
    owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = poison(monkeypatch, {})
    events = [deliveries.pull_request("open", number) for number in range(10)]

    def die(*_: Any, **__: Any) -> None:
        raise SystemExit  # committed, and the queue was not told

    with monkeypatch.context() as patch:
        patch.setattr(performance, "record", die)
        with pytest.raises(SystemExit):
            work(*events)
    accounts = owner.execute("select from app.accounts").rowcount
    left = work(*events, receives=2)

    assert left == []
    assert tried == [[event.event_id for event in events]]
    assert accounts == owner.execute("select from app.accounts").rowcount == 1 + 10
    assert [row["attempts"] for row in stored(owner)] == [1] * 10


def test_a_database_that_is_away_sends_the_whole_batch_back(
    owner: psycopg.Connection[Any], rests: list[float], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    environment.setenv("DATABASE_CONNECT_ATTEMPTS", "1")
    forget_database()

    left = work(*(deliveries.pull_request("open", number) for number in range(10)))

    forget_database()
    assert left == [f"message-{number}" for number in range(1, 11)]
    assert rests == [12] * 10


def test_what_was_often_delivered_is_tried_last(
    owner: psycopg.Connection[Any], rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = raising(monkeypatch, None, None)
    given = records(deliveries.pull_request("open", 1), deliveries.pull_request("open", 2))
    given["Records"][0]["attributes"]["ApproximateReceiveCount"] = "9"

    lambda_handler(given, LambdaContext())

    assert [event.message for event in seen] == [
        json.loads(given["Records"][number]["body"]) for number in (0, 1)
    ]
    assert [row["attributes"]["ApproximateReceiveCount"] for row in given["Records"]] == ["1", "9"]


def test_a_large_body_is_fetched_by_its_claim(owner: psycopg.Connection[Any]) -> None:
    given = deliveries.event("github", "push", {"padding": "x" * 300_000}, handler="nobody")
    claim = json.loads(queues.encode(given.message))

    assert work(claim) == []

    assert list(claim) == [queues.CLAIM]
    assert stored(owner)[0]["body"] == given.body


def test_a_store_that_does_not_answer_leaves_the_message_in_the_queue(
    owner: psycopg.Connection[Any], webhook_queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(bucket: str, key: str) -> bytes:
        raise ClientError({"Error": {"Code": "503"}}, "GetObject")

    monkeypatch.setattr(storage, "get", refuse)

    assert work({queues.CLAIM: "claims/1.json"}) == ["message-1"]
    assert dead(webhook_queues) == []


def test_a_database_that_is_away_blames_no_event(
    owner: psycopg.Connection[Any],
    webhook_queues: Queues,
    rests: list[float],
    environment: pytest.MonkeyPatch,
    database: Database,
) -> None:
    given = deliveries.pull_request("open", 1)
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    environment.setenv("DATABASE_CONNECT_ATTEMPTS", "1")
    forget_database()

    left = work(given, receives=25)
    environment.setenv("DATABASE_URL", database.url)
    forget_database()

    assert left == ["message-1"]
    assert rests == [12]
    assert work(given, receives=26) == []
    assert [row["attempts"] for row in stored(owner)] == [1]
    assert dead(webhook_queues) == []


def forget_database() -> None:
    from quotekit import database

    database.forget()
    settings.forget()


def test_a_sampled_refusal_is_kept_apart_and_counts_as_no_event(
    owner: psycopg.Connection[Any],
) -> None:
    genuine = deliveries.pull_request("open", 1, event_id="delivery-1")
    forged = replace(genuine, refused="bad signature", body="redacted")

    assert work(forged, forged, genuine, queue="webhooks-bulk") == []

    refusals = owner.execute("select reason, sample from ops.webhook_refusals").fetchall()
    assert refusals == [{"reason": "bad signature", "sample": "redacted"}]
    assert [row["status"] for row in stored(owner)] == ["applied"]


def test_characters_the_database_cannot_hold_lose_no_event(
    owner: psycopg.Connection[Any],
) -> None:
    odd = deliveries.event("github", "star\x00", '{"a": "\\u0000"}', "id-\x00", action="\ud800")
    half = deliveries.event("github", "star", '{"a": "\\ud800"}')
    whole = deliveries.event("github", "star", '{"a": "\\ud83d\\ude00"}')
    broken = deliveries.event("github", "star", '{"a": NaN}')

    assert work(odd, half, whole, broken) == []

    readable_json = {row["body"] for row in stored(owner) if row["is_json"]}
    assert (readable_json, len(stored(owner))) == ({whole.body}, 4)
    readable = "select count(body::jsonb) as count from ops.webhook_events where is_json"
    assert owner.execute(readable).fetchone() == {"count": 1}


def test_with_too_little_time_left_nothing_is_begun(
    owner: psycopg.Connection[Any], rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _: 19_999)

    assert work(deliveries.pull_request("open", 1)) == ["message-1"]

    assert stored(owner) == []
    assert rests == [1]


def test_a_tenant_reads_his_own_inbox_only(
    owner: psycopg.Connection[Any], database: Database
) -> None:
    from quotekit import database as databases

    work(deliveries.event("standard", "t", {}, account_id=ACCOUNT, endpoint_id=uuid4()))
    mine = {"sub": str(uuid4()), "account_id": str(ACCOUNT)}
    others = {"sub": str(uuid4()), "account_id": str(uuid4())}

    counts = []
    for claims in (mine, others):
        with databases.reading(databases.Actor("authenticated", claims)) as connection:
            counts.append(connection.execute("select from app.webhook_inbox").rowcount)

    assert counts == [1, 0]


def test_an_outcome_is_timed_from_its_receipt(
    owner: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    work(deliveries.pull_request("open", 1, received_at=datetime.now(UTC)))

    (line,) = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert json.loads(line)["Applied"] == [1.0]
    assert 0 < json.loads(line)["Latency"][0] < 10_000


def test_a_permanent_error_of_an_effect_is_not_tried_again(
    owner: psycopg.Connection[Any], webhook_queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, PermanentError("never"))

    assert work(deliveries.pull_request("open", 1), queue="webhooks-critical") == []

    assert len(dead(webhook_queues, "webhooks-critical")) == 1

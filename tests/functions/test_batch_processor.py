"""HTTP /v1/batches through its door: real PostgreSQL, row level security on, S3 in process."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
import requests

from functions.batch_processor.app import lambda_handler
from quotekit import database as databases
from quotekit.auth import authenticate
from quotekit.batches import downloads, engine, service, sizing
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.requests import BatchCreate
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Answer,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    forget,
    load_event,
)

IDS: Final = [f"01900000-0000-7000-8000-{number:012}" for number in range(1200)]
NOBODY: Final = "01900000-0000-7000-8000-00000000ffff"


@pytest.fixture
def queues(aws_services: Aws, environment: pytest.MonkeyPatch) -> dict[str, str]:
    urls = {}
    for name in ("batch_high", "batch", "batch_low", "notifications"):
        urls[name] = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        environment.setenv(f"{name}_queue_url".upper(), urls[name])
    forget()
    return urls


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def poor(queues: dict[str, str], database: Database, issuer: Issuer) -> Client:
    """An account with the free plan."""
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/batches/{proxy+}")


@pytest.fixture
def batches(poor: Client, owner: psycopg.Connection) -> Client:
    owner.execute(PREMIUM, {"account_id": ACCOUNT, "user_id": USER})
    return poor


PREMIUM: Final = """
with account as (insert into app.accounts (id) values (%(account_id)s) returning id), owned as (
    insert into app.members (account_id, user_id, role)
    select id, %(user_id)s, 'owner' from account
)
insert into app.subscriptions (account_id, plan_key, status)
select id, 'premium', 'active' from account
"""


@pytest.fixture
def stranger(batches: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), batches.route)


def body(count: int = 3, **changes: Any) -> dict[str, Any]:
    return {"operation": "delete_clients", "items": IDS[:count]} | changes


def submit(batches: Client, count: int = 3, **changes: Any) -> Any:
    answer = batches("POST", "/v1/batches", body(count, **changes))
    assert answer.status == 202, answer.text
    return answer.json


def work(job: Any) -> None:
    """What the worker does with a ticket."""
    engine.serve(job["priority"], UUID(job["id"]), lambda: 60.0)


def get(batches: Client, job: Any) -> Any:
    return batches("GET", f"/v1/batches/{job['id']}").json


def clients(owner: psycopg.Connection, count: int) -> None:
    """The first so many of IDS are clients of the account."""
    owner.execute(
        """insert into app.clients (id, account_id, name)
            select id, %s, 'A' from unnest(%s::uuid[]) as id""",
        [ACCOUNT, IDS[:count]],
    )


def counted(owner: psycopg.Connection, table: str) -> int:
    row = owner.execute(f"select count(*) from app.{table}".encode()).fetchone()
    return 0 if row is None else row[0]


def test_the_committed_event_is_answered(batches: Client, issuer: Issuer) -> None:
    event = load_event("batch_processor")
    event["headers"]["authorization"] = f"Bearer {batches.token}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 202, answer["body"]


def test_a_batch_is_stored_with_its_chunks_and_its_tickets_are_on_the_queue(
    batches: Client, queues: dict[str, str], aws_services: Aws, owner: psycopg.Connection
) -> None:
    job = submit(batches, 1000, options={"priority": "high", "dry_run": True})

    assert job["status"] == "pending"
    assert job["counts"] == {
        "total": 1000, "succeeded": 0, "failed": 0, "skipped": 0, "pending": 1000,
    }  # fmt: skip
    assert job["chunks"] == {"pending": 1, "running": 0, "done": 0}
    assert job["rate"] == {"items_per_second": None, "reason": "No chunk is finished yet."}
    assert job["expected"]["reason"] == "No chunk is finished yet."
    (ticket,) = aws_services.messages(queues["batch_high"])
    assert ticket["job_id"] == job["id"]
    actions = "select action from app.audit_events where object_id = %s"
    assert owner.execute(actions, [job["id"]]).fetchall() == [("batch.created",)]
    assert owner.execute("select sent_at is not null from app.outbox").fetchall() == [(True,)]


def test_a_worker_does_it_and_the_counts_are_exact(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 5)
    job = submit(batches, 7)

    work(job)

    done = get(batches, job)
    assert done["status"] == "completed_with_errors"
    assert done["counts"] == {
        "total": 7, "succeeded": 5, "failed": 2, "skipped": 0, "pending": 0,
    }  # fmt: skip
    assert done["tallies"] == {"deleted": 5, "missing": 2, "matched": 5}
    assert done["chunks"] == {"pending": 0, "running": 0, "done": 1}
    assert done["rate"]["items_per_second"] > 0
    assert done["expected"] == {"finished_at": None, "seconds": None, "reason": "It is over."}
    assert done["started_at"] <= done["finished_at"] <= done["observed_at"]


def test_another_accounts_batch_is_not_there(batches: Client, stranger: Client) -> None:
    path = f"/v1/batches/{submit(batches)['id']}"

    answers = [stranger("GET", f"{path}{below}") for below in ("", "/items", "/result")]
    answers += [
        stranger("POST", f"{path}/{verb}") for verb in ("cancel", "pause", "resume", "retry-failed")
    ]
    answers.append(stranger("GET", f"{path}/items", headers=NDJSON))

    assert [answer.status for answer in answers] == [404] * 8
    assert stranger("GET", "/v1/batches").json["data"] == []
    assert get(batches, {"id": path.rpartition("/")[2]})["status"] == "pending"


NDJSON: Final = {"accept": "application/x-ndjson"}
AN_ITEM: Final = {"name": "Mulch", "unit": "m3", "unit_cost": "1"}
OPTIONS: Final[list[tuple[Any, str]]] = [
    ({"priority": "urgent"}, "options.priority"),
    ({"dry_run": "perhaps"}, "options.dry_run"),
    ({"stop_on_error_percent": 101}, "options.stop_on_error_percent"),
    ({"rate_limit_per_second": 0}, "options.rate_limit_per_second"),
    ({"rate_limit_per_second": "NaN"}, "options.rate_limit_per_second"),
    ({"dedupe_key": ""}, "options.dedupe_key"),
    ({"dedupe_key": "a\0"}, "options.dedupe_key"),
    ({"colour": 1}, "options.colour"),
    ({"notify_url": "http://receiver.example/"}, "options.notify_url"),
    ({"notify_url": "https://user:word@receiver.example/"}, "options.notify_url"),
    ({"notify_url": "https://10.0.0.1/"}, "options.notify_url"),
    ({"notify_url": "https://[::1]/"}, "options.notify_url"),
    ({"notify_url": "https://169.254.169.254/latest/meta-data"}, "options.notify_url"),
    ({"notify_url": "not an address"}, "options.notify_url"),
]
REFUSED: Final[list[tuple[Any, str]]] = [
    (body(operation="paint_clients"), "operation"),
    (body(operation=None), "operation"),
    (body(items=[]), "items"),
    (body(1001), "items"),
    (body(items="all"), "items"),
    (body(items={"0": IDS[0]}), "items"),
    (body(items=None), "body"),
    (body(upload=NOBODY), "body"),
    ({"operation": "delete_clients"}, "body"),
    ({"operation": "delete_clients", "upload": True}, "upload"),
    ({"operation": "delete_clients", "upload": NOBODY}, "upload"),
    (body(colour="red"), "colour"),
    (body(items=[IDS[0], "x"]), "items.1.id"),
    (body(items=[IDS[0], 7]), "items.1"),
    (body(items=[None]), "items.0"),
    (body(items=[{"id": IDS[0], "name": "A"}]), "items.0.name"),
    (body(items=[[IDS[0]]]), "items.0"),
    (body(items=[*IDS[:3], IDS[1]]), "items.3"),
    (body(items=[IDS[0], {"id": IDS[0].upper()}]), "items.1"),
    (body(parameters={"status": "sent"}), "parameters.status"),
    (body(parameters=[]), "parameters"),
    *((body(options=options), field) for options, field in OPTIONS),
]


@pytest.mark.parametrize(("request_body", "field"), REFUSED)
def test_a_bad_request_is_refused_by_name_and_nothing_is_stored(
    batches: Client, owner: psycopg.Connection, request_body: Any, field: str
) -> None:
    answer = batches("POST", "/v1/batches", request_body)

    assert answer.status == 422, answer.text
    assert answer.json["code"] == "VALIDATION_ERROR"
    assert field in [detail["field"] for detail in answer.json["details"]], answer.text
    assert set(answer.json) == {"code", "message", "details", "request_id"}
    for table in ("batch_jobs", "batch_chunks", "outbox", "audit_events"):
        assert counted(owner, table) == 0


# Of every operation there is: one item that it takes, and how to spoil it.
SHAPES: Final[dict[str, tuple[Any, dict[str, Any], list[Any]]]] = {
    "delete_clients": (IDS[0], {}, ["", 1, {"id": None}]),
    "delete_quotes": (IDS[0], {}, ["", 1, {"ids": []}]),
    "update_quote_status": (IDS[0], {"status": "accepted"}, ["", {"id": IDS[0], "status": 1}]),
    "send_quotes": (IDS[0], {"channel": "link"}, ["", 1]),
    "export_quotes": (IDS[0], {"format": "csv"}, ["", 1]),
    "export_account": (
        {"table": "app.quotes"},
        {},
        ["", 1, {"table": "x"}, {"table": "a.b; drop"}],
    ),
    "import_clients": ({"name": "Grace"}, {}, [{}, {"name": ""}, {"name": "A", "email": "x"}]),
    "bulk_create_items": (AN_ITEM, {}, [{}, AN_ITEM | {"unit_cost": -1}, AN_ITEM | {"x": 1}, 7]),
    "update_item_prices": (IDS[0], {"percent": 5}, ["", 1]),
    "quote_assessments": (IDS[0], {}, ["", 1]),
    "recalculate_quotes": (IDS[0], {}, ["", 1]),
}


@pytest.mark.parametrize("operation", sorted(SHAPES))
def test_each_operation_takes_its_own_shape_of_item_only(batches: Client, operation: str) -> None:
    good, parameters, bad = SHAPES[operation]
    asked = {"operation": operation, "parameters": parameters}

    taken = batches("POST", "/v1/batches", asked | {"items": [good]})
    refused = [batches("POST", "/v1/batches", asked | {"items": [good, item]}) for item in bad]

    assert taken.status == 202, taken.text
    for answer in refused:
        assert answer.status == 422, answer.text
        assert all(d["field"].startswith("items.1") for d in answer.json["details"]), answer.text


def test_every_operation_is_tried() -> None:
    assert set(SHAPES) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "parameters", "field"),
    [
        ("update_quote_status", {}, "parameters.status"),
        ("update_quote_status", {"status": "purple"}, "parameters.status"),
        ("export_quotes", {"format": "pdf"}, "parameters.format"),
        ("update_item_prices", {}, "parameters"),
        ("update_item_prices", {"percent": 1, "amount": 1}, "parameters"),
        ("update_item_prices", {"percent": "NaN"}, "parameters.percent"),
        ("send_quotes", {"channel": "pigeon"}, "parameters.channel"),
    ],
)
def test_an_operations_parameters_are_checked_by_name(
    batches: Client, operation: str, parameters: dict[str, Any], field: str
) -> None:
    answer = batches("POST", "/v1/batches", body(operation=operation, parameters=parameters))

    assert answer.status == 422
    assert [detail["field"] for detail in answer.json["details"]] == [field]


def test_an_unknown_operation_is_told_which_there_are(batches: Client) -> None:
    answer = batches("POST", "/v1/batches", body(operation="paint_clients"))

    (detail,) = answer.json["details"]
    assert all(name in detail["message"] for name in OPERATIONS)


def test_two_items_alike_are_named_both(batches: Client) -> None:
    answer = batches("POST", "/v1/batches", body(items=[*IDS[:3], IDS[1]]))

    assert answer.json["details"] == [{"field": "items.3", "message": "is the same as items.1"}]


def test_of_a_thousand_bad_items_the_first_hundred_are_named(batches: Client) -> None:
    answer = batches("POST", "/v1/batches", body(items=["x"] * 1000))

    assert len(answer.json["details"]) == 100
    assert answer.json["message"] == "The request has 1,000 invalid values; these are the first."


def test_text_no_database_can_hold_is_refused_by_name(batches: Client) -> None:
    item = AN_ITEM | {"name": "a\0b"}

    answer = batches("POST", "/v1/batches", body(operation="bulk_create_items", items=[item]))

    assert answer.status == 422
    assert answer.json["details"] == [
        {"field": "items.0", "message": "holds what cannot be stored"}
    ]


def test_a_plan_without_bulk_operations_is_told_how_to_get_them(
    poor: Client, owner: psycopg.Connection
) -> None:
    answer = poor("POST", "/v1/batches", body())

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")
    assert answer.json["message"] == "The plan Free has no bulk operations."
    assert answer.json["details"] == [
        {"field": "plan", "message": "upgrade: POST /v1/billing/checkout"}
    ]
    assert counted(owner, "batch_jobs") == 0


def test_the_same_idempotency_key_makes_one_batch(
    batches: Client, owner: psycopg.Connection
) -> None:
    key = {"idempotency-key": "submit-1"}

    first, again = (batches("POST", "/v1/batches", body(), headers=key) for _ in range(2))
    other = batches("POST", "/v1/batches", body(4), headers=key)

    assert (first.status, again.status, other.status) == (202, 202, 409)
    assert first.json == again.json
    assert counted(owner, "batch_jobs") == counted(owner, "outbox") == 1


def test_the_same_dedupe_key_is_the_same_batch_as_it_is_now(
    batches: Client, stranger: Client, owner: psycopg.Connection
) -> None:
    asked = body(options={"dedupe_key": "monday"})
    first = batches("POST", "/v1/batches", asked)
    work(first.json)

    again = batches("POST", "/v1/batches", asked)
    bare = [{"id": item} for item in IDS[:3]]
    alike = batches("POST", "/v1/batches", asked | {"items": bare})
    other = batches("POST", "/v1/batches", asked | {"items": IDS[:4]})

    assert (again.status, again.json["id"]) == (202, first.json["id"])
    assert again.json["status"] == "completed_with_errors"
    assert alike.json["id"] == first.json["id"]
    assert other.status == 409
    assert first.json["id"] in other.json["message"]
    assert counted(owner, "batch_jobs") == counted(owner, "outbox") == 1
    assert stranger("POST", "/v1/batches", asked).status == 403  # the key is not known to others


def test_ten_requests_at_once_with_one_dedupe_key_make_one_batch(
    batches: Client, owner: psycopg.Connection, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_POOL_MAX", "10")
    databases.forget()
    forget()
    asked = body(options={"dedupe_key": "monday"})
    principal = authenticate({"authorization": f"Bearer {batches.token}"})

    def ask(_: int) -> UUID:
        submission = service.submission(BatchCreate.model_validate(asked), principal.account_id)
        with databases.transaction(principal.actor) as connection:
            return submission.submit(connection).id

    with ThreadPoolExecutor(10) as pool:
        found = set(pool.map(ask, range(10)))

    assert len(found) == 1
    assert counted(owner, "batch_jobs") == counted(owner, "outbox") == 1


def upload(batches: Client, content: bytes, form: str = "ndjson") -> str:
    """Announce a file and send it by the form."""
    offered = batches("POST", "/v1/batches/uploads", {"format": form, "bytes": len(content)})
    assert offered.status == 201, offered.text
    key = offered.json["fields"]["key"]
    boto3.client("s3").put_object(Bucket="documents", Key=key, Body=content)
    upload_id: str = offered.json["id"]
    return upload_id


def lines(count: int) -> bytes:
    return b"".join(b'{"id": "%s"}\n' % item.encode() for item in IDS[:count])


def test_the_form_of_an_upload_lets_no_more_in_than_was_announced(batches: Client) -> None:
    offered = batches("POST", "/v1/batches/uploads", {"format": "csv", "bytes": 123})

    policy = json.loads(base64.b64decode(offered.json["fields"]["policy"]))
    assert ["content-length-range", 1, 123] in policy["conditions"]
    assert {"Content-Type": "text/csv"} in policy["conditions"]
    assert offered.json["fields"]["key"] == f"uploads/{ACCOUNT}/{offered.json['id']}"
    assert offered.json["expires_at"] < offered.json["usable_until"]


def test_an_upload_of_two_gigabytes_is_too_large(
    batches: Client, owner: psycopg.Connection
) -> None:
    asked = {"format": "ndjson", "bytes": 2_147_483_648}

    answer = batches("POST", "/v1/batches/uploads", asked)

    assert (answer.status, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json["details"] == [{"field": "bytes", "message": "must be 500,000,000 at most"}]
    assert counted(owner, "batch_uploads") == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"format": "xml", "bytes": 1}, "format"),
        ({"format": "csv", "bytes": 0}, "bytes"),
        ({"format": "csv"}, "bytes"),
        ({"format": "csv", "bytes": "many"}, "bytes"),
    ],
)
def test_a_bad_upload_is_refused_by_name(
    batches: Client, asked: dict[str, Any], field: str
) -> None:
    answer = batches("POST", "/v1/batches/uploads", asked)

    assert answer.status == 422
    assert [detail["field"] for detail in answer.json["details"]] == [field]


def test_an_upload_is_prepared_worked_at_and_its_bad_lines_are_listed(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 2)
    job = submit_upload(batches, upload(batches, lines(3) + b"{\n" + lines(1)))
    waiting = get(batches, job)

    work(job)

    assert (job["status"], job["counts"]["total"]) == ("preparing", None)
    assert waiting["expected"]["reason"] == "Its upload is not read yet."
    done = get(batches, job)
    assert done["tallies"] == {"deleted": 2, "missing": 1, "invalid": 2, "matched": 2}
    assert done["upload"]["lines"] == 5
    failed = batches("GET", f"/v1/batches/{job['id']}/items", query="status=failed").json["data"]
    assert [(item["position"], item["line"], item["code"]) for item in failed] == [
        (3, 3, "missing"), (4, 4, "invalid"), (5, 5, "invalid"),
    ]  # fmt: skip
    assert failed[2]["message"] == "the same as line 1"
    assert failed[1]["item"] == "{"


def test_an_import_without_room_names_nobody_of_the_account(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 1)
    owner.execute("update app.plans set clients = 2")
    items = [{"name": "Grace"}, {"name": "Ada"}, {"name": "A"}]
    job = submit(batches, operation="import_clients", items=items)

    work(job)

    assert get(batches, job)["tallies"] == {"created": 1, "quota": 1, "unchanged": 1, "matched": 1}


def submit_upload(batches: Client, upload_id: str, **changes: Any) -> Any:
    answer = batches("POST", "/v1/batches", UPLOADED | {"upload": upload_id} | changes)
    assert answer.status == 202, answer.text
    return answer.json


UPLOADED: Final = {"operation": "delete_clients"}


def test_a_refused_file_is_told_in_the_batch(batches: Client) -> None:
    job = submit_upload(batches, upload(batches, b"id,colour\n1,red\n", "csv"))

    work(job)

    refused = get(batches, job)
    assert refused["status"] == "failed"
    assert "unknown column 'colour'" in refused["error"]
    assert refused["chunks"] == {"pending": 0, "running": 0, "done": 0}
    retried = batches("POST", f"/v1/batches/{job['id']}/retry-failed")
    assert (retried.status, retried.json["message"]) == (
        409, "No item of it failed that could be tried again.",
    )  # fmt: skip


def test_an_upload_that_was_never_sent_is_refused(batches: Client) -> None:
    offered = batches("POST", "/v1/batches/uploads", {"format": "csv", "bytes": 5})

    answer = batches("POST", "/v1/batches", UPLOADED | {"upload": offered.json["id"]})

    assert answer.status == 422
    assert answer.json["details"] == [
        {"field": "upload", "message": "nothing was uploaded there yet"}
    ]


def test_another_accounts_upload_is_no_upload(
    batches: Client, stranger: Client, owner: psycopg.Connection
) -> None:
    upload_id = upload(batches, lines(1))

    answer = stranger("POST", "/v1/batches", UPLOADED | {"upload": upload_id})

    assert answer.status == 422
    assert answer.json["details"][0]["message"] == "there is no such upload"


def test_an_expired_upload_is_refused(batches: Client, owner: psycopg.Connection) -> None:
    upload_id = upload(batches, lines(1))
    owner.execute("update app.batch_uploads set expires_at = now()")

    answer = batches("POST", "/v1/batches", UPLOADED | {"upload": upload_id})

    assert answer.status == 422
    assert "expired" in answer.json["details"][0]["message"]


def test_an_upload_is_used_by_one_batch(batches: Client) -> None:
    upload_id = upload(batches, lines(2))
    options = {"dedupe_key": "file"}
    first = submit_upload(batches, upload_id, options=options)

    again = submit_upload(batches, upload_id, options=options)
    other = batches("POST", "/v1/batches", UPLOADED | {"upload": upload_id})

    assert again["id"] == first["id"]
    assert other.status == 409
    assert first["id"] in other.json["message"]


def test_an_upload_submitted_again_under_its_idempotency_key_is_the_first_answer(
    batches: Client,
) -> None:
    asked = UPLOADED | {"upload": upload(batches, lines(2))}
    key = {"idempotency-key": "file-1"}

    first, again = (batches("POST", "/v1/batches", asked, headers=key) for _ in range(2))

    assert (first.status, again.status) == (202, 202)
    assert first.json == again.json


def test_the_list_has_filters_and_pages(batches: Client, owner: psycopg.Connection) -> None:
    jobs = [submit(batches, options={"priority": name}) for name in ("high", "low", "low")]
    priced = submit(batches, operation="update_item_prices", parameters={"percent": 1})
    work(jobs[0])

    def listed(query: str) -> list[str]:
        return [item["id"] for item in batches("GET", "/v1/batches", query=query).json["data"]]

    newest = [priced["id"], *(job["id"] for job in reversed(jobs))]
    assert listed("") == newest
    assert listed("operation=update_item_prices") == [priced["id"]]
    assert listed("status=completed_with_errors") == [jobs[0]["id"]]
    assert listed("from=2000-01-01&to=2001-01-01") == []
    assert listed("from=2000-01-01&to=2999-01-01") == newest
    first = batches("GET", "/v1/batches", query="limit=3").json
    rest = batches("GET", "/v1/batches", query=f"limit=3&cursor={first['next_cursor']}").json
    assert [item["id"] for item in first["data"] + rest["data"]] == newest
    assert rest["next_cursor"] is None
    assert first["data"][0]["counts"]["total"] == 3


@pytest.mark.parametrize(
    ("below", "query"),
    [
        ("", "status=purple"),
        ("", "limit=0"),
        ("", "cursor=x"),
        ("", "from=1999-01-01"),
        (f"/{NOBODY}/items", "status=purple"),
        (f"/{NOBODY}/items", "limit=1001"),
        (f"/{NOBODY}/items", "cursor=x"),
        ("/7/items", ""),
        ("/7", ""),
    ],
)
def test_a_bad_question_is_refused(batches: Client, below: str, query: str) -> None:
    answer = batches("GET", f"/v1/batches{below}", query=query)

    assert answer.status == 422, answer.text
    assert answer.json["code"] == "VALIDATION_ERROR"


@pytest.fixture
def chunks_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "chunk_size", lambda *_: 10)


@pytest.mark.usefixtures("chunks_of_ten")
def test_items_come_in_pages_by_their_outcome(batches: Client, owner: psycopg.Connection) -> None:
    clients(owner, 30)
    job = submit(batches, 45)
    path = f"/v1/batches/{job['id']}/items"
    before = batches("GET", path, query="status=pending&limit=1000").json["data"]

    work(job)

    def read(status: str) -> list[int]:
        found, cursor = [], ""
        while True:
            page = batches("GET", path, query=f"limit=7&status={status}{cursor}").json
            found += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert {item["status"] for item in found} <= {status}
        return [item["position"] for item in found]

    assert [item["position"] for item in before] == list(range(1, 46))
    assert before[0] == {
        "position": 1, "line": None, "status": "pending", "code": None, "message": None,
        "data": None, "item": {"id": IDS[0]},
    }  # fmt: skip
    assert read("succeeded") == list(range(1, 31))
    assert read("failed") == list(range(31, 46))
    assert read("pending") == read("skipped") == []


def test_a_cursor_of_another_batch_is_refused(batches: Client) -> None:
    one, other = submit(batches), submit(batches)
    page = batches("GET", f"/v1/batches/{one['id']}/items", query="limit=1").json

    answer = batches(
        "GET", f"/v1/batches/{other['id']}/items", query=f"cursor={page['next_cursor']}"
    )

    assert answer.status == 422


@pytest.mark.usefixtures("chunks_of_ten")
def test_all_items_come_as_lines_of_json(batches: Client, owner: psycopg.Connection) -> None:
    clients(owner, 30)
    job = submit(batches, 300)
    work(job)
    path = f"/v1/batches/{job['id']}/items"

    everything = batches("GET", path, headers=NDJSON)
    failed = batches("GET", path, headers=NDJSON, query="status=failed")
    none = batches("GET", path, headers=NDJSON, query="status=skipped")

    assert everything.headers["Content-Type"] == "application/x-ndjson"
    told = [json.loads(line) for line in everything.text.splitlines()]
    pages = batches("GET", path, query="limit=1000").json["data"]
    assert told == pages
    assert [json.loads(line) for line in failed.text.splitlines()] == pages[30:]
    assert (none.status, none.text) == (200, "")


def test_items_too_large_for_an_answer_come_by_a_link(
    batches: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(batches, 300)
    work(job)
    path = f"/v1/batches/{job['id']}/items"
    inline = batches("GET", path, headers=NDJSON)
    monkeypatch.setattr(downloads, "INLINE", 1000)

    first, again = (batches("GET", path, headers=NDJSON) for _ in range(2))

    assert (first.status, again.status) == (303, 303)
    assert requests.get(first.headers["Location"], timeout=5).text == inline.text
    stored = boto3.client("s3").list_objects_v2(Bucket="documents", Prefix="batches/")
    assert stored["KeyCount"] == 1


def change(batches: Client, job: Any, verb: str, said: Any = None) -> Answer:
    return batches("POST", f"/v1/batches/{job['id']}/{verb}", said)


def test_a_paused_batch_goes_on_when_it_is_resumed(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 3)
    job = submit(batches)

    paused = [change(batches, job, "pause") for _ in range(2)]
    work(job)
    still = get(batches, job)
    resumed = change(batches, job, "resume")
    work(job)

    assert [(answer.status, answer.json["status"]) for answer in paused] == [(202, "paused")] * 2
    assert still["counts"]["pending"] == 3
    assert still["expected"]["reason"] == "It is paused."
    assert (resumed.status, resumed.json["status"]) == (202, "pending")
    assert get(batches, job)["status"] == "completed"
    actions = [
        action
        for (action,) in owner.execute(
            "select action from app.audit_events where object_id = %s order by occurred_at",
            [job["id"]],
        )
    ]
    assert actions == ["batch.created", "batch.paused", "batch.resumed"]


def test_a_cancelled_batch_skips_what_was_not_begun(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 3)
    job = submit(batches)

    cancelled = change(batches, job, "cancel")
    work(job)
    again = change(batches, job, "cancel")

    assert (cancelled.status, cancelled.json["status"]) == (202, "cancelling")
    done = get(batches, job)
    assert (done["status"], done["counts"]["skipped"]) == ("cancelled", 3)
    assert counted(owner, "clients") == 3
    assert (again.status, again.json["status"]) == (202, "cancelled")
    items = batches("GET", f"/v1/batches/{job['id']}/items", query="status=skipped").json["data"]
    assert len(items) == 3


def test_an_upload_cancelled_before_it_is_read_ends_without_items(batches: Client) -> None:
    job = submit_upload(batches, upload(batches, lines(3)))

    change(batches, job, "cancel")
    work(job)

    done = get(batches, job)
    assert (done["status"], done["counts"]["total"]) == ("cancelled", 0)


NOT_ALLOWED: Final = [
    ("pending", "resume", "A batch that is pending cannot be resumed."),
    ("pending", "retry-failed", "A batch that is pending cannot be retried."),
    ("preparing", "pause", "A batch that is preparing cannot be paused."),
    ("completed", "cancel", "A batch that is completed cannot be cancelled."),
    ("completed", "pause", "A batch that is completed cannot be paused."),
    ("completed", "retry-failed", "A batch that is completed cannot be retried."),
    ("cancelled", "pause", "A batch that is cancelled cannot be paused."),
    ("cancelled", "retry-failed", "A batch that is cancelled cannot be retried."),
    ("stopping", "cancel", "A batch that is stopping cannot be cancelled."),
]


@pytest.mark.parametrize(("status", "verb", "told"), NOT_ALLOWED)
def test_what_a_state_forbids_is_told_and_changes_nothing(
    batches: Client, owner: psycopg.Connection, status: str, verb: str, told: str
) -> None:
    job = submit(batches)
    owner.execute(
        """update app.batch_jobs set status = %(status)s, error = 'x', finished_at = case
            when %(status)s in ('completed', 'cancelled') then now() end""",
        {"status": status},
    )

    answer = change(batches, job, verb)

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert answer.json["message"] == told
    assert get(batches, job)["status"] == status
    assert counted(owner, "audit_events") == counted(owner, "outbox") == 1


@pytest.mark.usefixtures("chunks_of_ten")
def test_failed_items_are_tried_again_and_only_they(
    batches: Client, owner: psycopg.Connection
) -> None:
    clients(owner, 12)
    job = submit_upload(batches, upload(batches, lines(25) + b"{\n" + lines(1)))
    work(job)
    first = get(batches, job)
    owner.execute("delete from app.clients")
    clients(owner, 20)

    retried = change(batches, job, "retry-failed")
    work(job)

    assert first["tallies"] == {"deleted": 12, "missing": 13, "invalid": 2, "matched": 12}
    assert (retried.status, retried.json["status"]) == (202, "running")
    assert retried.json["counts"] == {
        "total": 27, "succeeded": 12, "failed": 2, "skipped": 0, "pending": 13,
    }  # fmt: skip
    assert retried.json["retries"] == 1
    done = get(batches, job)
    assert done["tallies"] == {"deleted": 20, "missing": 5, "invalid": 2, "matched": 20}
    assert counted(owner, "clients") == 12  # those the first run had deleted were not tried again
    actions = "select count(*) from app.audit_events where action = 'batch.retried'"
    assert owner.execute(actions).fetchall() == [(1,)]


@pytest.mark.usefixtures("chunks_of_ten")
@pytest.mark.parametrize("skipped", [False, True])
def test_what_was_skipped_is_tried_only_when_that_is_asked_for(
    batches: Client, owner: psycopg.Connection, skipped: bool
) -> None:
    job = submit(batches, 40, options={"stop_on_error_percent": 5})
    work(job)
    stopped = get(batches, job)
    clients(owner, 40)

    change(batches, job, "retry-failed", {"skipped": skipped})
    work(job)

    assert (stopped["status"], stopped["counts"]["succeeded"]) == ("failed", 0)
    assert stopped["counts"]["skipped"] > 0
    assert "5 % of the items failed" in stopped["error"]
    done = get(batches, job)
    left = 0 if skipped else stopped["counts"]["skipped"]
    assert (done["status"], done["counts"]["skipped"]) == ("completed", left)
    assert done["counts"]["succeeded"] == 40 - left
    assert done["error"] is None


def test_a_result_is_there_at_the_end_or_it_is_said_why_not(
    batches: Client, owner: psycopg.Connection
) -> None:
    quotes: dict[str, Any] = {
        "operation": "export_quotes",
        "parameters": {"format": "json"},
        "items": IDS[:2],
    }
    export = submit(batches, **quotes)
    dry = submit(batches, **quotes, options={"dry_run": True})
    plain = submit(batches)

    def result(job: Any) -> Answer:
        return batches("GET", f"/v1/batches/{job['id']}/result")

    early = result(export)
    work(export)
    found = result(export)

    assert (early.status, early.json["message"]) == (
        409, "The batch is pending; its result comes at its end.",
    )  # fmt: skip
    assert found.status == 200, found.text
    assert requests.get(found.json["url"], timeout=5).json() == []
    assert found.json["type"] == "application/json"
    assert get(batches, export)["has_result"]
    assert result(dry).json["message"] == "A dry run stores no result."
    assert (result(plain).status, result(plain).json["code"]) == (404, "NOT_FOUND")
    s3 = boto3.client("s3")
    for item in s3.list_objects_v2(Bucket="documents", Prefix="batches/")["Contents"]:
        s3.delete_object(Bucket="documents", Key=item["Key"])
    assert (result(export).status, result(export).json["code"]) == (410, "GONE")


def test_an_unknown_batch_is_not_there(batches: Client) -> None:
    assert batches("GET", f"/v1/batches/{uuid4()}").status == 404
    assert batches("POST", f"/v1/batches/{uuid4()}/cancel").status == 404
    assert batches("DELETE", f"/v1/batches/{uuid4()}").status == 405

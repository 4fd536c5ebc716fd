"""Uploads laid down in chunks: fenced, resumed wherever a worker dies, refused whole or not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import boto3
import psycopg
import pytest
from moto import mock_aws
from psycopg.rows import dict_row

from quotekit import aws, storage
from quotekit.batches import laying, preparing, sizing
from quotekit.batches.operations import OPERATIONS
from quotekit.identifiers import new_id
from tests.conftest import Database, forget

ACCOUNT: Final = UUID("01900000-0000-7000-8000-0000000000a1")
USER: Final = UUID("01900000-0000-7000-8000-000000000001")
SIZE: Final = 3  # items a chunk, for tests that look at several


@pytest.fixture(autouse=True)
def bucket(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    variables = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "DOCUMENTS_BUCKET": "documents",
        "NOTIFICATIONS_QUEUE_URL": "https://sqs.test/notifications",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        for topic in ("batch_high", "batch", "batch_low"):
            url = boto3.client("sqs").create_queue(QueueName=topic)["QueueUrl"]
            monkeypatch.setenv(f"{topic}_queue_url".upper(), url)
        forget()
        aws.forget()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="documents")
        yield s3
    aws.forget()


@dataclass
class Claim:
    """A job as the engine hands it over."""

    id: UUID


class Desk:
    """The owner's view of the database, and files uploaded by ACCOUNT."""

    def __init__(self, database: Database, s3: Any) -> None:
        self.connection = psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row)
        self.s3 = s3
        self.connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        member = "insert into app.members (account_id, user_id) values (%s, %s)"
        self.connection.execute(member, [ACCOUNT, USER])

    def submit(
        self,
        content: bytes,
        form: str = "ndjson",
        operation: str = "delete_clients",
        **columns: Any,
    ) -> UUID:
        job_id, upload_id = new_id(), new_id()
        key = f"uploads/{upload_id}"
        etag = self.s3.put_object(Bucket="documents", Key=key, Body=content)["ETag"]
        self.connection.execute(
            """insert into app.batch_uploads (id, account_id, created_by, format, bytes, key,
                expires_at) values (%s, %s, %s, %s, %s, %s, now() + interval '1 day')""",
            [upload_id, ACCOUNT, USER, form, max(len(content), 1), key],
        )
        values = {
            "id": job_id,
            "account_id": ACCOUNT,
            "created_by": USER,
            "operation": operation,
            "upload_id": upload_id,
            "upload_etag": etag,
            "status": "preparing",
        } | columns
        names = ", ".join(values)
        marks = ", ".join(f"%({name})s" for name in values)
        self.connection.execute(f"insert into app.batch_jobs ({names}) values ({marks})", values)
        return job_id

    def lease(self, job_id: UUID) -> int:
        row = self.connection.execute(
            """update app.batch_jobs set lease = nextval('app.batch_leases'),
                leased_until = now() + interval '30 seconds' where id = %s returning lease""",
            [job_id],
        ).fetchone()
        return int(row["lease"])

    def prepare(self, job_id: UUID, *, until: Any = lambda: False) -> None:
        preparing.prepare(Claim(job_id), self.lease(job_id), until=until)

    def job(self, job_id: UUID) -> dict[str, Any]:
        query = "select * from app.batch_jobs where id = %s"
        return self.connection.execute(query, [job_id]).fetchone() or {}

    def chunks(self, job_id: UUID) -> list[dict[str, Any]]:
        query = """select number, first_position, size, items, lines, results, failed, tallies,
            state from app.batch_chunks where job_id = %s order by number"""
        return self.connection.execute(query, [job_id]).fetchall()

    def count(self, query: str) -> int:
        return next(iter((self.connection.execute(query.encode()).fetchone() or {}).values()))


@pytest.fixture
def desk(database: Database, bucket: Any) -> Iterator[Desk]:
    desk = Desk(database, bucket)
    yield desk
    desk.connection.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few items, each committed by itself, from parts of a few bytes."""
    monkeypatch.setattr(sizing, "chunk_size", lambda *_: SIZE)
    monkeypatch.setattr(preparing, "SECONDS", -1.0)
    monkeypatch.setattr(preparing, "PART", 100)
    monkeypatch.setattr(preparing, "BLOCK", 40)


def client_id(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012}"


def lines(count: int) -> bytes:
    return b"".join(b'{"id": "%s"}\n' % client_id(n).encode() for n in range(count))


@pytest.mark.usefixtures("small")
def test_an_upload_becomes_chunks_with_positions_and_lines(desk: Desk) -> None:
    job = desk.submit(b"\n" + lines(4))

    desk.prepare(job)

    first, second = desk.chunks(job)
    assert (first["number"], first["first_position"], first["size"]) == (0, 1, 3)
    assert (second["number"], second["first_position"], second["size"]) == (1, 4, 1)
    assert first["items"] == [{"id": client_id(n)} for n in range(3)]
    assert (first["lines"], second["lines"]) == ([2, 3, 4], [5])
    assert (first["results"], first["state"]) == ([], "pending")
    found = desk.job(job)
    assert (found["status"], found["total"], found["lease"]) == ("pending", 4, None)
    assert (found["prepared_lines"], found["prepared_bytes"]) == (5, 1 + len(lines(4)))
    assert desk.count("select count(*) from app.outbox where topic = 'batch'") == 2


BAD: Final = {
    2: (b"{", "Invalid JSON"),
    3: (b'{"id": 1}', "id: "),
    4: (b'{"id": "01900000-0000-7000-8000-000000000009", "x": 1}', "x: Extra inputs"),
    5: (b"[]", "Input should be"),
    6: (b'"01900000-0000-7000-8000-000000000000"', "the same as line 1"),
}


def test_each_bad_line_is_an_item_that_failed_with_its_line_and_reason(desk: Desk) -> None:
    content = lines(1) + b"\n".join(line for line, _ in BAD.values()) + b'\n{"id": "0190'

    job = desk.submit(content)
    desk.prepare(job)

    (chunk,) = desk.chunks(job)
    assert (chunk["size"], chunk["failed"], chunk["tallies"]) == (7, 6, {"invalid": 6})
    assert chunk["results"][0] is None
    for place, (line, (text, reason)) in enumerate(BAD.items(), 1):
        assert chunk["lines"][place] == line
        assert chunk["items"][place] == text.decode()
        assert chunk["results"][place]["code"] == "invalid"
        assert reason in chunk["results"][place]["message"]
    assert chunk["lines"][6] == 7
    assert "EOF while parsing" in chunk["results"][6]["message"]
    assert desk.job(job)["total"] == 7


def test_csv_with_mark_crlf_and_quotes_is_checked_like_json(desk: Desk) -> None:
    content = (
        "\ufeffname,unit,unit_cost,tags\r\n"
        '"Mulch, ""fine""",m3,61.25,"[""garden""]"\r\n'
        '"Two\r\nlines",h,1,\r\n'
        "Dear,h,plenty,\r\n"
    )

    job = desk.submit(content.encode(), "csv", "bulk_create_items")
    desk.prepare(job)

    (chunk,) = desk.chunks(job)
    assert chunk["items"] == [
        {"name": 'Mulch, "fine"', "unit": "m3", "unit_cost": "61.25", "tags": ["garden"]},
        {"name": "Two\r\nlines", "unit": "h", "unit_cost": "1"},
        "Dear,h,plenty,",
    ]
    assert chunk["lines"] == [2, 3, 5]
    assert chunk["results"][2]["message"].startswith("unit_cost: ")


def test_what_no_database_can_hold_is_a_bad_line(desk: Desk) -> None:
    item = {"name": "a\0b", "unit": "h", "unit_cost": "1"}
    fine = {"name": "a\\u0000b", "unit": "h", "unit_cost": "1"}
    content = "\n".join(
        [json.dumps(item), json.dumps(fine), r'{"name": "\ud800"}', '{"name": "\0"}']
    )

    job = desk.submit(content.encode(), operation="bulk_create_items")
    desk.prepare(job)

    (chunk,) = desk.chunks(job)
    assert [result and result["code"] for result in chunk["results"]] == [
        "invalid",
        None,
        "invalid",
        "invalid",
    ]
    assert chunk["results"][0]["message"] == "holds what cannot be stored"
    assert chunk["items"][1]["name"] == "a\\u0000b"


class KilledError(BaseException):
    """The worker is gone."""


def chunks_of(desk: Desk, content: bytes, form: str, operation: str) -> list[dict[str, Any]]:
    job = desk.submit(content, form, operation)
    desk.prepare(job)
    assert desk.job(job)["status"] == "pending"
    return desk.chunks(job)


RESUMED: Final = [
    ("ndjson", "delete_clients", b'{"x": 1}\n' + lines(10) + lines(2) + b"{\n" + lines(14)),
    (
        "csv",
        "bulk_create_items",
        b"\xef\xbb\xbfname,unit,unit_cost\r\n" + b'"a\r\n""b""",h,1\r\n,h,2\r\nc,h,d\r\n' * 9,
    ),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("file", RESUMED, ids=["ndjson", "csv"])
@pytest.mark.parametrize("step", ["part", "before a commit", "after a commit"])
def test_a_worker_killed_anywhere_is_resumed_to_the_same_result(
    desk: Desk, file: tuple[str, str, bytes], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, operation, content = file
    undisturbed = chunks_of(desk, content, form, operation)
    job = desk.submit(content, form, operation)
    kills = 0
    left = 0

    def killed(function: Any, *, after: bool = False) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left, kills
            left -= 1
            answer = function(*arguments, **named) if after or left >= 0 else None
            if left < 0:
                kills += 1
                raise KilledError
            return answer

        return call

    where = (storage, "part") if step == "part" else (laying, "lay")
    original = getattr(*where)
    monkeypatch.setattr(*where, killed(original, after=step == "after a commit"))
    for survived in range(60):
        left = survived
        try:
            desk.prepare(job)
        except KilledError:
            continue
        break

    assert kills >= 3
    assert desk.job(job)["status"] == "pending"
    assert desk.chunks(job) == undisturbed


@pytest.mark.usefixtures("small")
def test_a_worker_out_of_time_leaves_the_rest_to_the_next(desk: Desk) -> None:
    undisturbed = chunks_of(desk, lines(10), "ndjson", "delete_clients")
    job = desk.submit(lines(10))

    desk.prepare(job, until=lambda: True)
    half = (desk.job(job)["status"], len(desk.chunks(job)))
    desk.prepare(job)

    assert half == ("preparing", 1)
    assert desk.chunks(job) == undisturbed


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("end", ["lay", "finish"])
def test_a_worker_whose_lease_was_taken_over_commits_nothing(
    desk: Desk, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.submit(lines(10))
    original = getattr(laying, end)

    def late(*arguments: Any) -> Any:
        desk.lease(job)
        return original(*arguments)

    monkeypatch.setattr(laying, end, late)
    desk.prepare(job)

    assert desk.job(job)["status"] == "preparing"
    assert desk.count("select count(*) from app.outbox") == 0
    assert len(desk.chunks(job)) == (0 if end == "lay" else 4)


@pytest.mark.usefixtures("small")
def test_a_job_cancelled_meanwhile_is_not_prepared_further(desk: Desk) -> None:
    job = desk.submit(lines(10))

    def cancel() -> bool:
        desk.connection.execute("update app.batch_jobs set status = 'cancelling'")
        return False

    desk.prepare(job, until=cancel)

    assert desk.job(job)["status"] == "cancelling"
    assert len(desk.chunks(job)) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "form", "told"),
    [
        (b"", "ndjson", "it has no items"),
        (b"\n\n", "ndjson", "it has no items"),
        (b"id\n", "csv", "it has no items"),
        (b"", "csv", "the file has no header"),
        (b"id,colour\n", "csv", "unknown column 'colour'; known: id"),
        (lines(9) + b"\xff\n", "ndjson", "line 10 is not UTF-8"),
        (b"id\n" + client_id(1).encode() + b'\n\n\n\n"a\nb\n', "csv", "open in line 6"),
        (lines(10), "ndjson", "it has more than 9 items"),
    ],
)
def test_a_refused_file_fails_the_job_with_its_reason_and_leaves_no_chunk(
    desk: Desk, content: bytes, form: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nine_at_most = replace(OPERATIONS["delete_clients"], most=9)
    assert isinstance(OPERATIONS, dict)
    monkeypatch.setitem(OPERATIONS, "delete_clients", nine_at_most)
    job = desk.submit(content, form)

    desk.prepare(job)

    found = desk.job(job)
    assert found["status"] == "failed"
    assert told in found["error"]
    assert found["finished_at"] is not None
    assert desk.chunks(job) == []
    assert desk.count("select count(*) from app.outbox") == 0


def test_a_file_that_was_replaced_is_refused(desk: Desk) -> None:
    job = desk.submit(lines(1), upload_etag='"another"')

    desk.prepare(job)

    assert desk.job(job)["error"] == "The upload was replaced while it was read."


def test_a_file_that_is_gone_is_refused_and_who_asked_to_know_is_promised_it(desk: Desk) -> None:
    job = desk.submit(lines(1), notify_url="https://receiver.example/batches")
    for item in desk.s3.list_objects_v2(Bucket="documents")["Contents"]:
        desk.s3.delete_object(Bucket="documents", Key=item["Key"])

    desk.prepare(job)

    assert desk.job(job)["error"] == "Nothing was uploaded, or it is gone."
    assert desk.count("select count(*) from app.outbox where topic = 'notifications'") == 1


def test_a_file_of_nothing_but_bad_lines_has_no_chunk_to_work_at(desk: Desk) -> None:
    job = desk.submit(b"{\n{\n")

    desk.prepare(job)

    assert [chunk["state"] for chunk in desk.chunks(job)] == ["done"]
    assert desk.job(job)["status"] == "pending"


def test_large_items_make_smaller_chunks(desk: Desk) -> None:
    row = (
        json.dumps({"name": "a", "description": "x" * 5000, "unit": "h", "unit_cost": "1"}).encode()
        + b"\n"
    )

    job = desk.submit(row * 500, operation="bulk_create_items")
    desk.prepare(job)

    sizes = [chunk["size"] for chunk in desk.chunks(job)]
    assert sum(sizes) == 500
    assert max(sizes) < 220

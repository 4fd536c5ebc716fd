"""Exports: what the file says, and what making it costs; real PostgreSQL, S3 in process."""

import csv
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4
from zipfile import ZipFile

import boto3
import pytest
from moto import mock_aws
from pypdf import PdfReader

from quotekit import aws, database, storage
from quotekit.batches import archive, engine, exports
from quotekit.batches.entries import Entry
from quotekit.batches.model import Outcome, Result, Work
from quotekit.batches.operations import OPERATIONS
from quotekit.identifiers import new_id
from quotekit.quotes import document, printing, repository
from tests.batching import Desk
from tests.conftest import Database, forget
from tests.operating import Account, founded

EXPORT: Final = OPERATIONS["export_quotes"]
MEBIBYTE: Final = 1 << 20


@pytest.fixture
def bucket(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "DOCUMENTS_BUCKET": "documents",
        "ASSETS_BUCKET": "assets",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    forget()
    aws.forget()
    with mock_aws():
        s3 = boto3.resource("s3")
        s3.create_bucket(Bucket="assets")
        yield s3.create_bucket(Bucket="documents")
    aws.forget()


@pytest.fixture
def account(bucket: Any, database: Database) -> Account:
    account = founded(database.owner_url)
    account.plan()
    return account


def work(account: Account, file: str, *, dry_run: bool = False) -> Work:
    parameters = EXPORT.parameters.model_validate({"format": file})
    return Work(new_id(), account.id, account.user, parameters, dry_run, datetime.now(UTC))


def export(
    account: Account, file: str, ids: Sequence[UUID], *, slices: int = 1000
) -> tuple[list[Outcome], bytes]:
    """Export as the engine does: parts in order of the items, then the file."""
    job = work(account, file)
    outcomes: list[Outcome] = []
    parts: list[str] = []
    while len(outcomes) < len(ids):
        wanted = [EXPORT.item.model_validate(str(one)) for one in ids[len(outcomes) :][:slices]]
        made = exports.produce(job, wanted)  # type: ignore[arg-type]
        outcomes += made.outcomes
        if made.content:
            parts.append(f"batches/{job.job_id}/parts/{len(parts):06}")
            storage.put(storage.documents(), parts[-1], made.content, "application/octet-stream")
    result = exports.finish(job, parts, f"batches/{job.job_id}/result")
    return outcomes, content(result)


def content(result: Result) -> bytes:
    stored = boto3.client("s3").get_object(Bucket="documents", Key=result.key)
    assert stored["ContentType"] == result.type
    body: bytes = stored["Body"].read()
    assert len(body) == result.bytes
    return body


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.code for outcome in outcomes]


# --- the table


def test_a_csv_has_a_row_for_each_of_the_accounts_quotes_in_their_order(account: Account) -> None:
    stranger = founded(account.owner_url)
    sent, draft = account.sent(), account.quote(currency="JPY", valid_until="2030-01-31")
    ids = [draft.id, stranger.quote().id, sent.id, uuid4(), draft.id]

    outcomes, file = export(account, "csv", ids)

    assert codes(outcomes) == ["exported", "missing", "exported", "missing", "conflict"]
    rows = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    assert [row["id"] for row in rows] == [str(draft.id), str(sent.id)]
    assert (rows[0]["number"], rows[0]["total"], rows[0]["valid_until"]) == (
        "",
        "110",
        "2030-01-31",
    )
    assert (rows[1]["number"], rows[1]["total"]) == (sent.number, "110.00")
    assert rows[1]["sent_at"] == str(sent.sent_at).replace(" ", "T").replace("+00:00", "Z")


def test_a_csv_is_what_rfc_4180_says_and_executes_nothing(account: Account) -> None:
    name = '=HYPERLINK("http://evil","x"), \r\nsecond line'
    account.quote(client={"name": name, "phone": "+49 1", "address": " @SUM(A1)"})
    ids = [row[0] for row in account.owner("select id from app.quotes")]

    _, file = export(account, "csv", ids)

    lines = file.decode()
    assert lines.startswith("id,number,status,")
    assert lines.endswith("\r\n")
    assert '"\'=HYPERLINK(""http://evil"",""x""), \r\nsecond line"' in lines
    assert ",'+49 1," in lines
    assert ",'@SUM(A1)," in lines


def test_a_csv_of_nothing_has_its_header(account: Account) -> None:
    outcomes, file = export(account, "csv", [uuid4()])

    assert codes(outcomes) == ["missing"]
    assert file.count(b"\r\n") == 1


# --- the objects


@pytest.mark.parametrize("slices", [1, 2, 1000])
def test_a_json_file_is_valid_as_a_whole_however_it_was_sliced(
    account: Account, slices: int
) -> None:
    quotes = [account.quote(), account.sent(), account.quote()][::-1]
    ids = [quotes[0].id, uuid4(), *(quote.id for quote in quotes[1:])]

    _, file = export(account, "json", ids, slices=slices)

    found = json.loads(file)
    assert [one["id"] for one in found] == [str(quote.id) for quote in quotes]
    assert found[0]["total"] == "110.00"
    assert [line["name"] for line in found[0]["line_items"]] == ["Mowing", "Hedge"]


def test_a_json_file_of_nothing_is_an_empty_list(account: Account) -> None:
    _, file = export(account, "json", [uuid4()])

    assert json.loads(file) == []


# --- the archive


def test_a_zip_holds_a_pdf_for_each_quote(account: Account) -> None:
    sent, draft = account.sent(), account.quote()

    outcomes, file = export(account, "zip", [sent.id, uuid4(), draft.id])

    assert codes(outcomes) == ["exported", "missing", "exported"]
    with ZipFile(io.BytesIO(file)) as found:
        assert found.testzip() is None
        assert found.namelist() == [f"{sent.number}.pdf", f"draft-{draft.id}.pdf"]
        pages = [PdfReader(io.BytesIO(found.read(name))).pages[0] for name in found.namelist()]
    assert str(sent.number) in pages[0].extract_text()
    assert "DRAFT" in pages[1].extract_text().upper()


def test_a_stored_pdf_is_taken_and_a_lost_one_printed_again(
    account: Account, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = account.sent()
    export(account, "zip", [quote.id])
    (stored,) = [one.key for one in bucket.objects.filter(Prefix="accounts/")]
    printed = count_prints(monkeypatch)

    export(account, "zip", [quote.id])
    again = len(printed)
    bucket.Object(stored).delete()
    _, file = export(account, "zip", [quote.id])

    assert (again, len(printed)) == (0, 1)
    assert ZipFile(io.BytesIO(file)).testzip() is None
    with database.reading(database.SERVICE) as connection:
        found = connection.execute("select key, status from app.documents").fetchall()
    assert found == [(stored, "ready")]


def count_prints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    printed: list[str] = []
    render = document.render

    def counted(paper: document.QuoteDocument) -> document.Pdf:
        printed.append(paper.number or "")
        return render(paper)

    monkeypatch.setattr(document, "render", counted)
    return printed


def test_a_dry_run_prints_nothing(account: Account, bucket: Any) -> None:
    item = EXPORT.item.model_validate(str(account.quote().id))
    stranger = EXPORT.item.model_validate(str(uuid4()))

    made = exports.produce(work(account, "zip", dry_run=True), [item, stranger])  # type: ignore[list-item]

    assert codes(made.outcomes) == ["exported", "missing"]
    assert list(bucket.objects.all()) == []


def test_numbers_that_make_the_same_file_name_are_told_apart() -> None:
    written = io.BytesIO()
    parts = [archive.bind([Entry(one, "A-1.pdf")]) for one in (b"1", b"2", b"3")]

    archive.join(parts, written)  # type: ignore[arg-type]

    with ZipFile(written) as found:
        assert {name: found.read(name) for name in found.namelist()} == {
            "A-1.pdf": b"1",
            "A-1-2.pdf": b"2",
            "A-1-3.pdf": b"3",
        }


def test_a_zip_of_nothing_is_a_zip(account: Account) -> None:
    _, file = export(account, "zip", [uuid4()])

    assert ZipFile(io.BytesIO(file)).namelist() == []


# --- what it costs


def test_a_slice_ends_where_its_part_is_large_enough(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotes = account.copies(account.quote(), 250)
    monkeypatch.setattr(exports, "LARGEST_PART", 1000)

    made = exports.produce(
        work(account, "json"),
        [EXPORT.item.model_validate(str(one)) for one in quotes],  # type: ignore[misc]
    )

    assert len(made.outcomes) == 100


def test_an_object_larger_than_a_piece_goes_by_pieces_and_is_whole(bucket: Any) -> None:
    chunk = bytes(range(256)) * 4096  # 1 MiB

    with storage.writing("documents", "large", "text/plain") as written:
        for _ in range(20):
            written.write(chunk)

    assert bucket.Object("large").get()["Body"].read() == chunk * 20
    assert written.bytes == 20 * MEBIBYTE


def test_an_object_given_up_leaves_nothing(bucket: Any) -> None:
    def fail() -> None:
        with storage.writing("documents", "large", "text/plain") as written:
            written.write(bytes(9 * MEBIBYTE))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert list(bucket.objects.all()) == []
    uploads = boto3.client("s3").list_multipart_uploads(Bucket="documents")
    assert uploads.get("Uploads", []) == []


@pytest.mark.parametrize("file", ["csv", "json", "zip"])
def test_putting_a_file_together_holds_a_part_and_a_piece_of_it_only(
    account: Account, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = part_of(file)
    sizes: list[int] = []
    s3 = CountingS3(sizes)
    monkeypatch.setattr(aws, "client", lambda _: s3)
    monkeypatch.setattr(storage, "get", lambda *_: part())

    tracemalloc.start()
    result = exports.finish(work(account, file), [str(n) for n in range(16)], "result")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert result.bytes == sum(sizes) > 60 * MEBIBYTE
    assert max(sizes) == storage.PIECE
    assert peak < 40 * MEBIBYTE


def part_of(file: str) -> Callable[[], bytes]:
    """A part of some 4 MiB, made anew each time."""
    block = new_id().bytes * (MEBIBYTE // 16)
    if file != "zip":
        return lambda: block * 4
    noise = [Entry(os.urandom(MEBIBYTE), f"{n}.pdf") for n in range(4)]
    return lambda: archive.bind(noise)


class CountingS3:
    """Takes the pieces of an upload and keeps their sizes."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "1"}

    def upload_part(self, *, Body: bytes, **_: Any) -> dict[str, str]:  # noqa: N803
        self.sizes.append(len(Body))
        return {"ETag": str(len(self.sizes))}

    def complete_multipart_upload(self, **_: Any) -> None:
        pass


def test_the_exported_pdf_is_the_one_a_download_gives(account: Account, bucket: Any) -> None:
    quote = account.sent()

    _, file = export(account, "zip", [quote.id])

    with database.reading(account.actor) as connection:
        found = repository.get(connection, quote.id)
        known = printing.latest(connection, account.id, found.version_id)
    assert known is not None
    inside = ZipFile(io.BytesIO(file)).read(f"{quote.number}.pdf")
    assert inside == bucket.Object(known.key).get()["Body"].read()


def test_a_job_exports_through_chunks_and_slices_into_one_file(
    account: Account, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for topic in ("batch_high", "batch", "batch_low", "notifications"):
        url = boto3.client("sqs").create_queue(QueueName=topic)["QueueUrl"]
        monkeypatch.setenv(f"{topic}_queue_url".upper(), url)
    forget()
    monkeypatch.setattr(exports, "LARGEST_PART", 1)
    desk = Desk(account.owner_url)
    ids = [str(one) for one in [*account.copies(account.quote(), 250), uuid4()]]
    asked: dict[str, Any] = {
        "account": account.id,
        "created_by": account.user,
        "parameters": {"format": "json"},
    }

    job = desk.submit("export_quotes", ids, chunk=120, **asked)
    engine.serve("normal", job, remaining=lambda: 60.0)

    done = desk.job(job)
    assert (done.status, done.codes) == (
        "completed_with_errors",
        {"exported": 250, "missing": 1},
    )
    key = desk.value("select result_key from app.batch_jobs where id = %s", job)
    file = json.loads(bucket.Object(key).get()["Body"].read())
    assert [quote["id"] for quote in file] == ids[:-1]
    desk.connection.close()
